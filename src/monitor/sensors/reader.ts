/** What reads the sensor and obeys whoever listens to it, wherever it runs: in a thread of its own, or in the listener's. */
import { hashProgram } from "./hashing.ts";
import type { FromThread, ThreadData, ToThread } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { Supervisor } from "./supervisor.ts";

/** Messages to whoever listens. Never in the middle of a call of his: in the order in which they were posted, after it. */
export type Post = (message: FromThread, move: readonly ArrayBuffer[]) => void;

/** @returns what takes his orders. One that it cannot deal with rejects: from then on nothing is sure. */
export function startReader(data: ThreadData, post: Post): (message: ToThread) => Promise<void> {
  const outbox = new Outbox({ post, clockOffset: () => supervisor.clockOffset });
  const supervisor: Supervisor = new Supervisor(data, outbox);
  return async (message) => {
    switch (message.type) {
      case "watch":
        return await supervisor.watch(message.order);
      case "unwatch":
        return await supervisor.unwatch(message.id);
      case "done":
        return supervisor.done(message.bytes);
      case "sync":
        await supervisor.sync();
        return outbox.tell({ type: "synced", serial: message.serial });
      case "hash":
        return post({ type: "hashed", serial: message.serial, sha256: await hashProgram(message.request) }, []);
      case "close":
        return await supervisor.close();
    }
  };
}

/** The thread that reads the sensor. Started by reader-thread.ts; whatever its parent does, it reads on. */
import { parentPort, workerData } from "node:worker_threads";
import { hashProgram } from "./hashing.ts";
import type { FromThread, ThreadData, ToThread } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { Supervisor } from "./supervisor.ts";

const port = parentPort;
if (port === null) throw new Error("this file is a thread of the monitor");

const post = (message: FromThread, move: readonly ArrayBuffer[]): void => port.postMessage(message, [...move]);
const data: ThreadData = workerData;
const outbox = new Outbox({ post, clockOffset: () => supervisor.clockOffset });
const supervisor: Supervisor = new Supervisor(data, outbox);

port.on("message", (message: ToThread) => {
  // What it cannot deal with ends the thread: then it is known that something was missed, and another one begins.
  obey(message).catch((error: unknown) =>
    setImmediate(() => {
      throw error;
    }),
  );
});

async function obey(message: ToThread): Promise<void> {
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
      await supervisor.close();
      port?.close();
  }
}

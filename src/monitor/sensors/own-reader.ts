/**
 * The reader without a thread, for a process that does nothing but listen: 12 MB less. While such a process is busy with something
 * else nobody reads, and what happens waits in the kernel's ring alone.
 */
import type { ToThread } from "./messages.ts";
import { startReader } from "./reader.ts";
import type { ReaderThreadOptions } from "./reader-thread.ts";

export class OwnReader {
  readonly runs = true;
  readonly #obey: (message: ToThread) => Promise<void>;

  constructor(options: Pick<ReaderThreadOptions, "data" | "hear" | "died">) {
    const obey = startReader(options.data, (message) => queueMicrotask(() => options.hear(message)));
    this.#obey = async (message) => {
      try {
        await obey(message);
      } catch (error) {
        await obey({ type: "close" });
        options.died(error instanceof Error ? error.message : String(error), false);
      }
    };
  }

  send(message: ToThread): void {
    queueMicrotask(() => void this.#obey(message));
  }

  keepProcess(): void {
    // Its sensor does, until it is closed.
  }

  async close(): Promise<void> {
    await this.#obey({ type: "close" });
  }
}

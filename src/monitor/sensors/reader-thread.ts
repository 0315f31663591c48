/**
 * The thread that reads, kept at work: one that dies or says nothing for long is started again, as the sensor itself is. Whoever
 * has it hears of each end, and of each new one, which knows of no watch yet. The sensor of a thread that died ends with its
 * pipes; its number stays taken until this process ends, since nobody is left who waits for it.
 */
import { Worker } from "node:worker_threads";
import { messageOf } from "../../foundation/index.ts";
import type { FromThread, ThreadData, ToThread } from "./messages.ts";
import { RestartPauses } from "./restart-pauses.ts";

/** Ends in a row before a first word, after which no other is started. */
const MAX_FAILURES = 3;
const LOOK_MS = 1000;
/** Looks in a row without a word before it counts as stuck: it says something every second. This thread's own work is no such time. */
const SILENT_LOOKS = 30;
/** One that was asked to end and does not is ended, ms. */
const CLOSE_MS = 10_000;
/** MB. What it holds is bounded well below: one that comes here is ended, and not the whole process. */
const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 } as const;

export interface ReaderThreadOptions {
  readonly data: ThreadData;
  hear(message: FromThread): void;
  /** It ended, and not because it should. @param again whether another one is started, after a pause. */
  died(why: string, again: boolean): void;
  /** Another one is there. */
  returned(): void;
}

export class ReaderThread {
  readonly #options: ReaderThreadOptions;
  readonly #look: NodeJS.Timeout;
  #worker: Worker | undefined;
  #again: NodeJS.Timeout | undefined;
  readonly #pauses = new RestartPauses();
  #failures = 0;
  #spoke = false;
  #silent = 0;
  #why: string | undefined;
  #keepsProcess = true;
  #closed = false;

  constructor(options: ReaderThreadOptions) {
    this.#options = options;
    this.#look = setInterval(() => this.#lookAtIt(), LOOK_MS).unref();
    this.#start();
  }

  /** Whether one runs now. What is sent to none is gone. */
  get runs(): boolean {
    return this.#worker !== undefined;
  }

  send(message: ToThread): void {
    this.#worker?.postMessage(message);
  }

  /** Whether it keeps the process going. At first it does. */
  keepProcess(keep: boolean): void {
    this.#keepsProcess = keep;
    if (keep) this.#worker?.ref();
    else this.#worker?.unref();
  }

  /** Asks it to end. @returns when it has. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#look);
    clearTimeout(this.#again);
    const worker = this.#worker;
    if (worker === undefined) return;
    worker.ref();
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.postMessage({ type: "close" } satisfies ToThread);
    const late = setTimeout(() => void worker.terminate(), CLOSE_MS);
    await ended;
    clearTimeout(late);
  }

  #start(): void {
    this.#pauses.started();
    this.#spoke = false;
    this.#silent = 0;
    this.#why = undefined;
    const file = new URL(import.meta.url.endsWith(".ts") ? "./sensor-worker.ts" : "./sensor-worker.js", import.meta.url);
    const worker = new Worker(file, { workerData: this.#options.data, execArgv: [], resourceLimits: LIMITS });
    this.#worker = worker;
    if (!this.#keepsProcess) worker.unref();
    worker.on("message", (message: FromThread) => {
      this.#spoke = true;
      this.#silent = 0;
      this.#options.hear(message);
    });
    worker.on("error", (error) => {
      this.#why ??= messageOf(error);
    });
    worker.on("exit", (code) => this.#ended(`it ended with ${code}`));
  }

  #ended(how: string): void {
    this.#worker = undefined;
    if (this.#closed) return;
    this.#failures = this.#spoke ? 0 : this.#failures + 1;
    const again = this.#failures < MAX_FAILURES;
    if (again) {
      this.#again = setTimeout(() => {
        this.#start();
        this.#options.returned();
      }, this.#pauses.next());
      if (!this.#keepsProcess) this.#again.unref();
    } else clearInterval(this.#look);
    this.#options.died(this.#why ?? how, again);
  }

  /** Once a second. */
  #lookAtIt(): void {
    if (this.#worker === undefined || ++this.#silent < SILENT_LOOKS) return;
    this.#why = `it said nothing for ${SILENT_LOOKS} seconds`;
    void this.#worker.terminate();
  }
}

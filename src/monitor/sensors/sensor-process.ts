/** One run of cofferdam-sensor: started, greeted, ordered, and read until it ends. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import type { SensorSource } from "../event.ts";
import { AT, KIND, PART, RECORD_VERSION, SensorRecord } from "../reader/record.ts";
import { Frames } from "./frames.ts";

/** Exit codes of native/sensor/sensor.h that say what the kernel lacks, so that another try is in vain. */
const LACKING = new Set([2, 3, 4]);

/** Characters of what it says on its standard error that are kept: the last ones. */
const MAX_WORDS = 4096;

export interface Ended {
  /** A sentence without a full stop. */
  readonly why: string;
  /** It did its work before. */
  readonly greeted: boolean;
  /** It says that it cannot work here. */
  readonly unfit: boolean;
}

export interface SensorProcessOptions {
  readonly program: string;
  readonly source: SensorSource;
  /** It is ready for orders. @param note what it could not do, or empty. */
  greeted(note: string): void;
  /** Records, as they come in one piece; among them those of the sensor itself but answers. */
  records(records: readonly Buffer[]): void;
  ended(end: Ended): void;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

export class SensorProcess {
  readonly #options: SensorProcessOptions;
  readonly #child: Child;
  #words = "";
  readonly #answers: ((error: number) => void)[] = [];
  readonly #frames = new Frames();
  #greeted = false;
  #over = false;
  #why: string | undefined;
  #heard = 0;

  constructor(options: SensorProcessOptions) {
    this.#options = options;
    // An empty environment: nothing of ours is for it, and a static program looks for nothing.
    this.#child = spawn(options.program, [options.source], { stdio: ["pipe", "pipe", "pipe"], env: {}, cwd: "/" });
    this.#child.stdout.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.#words = (this.#words + chunk.toString()).slice(-MAX_WORDS);
    });
    // A sensor that died shows in "close"; what could not be written to it does not matter then.
    this.#child.stdin.on("error", () => undefined);
    this.#child.on("error", (error) => this.#finish(`it does not start: ${error.message}`, true));
    this.#child.on("close", (code, signal) => {
      const words = this.#words.trim().replaceAll("\n", "; ");
      this.#finish(this.#why ?? (words !== "" ? words : signal === null ? `it ended with ${code}` : `it was ended by ${signal}`), LACKING.has(code ?? -1));
    });
  }

  /** undefined when it did not start. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get paused(): boolean {
    return this.#child.stdout.isPaused();
  }

  /** Reads no further: its pipe fills, and then the kernel's ring. */
  pause(): void {
    this.#child.stdout.pause();
  }

  resume(): void {
    if (this.paused) this.#child.stdout.resume();
  }

  /** Chunks that came so far: a sensor that lives says something twice a second. */
  get heard(): number {
    return this.#heard;
  }

  /** @param line without its end. @returns the answer: 0 or an errno; -1 when the sensor ended first. */
  order(line: string): Promise<number> {
    if (this.#over) return Promise.resolve(-1);
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#child.stdin.write(`${line}\n`);
    });
  }

  /** @param why said of its end, when it is not its own. */
  kill(why: string): void {
    this.#why ??= why;
    this.#child.kill("SIGKILL");
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    this.#heard++;
    try {
      const records = this.#frames.push(chunk);
      // Answers stand between records: what came before one is handed on before it is told.
      let from = 0;
      for (const [at, bytes] of records.entries()) {
        const kind = bytes.readUInt16LE(AT.kind);
        if (kind !== KIND.answer && kind !== KIND.hello) continue;
        if (at > from) this.#options.records(records.slice(from, at));
        from = at + 1;
        if (kind === KIND.hello) this.#greet(new SensorRecord(bytes));
        else this.#answers.shift()?.(-Number(bytes.readBigInt64LE(AT.result)));
      }
      if (from < records.length) this.#options.records(records.slice(from));
    } catch (error) {
      this.kill(error instanceof Error ? error.message : String(error));
    }
  }

  #greet(record: SensorRecord): void {
    if (record.argument(0) !== BigInt(RECORD_VERSION)) {
      this.kill(`it speaks version ${record.argument(0)} of the record format, not ${RECORD_VERSION}`);
      return;
    }
    this.#greeted = true;
    this.#options.records([record.bytes]);
    this.#options.greeted(record.all(PART.text)[1]?.toString("utf8") ?? "");
  }

  #finish(why: string, unfit: boolean): void {
    if (this.#over) return;
    this.#over = true;
    for (const answer of this.#answers.splice(0)) answer(-1);
    this.#options.ended({ why, greeted: this.#greeted, unfit });
  }
}

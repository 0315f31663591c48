/**
 * From the thread that reads to the one that thinks. The reader never waits: when the other side is behind, records queue up
 * to a bound, then the plain ones are left out and counted, and the rare ones last.
 */
import { CALL_CLASSES } from "../reader/calls.ts";
import { AT, KIND } from "../reader/record.ts";
import type { FromThread } from "./messages.ts";

/** Bytes that wait here at most. Of records of files and network only three quarters of it. */
const MAX_WAITING: number = 8 << 20;
const MAX_PLAIN: number = 6 << 20;
/** Bytes in one message, and in messages that are not dealt with yet. */
const BATCH: number = 128 << 10;
const MAX_UNDERWAY: number = 512 << 10;

type Entry = Buffer | Exclude<FromThread, { readonly type: "batch" }>;

export interface OutboxOptions {
  post(message: FromThread, move: readonly ArrayBuffer[]): void;
  clockOffset(): bigint;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lost = new Map<number, number>();
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  #underway = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Queues one record, or counts it. {@link flush} sends. */
  record(bytes: Buffer): void {
    if (this.#waitingBytes + bytes.length > (isPlain(bytes) ? MAX_PLAIN : MAX_WAITING)) {
      const watch = bytes.readUInt32LE(AT.watch);
      this.#lost.set(watch, (this.#lost.get(watch) ?? 0) + 1);
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Behind everything that was queued before. */
  tell(message: Exclude<FromThread, { readonly type: "batch" }>): void {
    this.#waiting.push(message);
    this.flush();
  }

  /** The other side dealt with so much. */
  done(bytes: number): void {
    this.#underway -= bytes;
    this.flush();
  }

  flush(): void {
    let at = 0;
    while (at < this.#waiting.length) {
      const entry = this.#waiting[at];
      if (entry === undefined) break;
      if (!Buffer.isBuffer(entry)) {
        this.#options.post(entry, []);
        at++;
        continue;
      }
      if (this.#underway >= MAX_UNDERWAY) break;
      at = this.#sendBatch(at);
    }
    if (at > 0) this.#waiting = this.#waiting.slice(at);
    if (this.#waiting.length === 0) this.#tellLosses();
  }

  /** Records from here on, up to a message or a full batch. @returns the place behind them. */
  #sendBatch(from: number): number {
    const records: Buffer[] = [];
    let size = 0;
    let at = from;
    for (; at < this.#waiting.length; at++) {
      const entry = this.#waiting[at];
      if (!Buffer.isBuffer(entry) || (size > 0 && size + entry.length > BATCH)) break;
      records.push(entry);
      size += entry.length;
    }
    this.#waitingBytes -= size;
    this.#underway += size;
    const bytes = new Uint8Array(size);
    let end = 0;
    for (const record of records) {
      bytes.set(record, end);
      end += record.length;
    }
    this.#options.post({ type: "batch", bytes, clockOffset: this.#options.clockOffset() }, [bytes.buffer]);
    return at;
  }

  #tellLosses(): void {
    for (const [id, count] of this.#lost) this.#options.post({ type: "loss", id, where: "reader", count }, []);
    this.#lost.clear();
  }
}

function isPlain(bytes: Buffer): boolean {
  if (bytes.readUInt16LE(AT.kind) !== KIND.call) return false;
  const of = CALL_CLASSES[bytes.readUInt16LE(AT.call)];
  return of === "files" || of === "network";
}

/**
 * From the thread that reads to the one that thinks. When that one is behind, records wait here up to a bound, and then in the
 * kernel's ring, which is large and knows whose a record is: what has no room there is counted there.
 */
import type { FromThread } from "./messages.ts";

/** Bytes that wait here before the sensor is read no further. */
const MAX_WAITING: number = 4 << 20;
/** Bytes in one message, and in messages that are not dealt with yet. */
const BATCH: number = 128 << 10;
const MAX_UNDERWAY: number = 512 << 10;

/** What one event of the fallback counts for: it is an object, and about as large. */
export const EVENT_BYTES = 1024;

type Event = Extract<FromThread, { readonly type: "event" }>;
type Entry = Buffer | Exclude<FromThread, { readonly type: "batch" }>;

export interface OutboxOptions {
  post(message: FromThread, move: readonly ArrayBuffer[]): void;
  clockOffset(): bigint;
}

export class Outbox {
  readonly #options: OutboxOptions;
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  #underway = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** More should not come now. */
  get full(): boolean {
    return this.#waitingBytes > MAX_WAITING;
  }

  /** Queues one record; {@link flush} sends. */
  record(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Queues one event of the fallback. @returns false when there is no room: it is lost. */
  event(message: Event): boolean {
    if (this.full) return false;
    this.#waiting.push(message);
    this.#waitingBytes += EVENT_BYTES;
    this.flush();
    return true;
  }

  /** Behind everything that was queued before. */
  tell(message: Exclude<FromThread, { readonly type: "batch" | "event" }>): void {
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
      const counts = Buffer.isBuffer(entry) || entry.type === "event";
      if (counts && this.#underway >= MAX_UNDERWAY) break;
      if (Buffer.isBuffer(entry)) {
        at = this.#sendBatch(at);
        continue;
      }
      if (counts) this.#move(EVENT_BYTES);
      this.#options.post(entry, []);
      at++;
    }
    if (at > 0) this.#waiting = this.#waiting.slice(at);
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
    this.#move(size);
    const bytes = new Uint8Array(size);
    let end = 0;
    for (const record of records) {
      bytes.set(record, end);
      end += record.length;
    }
    this.#options.post({ type: "batch", bytes, clockOffset: this.#options.clockOffset() }, [bytes.buffer]);
    return at;
  }

  #move(bytes: number): void {
    this.#waitingBytes -= bytes;
    this.#underway += bytes;
  }
}

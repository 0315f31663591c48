/**
 * The one way into the log: events of this process wait in a bounded queue and are committed together; nobody is told that
 * an event is recorded before the database and the head file are on the disk.
 */
import { BoundedQueue, type Clock, CofferdamError, wrapError } from "../foundation/index.ts";
import type { Store, Transaction } from "../store/index.ts";
import { PreparedEvent } from "./body.ts";
import type { AuditEvent, AuditEventInput } from "./event.ts";
import type { AuditFault } from "./faults.ts";
import type { HeadFile } from "./head-file.ts";
import { append, hashAt, type LastEvent, type LogIdentity, lastEvent, readLog } from "./log-table.ts";
import { headFault } from "./verify.ts";

/** Events waiting for their turn in this process; one more is refused, never dropped. */
const MAX_WAITING = 10_000;
/** Events committed together at most. */
const BATCH = 512;

/** Category of events about the log itself. */
const OWN_CATEGORY = "audit";

interface Waiting {
  readonly event: PreparedEvent;
  resolve(event: AuditEvent): void;
  reject(error: unknown): void;
}

export class Writer {
  readonly #store: Store;
  readonly #log: LogIdentity;
  readonly #headFile: HeadFile | undefined;
  readonly #clock: Clock;
  readonly #appended: (size: number) => void;
  readonly #queue: BoundedQueue<Waiting> = new BoundedQueue(MAX_WAITING);
  #writing: Promise<void> | undefined;
  /** Events acknowledged by this process: a head file that says less was put back from an older copy. */
  #acknowledged = 0;

  /** @param appended is told the size of the log after each commit. */
  constructor(parts: {
    readonly store: Store;
    readonly log: LogIdentity;
    readonly headFile: HeadFile | undefined;
    readonly clock: Clock;
    appended(size: number): void;
  }) {
    this.#store = parts.store;
    this.#log = parts.log;
    this.#headFile = parts.headFile;
    this.#clock = parts.clock;
    this.#appended = parts.appended;
  }

  /** Resolves when the event is on the disk; what it throws is told at AuditLogger.log. */
  async log(event: AuditEventInput): Promise<AuditEvent> {
    const prepared = new PreparedEvent(event, this.#log.logId);
    // What the log says about itself (keys, prunings, holds) is believed by whoever verifies it.
    if (prepared.input.category === OWN_CATEGORY) throw new CofferdamError("INVALID_ARGUMENT", `the category "${OWN_CATEGORY}" is the log's own`);
    return await new Promise<AuditEvent>((resolve, reject) => {
      this.#queue.push({ event: prepared, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  /**
   * Does what must be in one transaction with the event that records it. `work` gets the place that the event will have.
   * The same checks and the same acknowledgement as for any event.
   */
  async logWith(work: (tx: Transaction, seq: number) => Promise<AuditEventInput>): Promise<AuditEvent> {
    return await available(async () => {
      const event = await this.#store.write(async (tx) => {
        const last = await lastEvent(tx);
        await this.#assertContinues(tx, last);
        const input = await work(tx, (last?.seq ?? 0) + 1);
        const [recorded] = await append(tx, this.#log, last, [new PreparedEvent(input, this.#log.logId)], this.#clock);
        return recorded;
      });
      if (event === undefined) throw new CofferdamError("INTERNAL", "an event was not appended");
      await this.#acknowledge(event);
      return event;
    });
  }

  /** Waits for what is being written. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    // Let the callers of this tick join the first batch.
    await Promise.resolve();
    while (this.#queue.size > 0) {
      const batch = this.#queue.take(BATCH);
      try {
        const events = await available(() => this.#commit(batch));
        for (const [i, waiting] of batch.entries()) {
          const event = events[i];
          if (event !== undefined) waiting.resolve(event);
        }
      } catch (error) {
        for (const waiting of batch) waiting.reject(error);
      }
    }
    this.#writing = undefined;
  }

  async #commit(batch: readonly Waiting[]): Promise<AuditEvent[]> {
    const events = await this.#store.write(async (tx) => {
      const last = await lastEvent(tx);
      await this.#assertContinues(tx, last);
      const prepared = batch.map(({ event }) => event);
      return await append(tx, this.#log, last, prepared, this.#clock);
    });
    const newest = events.at(-1);
    if (newest !== undefined) await this.#acknowledge(newest);
    return events;
  }

  /** Compared at every commit and not only at the start: a database can be put back to an old copy under a running process. */
  async #assertContinues(tx: Transaction, last: LastEvent | undefined): Promise<void> {
    if ((await readLog(tx))?.logId !== this.#log.logId) throw new CofferdamError("AUDIT_UNAVAILABLE", "the audit database was replaced by one of another log");
    const state = this.#headFile?.read();
    if (state === undefined) return;
    const fault = await headFault(tx, this.#log, last, state);
    if (fault !== undefined) throw broken(fault);
    if ("head" in state && state.head.seq < this.#acknowledged)
      throw broken({ seq: this.#acknowledged, kind: "head", detail: `the head file was put back to ${state.head.seq}` });
  }

  /**
   * Writes the head after the commit, in a write turn of its own and from what the database holds then: heads of several
   * processes cannot overtake each other, and a crash in between leaves a head that is behind, which is no alarm.
   */
  async #acknowledge(newest: AuditEvent): Promise<void> {
    const file = this.#headFile;
    if (file === undefined) return this.#appended(newest.seq);
    await this.#store.write(async (tx) => {
      const last = await lastEvent(tx);
      const hash = await hashAt(tx, newest.seq);
      if (last === undefined || `sha256:${hash}` !== newest.integrity.hash)
        throw broken({ seq: newest.seq, kind: "head", detail: "it was committed, and is not in the log any more" });
      file.advance({ logId: this.#log.logId, seq: last.seq, hash: last.hash.toString("hex") });
    });
    this.#acknowledged = newest.seq;
    this.#appended(newest.seq);
  }
}

/** What the store throws, as what callers of the log are told: it is broken, or it cannot take events now. */
export async function available<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CofferdamError && (error.code === "AUDIT_UNAVAILABLE" || error.code === "INTEGRITY_FAILURE" || error.code === "FAILED_PRECONDITION"))
      throw error;
    throw new CofferdamError("AUDIT_UNAVAILABLE", `the audit trail cannot take events: ${wrapError(error, "INTERNAL", "store").message}`, {
      hint: "check free space and permissions of the state directory (cofferdam doctor)",
      cause: error,
    });
  }
}

function broken(fault: AuditFault): CofferdamError {
  return new CofferdamError("INTEGRITY_FAILURE", `the audit trail is broken: ${fault.detail}`, {
    details: { ...fault },
    hint: "cofferdam audit verify; then restore it, or start another state directory",
  });
}

/**
 * The one way into the log: events of this process wait in a bounded queue and are committed together; nobody is told that
 * an event is recorded before the database and the head file are on the disk.
 */
import { BoundedQueue, type Clock, CofferdamError, type ErrorCode, wrapError } from "../foundation/index.ts";
import type { Head, HeadFile, Store, Transaction } from "../store/index.ts";
import { PreparedEvent, RandomPool } from "./body.ts";
import { type AuditEvent, type AuditEventInput, parseEvent, type SealedInput } from "./event.ts";
import type { AuditFault } from "./faults.ts";
import { headFault } from "./head-check.ts";
import { append, hashAt, type LastEvent, type LogIdentity, lastEvent, readLog } from "./log-table.ts";
import type { Reserve } from "./reserve.ts";

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

interface WriterParts {
  readonly store: Store;
  readonly log: LogIdentity;
  readonly headFile: HeadFile | undefined;
  readonly reserve: Reserve | undefined;
  readonly clock: Clock;
  /** Told the size of the log after each commit. */
  appended(size: number): void;
}

export class Writer {
  readonly #store: Store;
  readonly #log: LogIdentity;
  readonly #headFile: HeadFile | undefined;
  readonly #clock: Clock;
  readonly #appended: (size: number) => void;
  readonly #reserve: Reserve | undefined;
  readonly #random = new RandomPool();
  readonly #queue: BoundedQueue<Waiting> = new BoundedQueue(MAX_WAITING);
  #writing: Promise<void> | undefined;
  /** Events acknowledged by this process: a head file that says less was put back from an older copy. */
  #acknowledged = 0;
  #tailLookedAt = false;

  constructor(parts: WriterParts) {
    this.#store = parts.store;
    this.#log = parts.log;
    this.#headFile = parts.headFile;
    this.#clock = parts.clock;
    this.#reserve = parts.reserve;
    this.#appended = parts.appended;
  }

  /** Takes an event that parseEvent passed. Resolves when it is on the disk; what it throws, also at once, is told at AuditLogger.log. */
  log(event: SealedInput): Promise<AuditEvent> {
    // What the log says about itself (keys, prunings, holds) is believed by whoever verifies it.
    if (event.category === OWN_CATEGORY) throw new CofferdamError("INVALID_ARGUMENT", `the category "${OWN_CATEGORY}" is the log's own`);
    const prepared = new PreparedEvent(event, this.#log.logId, this.#random.take());
    return new Promise<AuditEvent>((resolve, reject) => {
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
        let last = await lastEvent(tx);
        const tail = await this.#assertContinues(tx, last);
        if (tail !== undefined) last = lastOf(await append(tx, this.#log, last, [this.#own(tail)], this.#clock));
        const input = await work(tx, (last?.seq ?? 0) + 1);
        const [recorded] = await append(tx, this.#log, last, [this.#own(input)], this.#clock);
        return recorded;
      });
      if (event === undefined) throw new CofferdamError("INTERNAL", "an event was not appended");
      await this.#acknowledge(event);
      this.#tailLookedAt = true;
      return event;
    });
  }

  /**
   * Goes on after the head file was lost, or does not agree with the log: an event says what was found and why, and a new
   * head is made. Throws FAILED_PRECONDITION when nothing is wrong, or when acknowledged events are lost and `acceptLoss` is not given.
   */
  async recover(reason: string, acceptLoss: boolean): Promise<AuditEvent> {
    const file = this.#headFile;
    if (file === undefined) throw new CofferdamError("FAILED_PRECONDITION", "a log in memory has no head file to recover");
    return await available(async () => {
      const { event, head } = await this.#store.write(async (tx) => {
        const last = await lastEvent(tx);
        const state = file.read();
        const fault = await headFault(tx, this.#log, last, state);
        if (fault === undefined) throw new CofferdamError("FAILED_PRECONDITION", "log and head agree: there is nothing to recover");
        const known: Head | undefined = "head" in state ? state.head : undefined;
        if (known !== undefined && !acceptLoss)
          throw new CofferdamError("FAILED_PRECONDITION", `acknowledged events are missing or changed: ${fault.detail}`, {
            hint: "restore the database from a backup; or, when there is none: cofferdam audit recover --accept-loss --reason TEXT",
          });
        const details = {
          reason,
          found: fault.detail,
          size: last?.seq ?? 0,
          ...(known === undefined ? {} : { acknowledged: { seq: known.seq, hash: known.hash } }),
        };
        const [recorded] = await append(
          tx,
          this.#log,
          last,
          [this.#own({ category: OWN_CATEGORY, action: "recovered", result: "success", details })],
          this.#clock,
        );
        if (recorded === undefined) throw new CofferdamError("INTERNAL", "an event was not appended");
        return { event: recorded, head: { logId: this.#log.logId, seq: recorded.seq, hash: recorded.integrity.hash.slice("sha256:".length) } };
      });
      file.create(head);
      this.#acknowledged = head.seq;
      this.#appended(head.seq);
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
      await this.#write(batch);
    }
    this.#writing = undefined;
  }

  /** Commits a batch and tells its callers. On a full disk only refusals are recorded, in the space that was kept for them. */
  async #write(batch: readonly Waiting[]): Promise<void> {
    if (this.#reserve?.hold() === "given up") return await this.#writeRefusals(batch, []);
    try {
      settle(batch, await available(() => this.#commit(batch.map(({ event }) => event))));
    } catch (error) {
      if (!isFull(error) || this.#reserve?.release() !== true) return fail(batch, error);
      await this.#writeRefusals(batch, [this.#own({ category: OWN_CATEGORY, action: "disk_full", result: "failure", details: { waiting: batch.length } })]);
    }
  }

  async #writeRefusals(batch: readonly Waiting[], first: readonly PreparedEvent[]): Promise<void> {
    const isRefusal = ({ event }: Waiting): boolean => event.input.result === "failure";
    const refusals = batch.filter(isRefusal);
    fail(
      batch.filter((waiting) => !isRefusal(waiting)),
      new CofferdamError("AUDIT_UNAVAILABLE", "the disk of the audit trail is full: what is left is kept for refusals", {
        hint: "free space there, or move it with --state",
      }),
    );
    if (refusals.length + first.length === 0) return;
    try {
      const events = await available(() => this.#commit([...first, ...refusals.map(({ event }) => event)]));
      settle(refusals, events.slice(first.length));
    } catch (error) {
      fail(refusals, error);
    }
  }

  async #commit(batch: readonly PreparedEvent[]): Promise<AuditEvent[]> {
    const { events, recovered } = await this.#store.write(async (tx) => {
      const last = await lastEvent(tx);
      const tail = await this.#assertContinues(tx, last);
      const own = tail === undefined ? [] : [this.#own(tail)];
      return { events: await append(tx, this.#log, last, [...own, ...batch], this.#clock), recovered: own.length };
    });
    const newest = events.at(-1);
    if (newest !== undefined) await this.#acknowledge(newest);
    this.#tailLookedAt = true;
    return events.slice(recovered);
  }

  #own(event: AuditEventInput): PreparedEvent {
    const { personal: _none, ...parsed } = parseEvent(event);
    return new PreparedEvent(parsed, this.#log.logId, this.#random.take());
  }

  /**
   * Compared at every commit and not only at the start: a database can be put back to an old copy under a running process.
   * @returns at the first commit, the event to record when the log has events that its head does not acknowledge: those of
   * a process that ended (or is just) between its commit and its head.
   */
  async #assertContinues(tx: Transaction, last: LastEvent | undefined): Promise<AuditEventInput | undefined> {
    if ((await readLog(tx))?.logId !== this.#log.logId) throw new CofferdamError("AUDIT_UNAVAILABLE", "the audit database was replaced by one of another log");
    const state = this.#headFile?.read();
    if (state === undefined) return undefined;
    const fault = await headFault(tx, this.#log, last, state);
    if (fault !== undefined) throw broken(fault);
    if ("head" in state && state.head.seq < this.#acknowledged)
      throw broken({ seq: this.#acknowledged, kind: "head", detail: `the head file was put back to ${state.head.seq}` });
    if (this.#tailLookedAt || !("head" in state) || last === undefined || last.seq === state.head.seq) return undefined;
    const details = { acknowledged: state.head.seq, found: last.seq, recovered: last.seq - state.head.seq };
    return { category: OWN_CATEGORY, action: "tail_recovered", result: "success", details };
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

function lastOf(events: readonly AuditEvent[]): LastEvent | undefined {
  const last = events.at(-1);
  return last === undefined ? undefined : { seq: last.seq, hash: Buffer.from(last.integrity.hash.slice("sha256:".length), "hex") };
}

function settle(batch: readonly Waiting[], events: readonly AuditEvent[]): void {
  for (const [i, waiting] of batch.entries()) {
    const event = events[i];
    if (event === undefined) waiting.reject(new CofferdamError("INTERNAL", "an event was not appended"));
    else waiting.resolve(event);
  }
}

function fail(batch: readonly Waiting[], error: unknown): void {
  for (const waiting of batch) waiting.reject(error);
}

function isFull(error: unknown): boolean {
  const cause = error instanceof CofferdamError ? error.cause : undefined;
  return cause instanceof CofferdamError && cause.code === "RESOURCE_EXHAUSTED";
}

/** What is not the store's: it passes as it is. */
const OWN_CODES: readonly ErrorCode[] = ["AUDIT_UNAVAILABLE", "INTEGRITY_FAILURE", "FAILED_PRECONDITION", "NOT_FOUND", "INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE"];

/** What the store throws, as what callers of the log are told: it is broken, or it cannot take events now. */
export async function available<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CofferdamError && OWN_CODES.includes(error.code)) throw error;
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

/**
 * AuditLogger: an append-only log whose events are chained by hash and durable before anybody is told that they are
 * recorded. Many processes may append to one log at once.
 */
import { join } from "node:path";
import { z } from "zod";
import { BoundedQueue, type Clock, CofferdamError, parseInput, systemClock, wrapError } from "../foundation/index.ts";
import { SqliteStore, type Store, type Transaction } from "../store/index.ts";
import { PreparedEvent } from "./body.ts";
import { hashText } from "./chain.ts";
import { Channel } from "./channel.ts";
import type { AuditEvent, AuditEventInput } from "./event.ts";
import { exportText } from "./export.ts";
import { HeadFile } from "./head-file.ts";
import { openKey, temporaryKey } from "./keys.ts";
import { append, createLog, eventOf, eventsOf, hashAt, type LastEvent, type LogIdentity, lastEvent, readLog } from "./log-table.ts";
import { type AuditQuery, parseQuery, statementOf } from "./query.ts";
import { AUDIT_MIGRATIONS } from "./schema.ts";
import { type AuditFault, headFault, type VerifyReport, verifyLog } from "./verify.ts";

/** What other rooms need of the log. */
export interface AuditSink {
  log(event: AuditEventInput): Promise<AuditEvent>;
}

export interface AuditLoggerOptions {
  readonly storage?: {
    /** State directory: `cofferdam.db`, `keys/audit.pem`, `checkpoints/head`. Without it the log lives in memory. */
    readonly directory?: string | undefined;
    /** Database file instead of the one in the state directory; key and head file stand beside it. */
    readonly file?: string | undefined;
  };
  /** A store that the caller owns and closes; `storage.directory` still says where key and head file are. */
  readonly store?: Store;
  readonly clock?: Clock;
}

export interface AuditPage {
  readonly events: readonly AuditEvent[];
  /** Pass as `after` for the next page; undefined on the last one. */
  readonly next: number | undefined;
}

const optionsSchema = z.strictObject({
  storage: z.strictObject({ directory: z.string().min(1).optional(), file: z.string().min(1).optional() }).optional(),
  store: z.custom<Store>((value) => typeof value === "object" && value !== null && "write" in value).optional(),
  clock: z.custom<Clock>((value) => typeof value === "object" && value !== null && "now" in value).optional(),
});

/** Events waiting for their turn in this process; one more is refused, never dropped. */
const MAX_WAITING = 10_000;
/** Events committed together at most. */
const BATCH = 512;

interface Waiting {
  readonly event: PreparedEvent;
  resolve(event: AuditEvent): void;
  reject(error: unknown): void;
}

/**
 * @example
 * ```ts
 * const audit = new AuditLogger({ storage: { directory: "/var/lib/cofferdam" } });
 * await audit.initialize();
 * const event = await audit.log({ category: "authorization", action: "permission_granted", result: "success", userId: "user123" });
 * const { failed } = await audit.verifyIntegrity();
 * await audit.close();
 * ```
 */
export class AuditLogger implements AuditSink {
  readonly #store: Store;
  readonly #ownsStore: boolean;
  readonly #clock: Clock;
  readonly #keyPath: string | undefined;
  readonly #headFile: HeadFile | undefined;
  readonly #queue: BoundedQueue<Waiting> = new BoundedQueue(MAX_WAITING);
  #log: LogIdentity | undefined;
  #writing: Promise<void> | undefined;
  /** Events acknowledged by this process: a head file that says less was put back from an older copy. */
  #acknowledged = 0;

  constructor(options: AuditLoggerOptions = {}) {
    const parsed = parseInput(optionsSchema, options, "options of AuditLogger");
    const directory = parsed.storage?.directory;
    const file = parsed.storage?.file ?? (directory === undefined ? undefined : join(directory, "cofferdam.db"));
    this.#clock = parsed.clock ?? systemClock;
    this.#ownsStore = parsed.store === undefined;
    this.#store = parsed.store ?? new SqliteStore({ path: file, clock: this.#clock });
    const beside = directory === undefined ? file : undefined;
    this.#keyPath = directory !== undefined ? join(directory, "keys", "audit.pem") : beside === undefined ? undefined : `${beside}.key.pem`;
    this.#headFile =
      directory !== undefined ? new HeadFile(join(directory, "checkpoints", "head")) : beside === undefined ? undefined : new HeadFile(`${beside}.head`);
  }

  /**
   * Opens the log; makes it on first use. A log that does not agree with its acknowledged head opens too, for search and
   * verification; {@link log} refuses it.
   */
  async initialize(): Promise<void> {
    if (this.#log !== undefined) return;
    await this.#available(async () => {
      await this.#store.migrate("audit", AUDIT_MIGRATIONS);
      this.#log = (await this.#store.read(readLog)) ?? (await this.#create());
    });
  }

  /** Public half of the log's key, raw, base64. */
  get publicKey(): string {
    return this.#opened().publicKey;
  }

  /** Place and chain hash of the last event, or undefined for an empty log. Kept elsewhere, it makes a later change show. */
  async head(): Promise<{ readonly seq: number; readonly hash: string } | undefined> {
    this.#opened();
    const last = await this.#store.read(lastEvent);
    return last === undefined ? undefined : { seq: last.seq, hash: hashText(last.hash) };
  }

  /**
   * Records an event. Resolves when it is on the disk, with its place and hashes; when it rejects, the event may still have
   * been recorded, but nobody was told so.
   * Throws INVALID_ARGUMENT, PAYLOAD_TOO_LARGE, NOT_INITIALIZED, AUDIT_UNAVAILABLE (the store cannot take it now),
   * INTEGRITY_FAILURE (the log does not agree with its acknowledged head), RESOURCE_EXHAUSTED (10,000 events wait already).
   */
  async log(event: AuditEventInput): Promise<AuditEvent> {
    const log = this.#opened();
    const prepared = new PreparedEvent(event, log.logId);
    return await new Promise<AuditEvent>((resolve, reject) => {
      this.#queue.push({ event: prepared, resolve, reject });
      this.#writing ??= this.#drain(log);
    });
  }

  /** Events that match, oldest first unless asked; at most `limit` (100). */
  async search(query: AuditQuery = {}): Promise<readonly AuditEvent[]> {
    return (await this.searchPage(query)).events;
  }

  /** One page of {@link search} with the cursor of the next. */
  async searchPage(query: AuditQuery = {}): Promise<AuditPage> {
    this.#opened();
    const parsed = parseQuery(query);
    const limit = parsed.limit ?? 100;
    const { sql, params } = statementOf(parsed, limit + 1);
    const events = (await this.#store.read((tx) => tx.all(sql, params))).map(eventOf);
    const page = events.slice(0, limit);
    return { events: page, next: events.length > limit ? page.at(-1)?.seq : undefined };
  }

  /** The whole export as one text; for large logs use {@link exportStream}. */
  async export(query: AuditQuery, format: "json" | "csv"): Promise<string> {
    const pieces: string[] = [];
    for await (const piece of this.exportStream(query, format)) pieces.push(piece);
    return pieces.join("");
  }

  /** Streams matching events from one snapshot, while others go on appending. */
  async *exportStream(query: AuditQuery, format: "json" | "csv"): AsyncGenerator<string> {
    this.#opened();
    const parsed = parseQuery(query);
    const { sql, params } = statementOf(parsed, parsed.limit);
    // A read transaction lives in a callback, a generator is pulled from outside: a bounded queue of one joins them.
    const channel = new Channel<string>();
    const reading = this.#store
      .read(async (tx) => {
        for await (const piece of exportText(eventsOf(tx.iterate(sql, params)), format)) if (!(await channel.put(piece))) return;
      })
      .then(
        () => channel.end(),
        (error: unknown) => channel.end(error),
      );
    try {
      yield* channel;
    } finally {
      channel.stop();
      await reading;
    }
  }

  /**
   * Recomputes the events between two times (both optional, inclusive), and compares the end with the acknowledged head.
   * The time column says which events a range has; only without dates is every row looked at, whatever its columns say.
   */
  async verifyIntegrity(startDate?: Date | string, endDate?: Date | string): Promise<VerifyReport> {
    const log = this.#opened();
    const range = parseQuery({ startDate, endDate });
    // Read before the rows: a head that is written meanwhile can only be newer than what is compared with it.
    const head = this.#headFile?.read();
    return await this.#store.read(async (tx) => await verifyLog(tx, log, head, { startDate: range.startDate, endDate: range.endDate }));
  }

  /** Takes no more events, waits for those that are being written, then closes. */
  async close(): Promise<void> {
    this.#log = undefined;
    await this.#writing;
    if (this.#ownsStore) await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #opened(): LogIdentity {
    if (this.#log === undefined) throw new CofferdamError("NOT_INITIALIZED", "AuditLogger: call initialize() first");
    return this.#log;
  }

  async #create(): Promise<LogIdentity> {
    // Only for a new log: a key that is lost later is not replaced in silence by one that the chain does not know.
    const { publicKey } = this.#keyPath === undefined ? temporaryKey() : await openKey(this.#keyPath);
    return await this.#store.write((tx) => createLog(tx, publicKey, this.#headFile));
  }

  async #drain(log: LogIdentity): Promise<void> {
    // Let the callers of this tick join the first batch.
    await Promise.resolve();
    while (this.#queue.size > 0) {
      const batch = this.#queue.take(BATCH);
      try {
        const events = await this.#available(() => this.#commit(log, batch));
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

  async #commit(log: LogIdentity, batch: readonly Waiting[]): Promise<AuditEvent[]> {
    const events = await this.#store.write(async (tx) => {
      const last = await lastEvent(tx);
      await this.#assertContinues(tx, log, last);
      const prepared = batch.map(({ event }) => event);
      return await append(tx, log, last, prepared, this.#clock);
    });
    const newest = events.at(-1);
    if (newest !== undefined) await this.#acknowledge(log, newest);
    return events;
  }

  /** Compared at every commit and not only at the start: a database can be put back to an old copy under a running process. */
  async #assertContinues(tx: Transaction, log: LogIdentity, last: LastEvent | undefined): Promise<void> {
    if ((await readLog(tx))?.logId !== log.logId) throw new CofferdamError("AUDIT_UNAVAILABLE", "the audit database was replaced by one of another log");
    const state = this.#headFile?.read();
    if (state === undefined) return;
    const fault = await headFault(tx, log, last, state);
    if (fault !== undefined) throw broken(fault);
    if ("head" in state && state.head.seq < this.#acknowledged)
      throw broken({ seq: this.#acknowledged, kind: "head", detail: `the head file was put back to ${state.head.seq}` });
  }

  /**
   * Writes the head after the commit, in a write turn of its own and from what the database holds then: heads of several
   * processes cannot overtake each other, and a crash in between leaves a head that is behind, which is no alarm.
   */
  async #acknowledge(log: LogIdentity, newest: AuditEvent): Promise<void> {
    const file = this.#headFile;
    if (file === undefined) return;
    await this.#store.write(async (tx) => {
      const last = await lastEvent(tx);
      const hash = await hashAt(tx, newest.seq);
      if (last === undefined || `sha256:${hash}` !== newest.integrity.hash)
        throw broken({ seq: newest.seq, kind: "head", detail: "it was committed, and is not in the log any more" });
      file.advance({ logId: log.logId, seq: last.seq, hash: last.hash.toString("hex") });
    });
    this.#acknowledged = newest.seq;
  }

  async #available<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof CofferdamError && error.code === "FAILED_PRECONDITION" ? error : unavailable(error);
    }
  }
}

function unavailable(error: unknown): CofferdamError {
  if (error instanceof CofferdamError && (error.code === "AUDIT_UNAVAILABLE" || error.code === "INTEGRITY_FAILURE")) return error;
  return new CofferdamError("AUDIT_UNAVAILABLE", `the audit trail cannot take events: ${wrapError(error, "INTERNAL", "store").message}`, {
    hint: "check free space and permissions of the state directory (cofferdam doctor)",
    cause: error,
  });
}

function broken(fault: AuditFault): CofferdamError {
  return new CofferdamError("INTEGRITY_FAILURE", `the audit trail is broken: ${fault.detail}`, {
    details: { ...fault },
    hint: "cofferdam audit verify; then restore it, or start another state directory",
  });
}

/**
 * AuditLogger: an append-only log whose events are chained by hash and durable before anybody is told that they are
 * recorded. Many processes may append to one log at once.
 */
import { join } from "node:path";
import { z } from "zod";
import { type Clock, CofferdamError, parseInput, systemClock } from "../foundation/index.ts";
import { SqliteStore, type Store } from "../store/index.ts";
import { hashText } from "./chain.ts";
import { Channel } from "./channel.ts";
import type { AuditEvent, AuditEventInput } from "./event.ts";
import { exportText } from "./export.ts";
import { HeadFile } from "./head-file.ts";
import { openKey, temporaryKey } from "./keys.ts";
import { createLog, eventOf, eventsOf, type LogIdentity, lastEvent, readLog } from "./log-table.ts";
import { type AuditQuery, parseQuery } from "./query.ts";
import { AUDIT_MIGRATIONS } from "./schema.ts";
import { searchPage, wholeStatement } from "./search.ts";
import { type VerifyReport, verifyLog } from "./verify.ts";
import { available, Writer } from "./writer.ts";

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
  /** At most `limit`. Fewer, even none, do not mean that there are no more: `next` does. */
  readonly events: readonly AuditEvent[];
  /** Pass as `after` for the next page; undefined on the last one. */
  readonly next: number | undefined;
}

const optionsSchema = z.strictObject({
  storage: z.strictObject({ directory: z.string().min(1).optional(), file: z.string().min(1).optional() }).optional(),
  store: z.custom<Store>((value) => typeof value === "object" && value !== null && "write" in value).optional(),
  clock: z.custom<Clock>((value) => typeof value === "object" && value !== null && "now" in value).optional(),
});

/** What initialize() comes to. */
interface Opened {
  readonly log: LogIdentity;
  readonly writer: Writer;
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
  #opened: Opened | undefined;

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
    if (this.#opened !== undefined) return;
    await available(async () => {
      await this.#store.migrate("audit", AUDIT_MIGRATIONS);
      const log = (await this.#store.read(readLog)) ?? (await this.#create());
      this.#opened = { log, writer: new Writer(this.#store, log, this.#headFile, this.#clock) };
    });
  }

  /** Public half of the log's key, raw, base64. */
  get publicKey(): string {
    return this.#open().log.publicKey;
  }

  /** Place and chain hash of the last event, or undefined for an empty log. Kept elsewhere, it makes a later change show. */
  async head(): Promise<{ readonly seq: number; readonly hash: string } | undefined> {
    this.#open();
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
    return await this.#open().writer.log(event);
  }

  /** Events that match, oldest first unless asked; at most `limit` (100). Looks on until there are as many, or no more. */
  async search(query: AuditQuery = {}): Promise<readonly AuditEvent[]> {
    const { limit = 100, ...parsed } = parseQuery(query);
    const events: AuditEvent[] = [];
    for (let after = parsed.after; ; ) {
      const page = await this.searchPage({ ...parsed, limit: limit - events.length, after });
      events.push(...page.events);
      if (page.next === undefined || events.length === limit) return events;
      after = page.next;
    }
  }

  /** One page of {@link search} with the cursor of the next, in a time that does not grow with the log. */
  async searchPage(query: AuditQuery = {}): Promise<AuditPage> {
    const { log } = this.#open();
    const parsed = parseQuery(query);
    const page = await this.#store.read((tx) => searchPage(tx, parsed, parsed.limit ?? 100, this.#clock));
    return { events: page.rows.map((row) => eventOf(row, log)), next: page.next };
  }

  /** The whole export as one text; for large logs use {@link exportStream}. */
  async export(query: AuditQuery, format: "json" | "csv"): Promise<string> {
    const pieces: string[] = [];
    for await (const piece of this.exportStream(query, format)) pieces.push(piece);
    return pieces.join("");
  }

  /** Streams matching events from one snapshot, while others go on appending. */
  async *exportStream(query: AuditQuery, format: "json" | "csv"): AsyncGenerator<string> {
    const { log } = this.#open();
    const parsed = parseQuery(query);
    // A read transaction lives in a callback, a generator is pulled from outside: a bounded queue of one joins them.
    const channel = new Channel<string>();
    const reading = this.#store
      .read(async (tx) => {
        const { sql, params } = await wholeStatement(tx, parsed);
        for await (const piece of exportText(eventsOf(tx.iterate(sql, params), log), format)) if (!(await channel.put(piece))) return;
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
    const { log } = this.#open();
    const range = parseQuery({ startDate, endDate });
    // Read before the rows: a head that is written meanwhile can only be newer than what is compared with it.
    const head = this.#headFile?.read();
    return await this.#store.read(async (tx) => await verifyLog(tx, log, head, { startDate: range.startDate, endDate: range.endDate }));
  }

  /** Takes no more events, waits for those that are being written, then closes. */
  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.writer.idle();
    if (this.#ownsStore) await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): Opened {
    if (this.#opened === undefined) throw new CofferdamError("NOT_INITIALIZED", "AuditLogger: call initialize() first");
    return this.#opened;
  }

  async #create(): Promise<LogIdentity> {
    // Only for a new log: a key that is lost later is not replaced in silence by one that the chain does not know.
    const { publicKey } = this.#keyPath === undefined ? temporaryKey() : await openKey(this.#keyPath);
    return await this.#store.write((tx) => createLog(tx, publicKey, this.#headFile));
  }
}

/**
 * AuditLogger: an append-only log whose events are chained by hash and durable before anybody is told that they are
 * recorded. Many processes may append to one log at once.
 */
import { join } from "node:path";
import { z } from "zod";
import { BoundedQueue, type Clock, CofferdamError, isoTime, newId, parseInput, systemClock, wrapError } from "../foundation/index.ts";
import { type Row, SqliteStore, type Store, type Transaction } from "../store/index.ts";
import { Channel } from "./channel.ts";
import {
  type AuditEvent,
  type AuditEventInput,
  assertRecordable,
  bodyBytes,
  chainHash,
  genesisHash,
  hashText,
  leafHash,
  parseBody,
  parseEvent,
} from "./event.ts";
import { exportText } from "./export.ts";
import { type Head, HeadFile } from "./head-file.ts";
import { openKey, temporaryKey } from "./keys.ts";
import { type AuditQuery, parseQuery, statementOf, timeOf } from "./query.ts";
import { AUDIT_MIGRATIONS } from "./schema.ts";
import { ChainVerifier, type VerifyReport } from "./verify.ts";

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
  readonly input: AuditEventInput;
  resolve(event: AuditEvent): void;
  reject(error: unknown): void;
}

interface Log {
  readonly logId: string;
  readonly publicKey: string;
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
  #log: Log | undefined;
  #writing: Promise<void> | undefined;
  #refusal: CofferdamError | undefined;

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
   * Opens the log; makes it on first use. Compares its end with the acknowledged head: when the log is behind, nothing is
   * appended any more ({@link log} throws INTEGRITY_FAILURE) while search and verification go on working.
   */
  async initialize(): Promise<void> {
    if (this.#log !== undefined) return;
    await this.#available(async () => {
      await this.#store.migrate("audit", AUDIT_MIGRATIONS);
      const key = this.#keyPath === undefined ? temporaryKey() : await openKey(this.#keyPath);
      this.#log = (await this.#store.read(readLog)) ?? (await this.#store.write((tx) => createLog(tx, key.publicKey, this.#headFile)));
    });
    const report = await this.verifyIntegrity(new Date(8_640_000_000_000_000));
    const fault = report.errors[0];
    if (fault !== undefined)
      this.#refusal = new CofferdamError("INTEGRITY_FAILURE", `the audit trail is broken: ${fault.detail}`, {
        details: { ...fault },
        hint: "cofferdam audit verify; then restore it, or start another state directory",
      });
  }

  /** Public half of the log's key, raw, base64. */
  get publicKey(): string {
    return this.#opened().publicKey;
  }

  /**
   * Records an event. Resolves when it is on the disk, with its place and hashes.
   * Throws INVALID_ARGUMENT, PAYLOAD_TOO_LARGE, NOT_INITIALIZED, AUDIT_UNAVAILABLE (the store cannot take it now),
   * INTEGRITY_FAILURE (the log was found broken at the start), RESOURCE_EXHAUSTED (10,000 events wait already).
   */
  async log(event: AuditEventInput): Promise<AuditEvent> {
    this.#opened();
    if (this.#refusal !== undefined) throw this.#refusal;
    const input = parseEvent(event);
    assertRecordable(input);
    return await new Promise<AuditEvent>((resolve, reject) => {
      this.#queue.push({ input, resolve, reject });
      this.#writing ??= this.#drain();
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
        for await (const piece of exportText(events(tx.iterate(sql, params)), format)) if (!(await channel.put(piece))) return;
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

  /** Recomputes everything between two times (both optional, inclusive), and compares the end with the acknowledged head. */
  async verifyIntegrity(startDate?: Date | string, endDate?: Date | string): Promise<VerifyReport> {
    const log = this.#opened();
    // Read before the rows: a head that is written meanwhile can only be newer than what is compared with it.
    const acknowledged = this.#headFile?.read();
    return await this.#store.read(async (tx) => await verifyRange(tx, log, acknowledged, startDate, endDate));
  }

  /** Waits for what is being written, then closes. */
  async close(): Promise<void> {
    await this.#writing;
    this.#log = undefined;
    if (this.#ownsStore) await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #opened(): Log {
    if (this.#log === undefined) throw new CofferdamError("NOT_INITIALIZED", "AuditLogger: call initialize() first");
    return this.#log;
  }

  async #drain(): Promise<void> {
    // Let the callers of this tick join the first batch.
    await Promise.resolve();
    const log = this.#opened();
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

  async #commit(log: Log, batch: readonly Waiting[]): Promise<AuditEvent[]> {
    const events = await this.#store.write(async (tx) => {
      const last = await lastRow(tx);
      if (last === undefined && (await readLog(tx))?.logId !== log.logId)
        throw new CofferdamError("AUDIT_UNAVAILABLE", "the audit database was replaced while it was in use");
      return await append(tx, log, last, batch, this.#clock);
    });
    await this.#acknowledge(log);
    return events;
  }

  /**
   * Writes the head after the commit, in a write turn of its own and from what the database holds then: heads of several
   * processes cannot overtake each other, and a crash in between leaves a head that is behind, which is no alarm.
   */
  async #acknowledge(log: Log): Promise<void> {
    const file = this.#headFile;
    if (file === undefined) return;
    await this.#store.write(async (tx) => {
      const last = await lastRow(tx);
      if (last !== undefined) file.write({ logId: log.logId, seq: last.seq, hash: last.hash.toString("hex") });
    });
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

async function readLog(tx: Transaction): Promise<Log | undefined> {
  const row = await tx.get("SELECT log_id, public_key FROM audit_log WHERE one = 1");
  return row === undefined ? undefined : { logId: String(row["log_id"]), publicKey: String(row["public_key"]) };
}

async function createLog(tx: Transaction, publicKey: string, headFile: HeadFile | undefined): Promise<Log> {
  const known = await readLog(tx);
  if (known !== undefined) return known;
  const log: Log = { logId: newId("log"), publicKey };
  await tx.run("INSERT INTO audit_log (one, log_id, public_key) VALUES (1, ?, ?)", [log.logId, log.publicKey]);
  // A head file that is there already belongs to a log that is gone; it stays, and the comparison will say so.
  if (headFile !== undefined && headFile.read() === undefined)
    headFile.write({ logId: log.logId, seq: 0, hash: genesisHash(log.logId, publicKey).toString("hex") });
  return log;
}

async function lastRow(tx: Transaction): Promise<{ seq: number; hash: Buffer } | undefined> {
  const row = await tx.get("SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1");
  return row === undefined ? undefined : { seq: Number(row["seq"]), hash: blob(row["hash"]) };
}

async function append(
  tx: Transaction,
  log: Log,
  last: { seq: number; hash: Buffer } | undefined,
  batch: readonly Waiting[],
  clock: Clock,
): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  let seq = last?.seq ?? 0;
  let previous = last?.hash ?? genesisHash(log.logId, log.publicKey);
  for (const { input } of batch) {
    seq += 1;
    const timestamp = isoTime(clock);
    const { id, bytes } = bodyBytes(input, { seq, timestamp, logId: log.logId });
    const leaf = leafHash(bytes);
    const hash = chainHash(previous, leaf);
    await tx.run(
      "INSERT INTO audit_events (seq, id, at, category, action, result, user_id, session_id, resource_type, resource_id, body, leaf, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      [
        seq,
        id,
        Date.parse(timestamp),
        input.category,
        input.action,
        input.result,
        input.userId ?? null,
        input.sessionId ?? null,
        input.resourceType ?? null,
        input.resourceId ?? null,
        bytes,
        leaf,
        previous,
        hash,
      ],
    );
    events.push(eventOf({ body: bytes, hash, previous }));
    previous = hash;
  }
  return events;
}

async function verifyRange(
  tx: Transaction,
  log: Log,
  acknowledged: Head | undefined,
  startDate: Date | string | undefined,
  endDate: Date | string | undefined,
): Promise<VerifyReport> {
  const range = await tx.get("SELECT min(seq) AS low, max(seq) AS high FROM audit_events WHERE at >= ? AND at <= ?", [
    startDate === undefined ? 0 : timeOf(startDate),
    endDate === undefined ? Number.MAX_SAFE_INTEGER : timeOf(endDate),
  ]);
  const last = await lastRow(tx);
  const low = range?.["low"] === null || range?.["low"] === undefined ? undefined : Number(range["low"]);
  const from = startDate === undefined ? 1 : (low ?? (last?.seq ?? 0) + 1);
  const before = from === 1 ? undefined : await tx.get("SELECT hash FROM audit_events WHERE seq = ?", [from - 1]);
  const verifier = new ChainVerifier(log, from, before === undefined ? undefined : blob(before["hash"]));
  if (low !== undefined) {
    const rows = tx.iterate(
      "SELECT seq, id, at, category, action, result, user_id, session_id, resource_type, resource_id, body, leaf, previous, hash FROM audit_events WHERE seq >= ? AND seq <= ? ORDER BY seq",
      [from, Number(range?.["high"])],
    );
    for await (const row of rows) verifier.add(row);
  }
  const atHead = acknowledged === undefined ? undefined : await tx.get("SELECT hash FROM audit_events WHERE seq = ?", [acknowledged.seq]);
  verifier.end(last, acknowledged, atHead === undefined ? undefined : blob(atHead["hash"]));
  return { ...verifier.counts, size: last?.seq ?? 0, anchored: false, head: last === undefined ? undefined : { seq: last.seq, hash: hashText(last.hash) } };
}

async function* events(rows: AsyncIterable<Row>): AsyncGenerator<AuditEvent> {
  for await (const row of rows) yield eventOf(row);
}

function eventOf(row: Row): AuditEvent {
  const body = parseBody(blob(row["body"]));
  if (body === undefined)
    throw new CofferdamError("INTEGRITY_FAILURE", "the audit trail holds something that is not an event", { hint: "cofferdam audit verify" });
  return { ...body, integrity: { hash: hashText(blob(row["hash"])), algorithm: "sha256", previousHash: hashText(blob(row["previous"])) } };
}

function blob(value: unknown): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.alloc(0);
}

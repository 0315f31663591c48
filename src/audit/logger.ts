/**
 * AuditLogger: an append-only log whose events are chained by hash and durable before anybody is told that they are
 * recorded. Many processes may append to one log at once.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type Clock, CofferdamError, type JsonObject, parseInput, systemClock } from "../foundation/index.ts";
import { SqliteStore, type Store } from "../store/index.ts";
import { hashText } from "./chain.ts";
import { Checkpointer, latestCheckpoint, type SignedCheckpoint } from "./checkpointer.ts";
import { copyAt } from "./copies/copy.ts";
import { Denials } from "./denials.ts";
import { type AuditEvent, type AuditEventInput, parseEvent } from "./event.ts";
import type { ExportFormat } from "./exporters/format.ts";
import { type ExportOptions, type ExportParts, exportStream } from "./exports.ts";
import { HeadFile } from "./head-file.ts";
import { activeHolds, type Hold, type HoldScope, placeHold, releaseHold } from "./holds.ts";
import { KeyFiles, type LogKeys, MemoryKeys } from "./keys.ts";
import { createLog, eventOf, type LogIdentity, lastEvent, readLog } from "./log-table.ts";
import { formatVerifierKey, parseVerifierKey } from "./note.ts";
import { CopyOutlet, LatestFile, WitnessOutlet } from "./outlets.ts";
import { type EventProof, placeOf, proveEvent } from "./proof.ts";
import { type AuditQuery, parseQuery } from "./query.ts";
import { Reserve } from "./reserve.ts";
import { type PruneReport, prune, type RetentionRules } from "./retention.ts";
import { AUDIT_MIGRATIONS } from "./schema.ts";
import { searchPage } from "./search.ts";
import { Signer } from "./signer.ts";
import { Subjects } from "./subjects.ts";
import { SubtreeCache } from "./tree.ts";
import type { VerifyReport } from "./verify.ts";
import { type AuditVerifyRequest, verifyIn } from "./verify-request.ts";
import { Witness } from "./witness.ts";
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
  /** When checkpoints are signed, and where they go. */
  readonly checkpoint?: {
    /** Events after which one is made. Default 1000. */
    readonly events?: number | undefined;
    /** Time after which one is made if there are new events, ms. Default one hour. */
    readonly interval?: number | undefined;
    /** Places outside of this host: absolute folders, https:// addresses that take PUT, git repositories. */
    readonly copies?: readonly string[] | undefined;
    /** Witnesses by submission prefix and key (`name+id+base64`, type 0x04). */
    readonly witnesses?: readonly { readonly url: string; readonly key: string }[] | undefined;
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
  checkpoint: z
    .strictObject({
      events: z.int().min(1).max(1_000_000_000).optional(),
      interval: z.number().min(1).optional(),
      copies: z.array(z.string().min(1).max(2048)).max(20).optional(),
      witnesses: z
        .array(z.strictObject({ url: z.url({ protocol: /^https?$/ }).max(2048), key: z.string().max(1024) }))
        .max(20)
        .optional(),
    })
    .optional(),
  store: z.custom<Store>((value) => typeof value === "object" && value !== null && "write" in value).optional(),
  clock: z.custom<Clock>((value) => typeof value === "object" && value !== null && "now" in value).optional(),
});

const days = z.int().min(0).max(36_500);
const pruneSchema: z.ZodType<{ readonly rules: RetentionRules; readonly dryRun?: boolean | undefined }> = z.strictObject({
  rules: z.strictObject({ days, categories: z.record(z.string(), days).optional(), standards: z.record(z.string(), days).optional() }),
  dryRun: z.boolean().optional(),
});

/** What initialize() comes to. */
interface Opened {
  readonly log: LogIdentity;
  readonly writer: Writer;
  readonly denials: Denials;
  readonly signer: Signer;
  readonly checkpointer: Checkpointer;
  readonly subjects: Subjects;
  readonly subtrees: SubtreeCache;
}

/** Validates, seals and writes. Without personal data the event is settled before this returns. */
async function record({ writer, subjects }: Pick<Opened, "writer" | "subjects">, event: AuditEventInput): Promise<AuditEvent> {
  const { personal, ...parsed } = parseEvent(event);
  if (personal === undefined) return await writer.log(parsed);
  // What the caller changes while the key is fetched is not recorded.
  return await writer.log(await subjects.seal(structuredClone({ ...parsed, personal })));
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
  readonly #keys: LogKeys;
  readonly #headFile: HeadFile | undefined;
  readonly #checkpoint: NonNullable<AuditLoggerOptions["checkpoint"]>;
  /** Files beside the database; undefined for a log in memory. */
  readonly #paths: Paths | undefined;
  #opened: Opened | undefined;

  constructor(options: AuditLoggerOptions = {}) {
    const parsed = parseInput(optionsSchema, options, "options of AuditLogger");
    const directory = parsed.storage?.directory;
    const file = parsed.storage?.file ?? (directory === undefined ? undefined : join(directory, "cofferdam.db"));
    this.#clock = parsed.clock ?? systemClock;
    this.#ownsStore = parsed.store === undefined;
    this.#store = parsed.store ?? new SqliteStore({ path: file, clock: this.#clock });
    this.#checkpoint = parsed.checkpoint ?? {};
    const paths = directory !== undefined ? inDirectory(directory) : file === undefined ? undefined : besideFile(file);
    this.#paths = paths;
    this.#keys = paths === undefined ? new MemoryKeys() : new KeyFiles(paths.key);
    this.#headFile = paths === undefined ? undefined : new HeadFile(paths.head);
  }

  /**
   * Opens the log; makes it on first use. A log that does not agree with its acknowledged head opens too, for search and
   * verification; {@link log} refuses it.
   */
  async initialize(): Promise<void> {
    if (this.#opened !== undefined) return;
    const { log, last } = await available(async () => {
      await this.#store.migrate("audit", AUDIT_MIGRATIONS);
      const known = (await this.#store.read(readLog)) ?? (await this.#create());
      return { log: known, last: await this.#store.read((tx) => latestCheckpoint(tx, known)) };
    });
    this.#opened ??= this.#assemble(log, last);
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
    return await record(this.#open(), event);
  }

  /**
   * Records a refusal. The first 20 of one actor (user, else session), category and action in a minute are recorded like any
   * event; further ones are counted, and within a second one event with `details.coalesced` stands for them all. Resolves with
   * the event that stands for this one. Throws like {@link log}.
   */
  async denied(event: Omit<AuditEventInput, "result">): Promise<AuditEvent> {
    return await this.#open().denials.log({ ...event, result: "failure" });
  }

  /**
   * Goes on after the head file was lost or does not agree with the log any more; an event records what was found and why.
   * Throws FAILED_PRECONDITION when nothing is wrong, and when acknowledged events are lost and `acceptLoss` does not say so.
   */
  async recover(request: { readonly reason: string; readonly acceptLoss?: boolean }): Promise<AuditEvent> {
    return await this.#open().writer.recover(request.reason, request.acceptLoss === true);
  }

  /** A new signing key after the loss of the old one, for which nothing vouches; an event records it and why. */
  async replaceLostKey(reason: string): Promise<AuditEvent> {
    const { signer, writer } = this.#open();
    return await signer.replace(writer, reason);
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
  async export(query: AuditQuery, format: ExportFormat, options: ExportOptions = {}): Promise<string> {
    const pieces: string[] = [];
    for await (const piece of this.exportStream(query, format, options)) pieces.push(piece);
    return pieces.join("");
  }

  /**
   * Streams matching events from one snapshot, while others go on appending. A compliance report is an event itself. Throws
   * INVALID_ARGUMENT, FAILED_PRECONDITION (see the format), and the reason of `options.signal` when that ends it.
   */
  async *exportStream(query: AuditQuery, format: ExportFormat, options: ExportOptions = {}): AsyncGenerator<string> {
    yield* exportStream(this.#exportParts(), query, format, options);
  }

  /**
   * Recomputes the events between two times (both optional, inclusive), and compares the end with the acknowledged head.
   * The time column says which events a range has; only without dates is every row looked at, whatever its columns say.
   */
  async verifyIntegrity(startDate?: Date | string, endDate?: Date | string): Promise<VerifyReport> {
    const range = parseQuery({ startDate, endDate });
    return await this.verify({ startDate: range.startDate, endDate: range.endDate });
  }

  /**
   * {@link verifyIntegrity} with everything that a log may be held against. Throws INVALID_ARGUMENT for keys, checkpoints
   * and states that are none, INTEGRITY_FAILURE for a checkpoint whose signature does not verify.
   */
  async verify(request: AuditVerifyRequest): Promise<VerifyReport> {
    const { log } = this.#open();
    // Read before the rows: a head that is written meanwhile can only be newer than what is compared with it.
    const head = this.#headFile?.read();
    return await this.#store.read((tx) => verifyIn(tx, log, head, request));
  }

  /**
   * Signs what the log holds now and brings it where checkpoints go. Throws FAILED_PRECONDITION for an empty log or a lost
   * key, INTEGRITY_FAILURE when log, copy or witness contradict each other, UPSTREAM_UNAVAILABLE when one was not reached.
   */
  async checkpoint(): Promise<SignedCheckpoint> {
    return await this.#open().checkpointer.make();
  }

  /** Why the last checkpoint was not made, or did not reach all its places; undefined when all is well or none was due. */
  get checkpointProblem(): CofferdamError | undefined {
    return this.#open().checkpointer.problem;
  }

  /** The key that signs checkpoints now, as a verifier pins it: `name+id+base64`. Throws FAILED_PRECONDITION when it is lost. */
  async verifierKey(): Promise<string> {
    return formatVerifierKey(await this.#open().signer.verifierKey());
  }

  /** The proof that an event, by number or id, is in the log; makes a checkpoint if none covers it yet. Throws NOT_FOUND. */
  async prove(event: number | string): Promise<EventProof> {
    const { log, checkpointer, subtrees } = this.#open();
    const covered = await this.#store.read(async (tx) => {
      const seq = await placeOf(tx, event);
      const latest = await latestCheckpoint(tx, log);
      return latest !== undefined && latest.size >= seq ? await proveEvent(tx, seq, latest, subtrees) : undefined;
    });
    if (covered !== undefined) return covered;
    const made = await checkpointer.make();
    return await this.#store.read(async (tx) => await proveEvent(tx, await placeOf(tx, event), made, subtrees));
  }

  /** A new signing key, for which the present one vouches in an event. @param overlap events for which both sign; default 10,000. */
  async rotateKey(overlap?: number): Promise<AuditEvent> {
    const { signer, writer } = this.#open();
    return await signer.rotate(writer, overlap);
  }

  /** Personal data of an event, or undefined when it has none or it was erased. Throws INTEGRITY_FAILURE when it does not open. */
  async personalData(event: Pick<AuditEvent, "personal">): Promise<JsonObject | undefined> {
    return await this.#open().subjects.open(event);
  }

  /** Erases the personal data of one person from every event by destroying its key; an event records that. Throws NOT_FOUND. */
  async eraseSubject(subject: string, reason: string): Promise<AuditEvent> {
    const { subjects, writer } = this.#open();
    return await subjects.erase(writer, subject, reason);
  }

  /**
   * Takes away the texts that retention no longer asks for; see {@link RetentionRules}. Their places still verify, and events
   * say what went. Holds and the log's events about itself keep theirs. Throws FAILED_PRECONDITION when
   * another process prunes, or places a hold, at the same time.
   */
  async prune(request: { readonly rules: RetentionRules; readonly dryRun?: boolean }): Promise<PruneReport> {
    const { rules, dryRun = false } = parseInput(pruneSchema, request, "retention");
    return await prune(this.#store, this.#open().writer, this.#clock, rules, dryRun);
  }

  /** Places a legal hold: what it covers keeps its text until {@link releaseHold}. An empty scope covers everything. Throws INVALID_ARGUMENT. */
  async placeHold(scope: HoldScope, reason: string): Promise<{ readonly id: string; readonly event: AuditEvent }> {
    return await placeHold(this.#open().writer, scope, reason);
  }

  /** Throws NOT_FOUND. */
  async releaseHold(id: string, reason: string): Promise<AuditEvent> {
    return await releaseHold(this.#open().writer, id, reason);
  }

  /** Holds that were placed and not released. */
  async holds(): Promise<readonly Hold[]> {
    this.#open();
    return await this.#store.read(activeHolds);
  }

  /** Takes no more events, waits for those that are being written and for the checkpoint that is due, then closes. */
  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.denials.flush();
    await opened?.writer.idle();
    await opened?.checkpointer.close();
    if (this.#ownsStore) await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): Opened {
    if (this.#opened === undefined) throw new CofferdamError("NOT_INITIALIZED", "AuditLogger: call initialize() first");
    return this.#opened;
  }

  #exportParts(): ExportParts {
    const { log, checkpointer, writer } = this.#open();
    return { store: this.#store, log, checkpointer, headFile: this.#headFile, record: (event) => writer.logWith(async () => event) };
  }

  async #create(): Promise<LogIdentity> {
    // Only for a new log: a key that is lost later is not replaced in silence by one that the chain does not know.
    const key = await this.#keys.current(true);
    return await this.#store.write((tx) => createLog(tx, key?.raw.toString("base64") ?? "", this.#headFile));
  }

  #assemble(log: LogIdentity, last: SignedCheckpoint | undefined): Opened {
    const [store, clock] = [this.#store, this.#clock];
    const { events = 1000, interval = 3_600_000, copies = [], witnesses = [] } = this.#checkpoint;
    const signer = new Signer(store, log, this.#keys);
    const outlets = [
      ...(this.#paths === undefined ? [] : [new LatestFile(this.#paths.latest)]),
      ...witnesses.map(({ url, key }) => new WitnessOutlet(new Witness(url, parseVerifierKey(key)), store)),
      ...copies.map((address) => new CopyOutlet(copyAt(address, this.#paths?.work ?? tmpdir()), store, log)),
    ];
    const own = (event: AuditEventInput): Promise<AuditEvent> => writer.logWith(async () => event);
    const checkpointer = new Checkpointer({ store, log, signer, clock, schedule: { events, interval }, outlets, record: own }, last);
    const reserve = this.#paths === undefined ? undefined : new Reserve(this.#paths.reserve);
    const writer = new Writer({ store, log, headFile: this.#headFile, reserve, clock, appended: (size) => checkpointer.appended(size) });
    const subjects = new Subjects(store, log);
    const denials = new Denials((event) => record({ writer, subjects }, event), clock);
    return { log, writer, subjects, subtrees: new SubtreeCache(), denials, signer, checkpointer };
  }
}

interface Paths {
  readonly key: string;
  readonly head: string;
  readonly latest: string;
  readonly reserve: string;
  /** Folder for what copies need. */
  readonly work: string;
}

function inDirectory(directory: string): Paths {
  const work = join(directory, "checkpoints");
  return { key: join(directory, "keys", "audit.pem"), head: join(work, "head"), latest: join(work, "latest"), reserve: join(work, "reserve"), work };
}

function besideFile(file: string): Paths {
  return { key: `${file}.key.pem`, head: `${file}.head`, latest: `${file}.checkpoint`, reserve: `${file}.reserve`, work: `${file}.copies` };
}

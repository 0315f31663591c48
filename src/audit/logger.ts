/**
 * AuditLogger: an append-only log whose events are chained by hash and durable before anybody is told that they are
 * recorded. Many processes may append to one log at once.
 */
import { join } from "node:path";
import { z } from "zod";
import { type Clock, CofferdamError, type JsonObject, parseInput, systemClock } from "../foundation/index.ts";
import { HeadFile, SqliteStore, type Store } from "../store/index.ts";
import { hashText } from "./chain.ts";
import { latestCheckpoint, type SignedCheckpoint } from "./checkpoint-table.ts";
import type { Delivery } from "./deliveries.ts";
import type { AuditEvent, AuditEventInput } from "./event.ts";
import type { EvidenceOptions, EvidenceReport } from "./evidence/write.ts";
import type { ExportFormat } from "./exporters/format-names.ts";
import type { ExportOptions, ExportParts } from "./exports.ts";
import type { Hold, HoldScope } from "./holds.ts";
import { KeyFiles, type LogKeys, MemoryKeys } from "./keys.ts";
import { createLog, eventOf, type LogIdentity, lastEvent, readLog } from "./log-table.ts";
import { formatVerifierKey } from "./note.ts";
import { type AuditLoggerOptions, parseOptions } from "./options.ts";
import type { GuardedTrail } from "./outside.ts";
import { assemble, bringOut, type LogParts, record } from "./parts.ts";
import { type LogPaths, pathsOf } from "./paths.ts";
import { type EventProof, placeOf, proveEvent } from "./proof.ts";
import { type AuditQuery, parseQuery } from "./query.ts";
import type { PruneReport } from "./retention.ts";
import { type RetentionRules, rulesSchema } from "./retention-rules.ts";
import { AUDIT_MIGRATIONS } from "./schema.ts";
import { searchPage } from "./search.ts";
import type { VerifyReport } from "./verify.ts";
import type { AuditVerifyRequest } from "./verify-request.ts";
import { available } from "./writer.ts";

export interface AuditPage {
  /** At most `limit`. Fewer, even none, do not mean that there are no more: `next` does. */
  readonly events: readonly AuditEvent[];
  /** Pass as `after` for the next page; undefined on the last one. */
  readonly next: number | undefined;
}

const pruneSchema: z.ZodType<{ readonly rules?: RetentionRules | undefined; readonly dryRun?: boolean | undefined }> = z.strictObject({
  rules: rulesSchema.optional(),
  dryRun: z.boolean().optional(),
});

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
export class AuditLogger implements GuardedTrail {
  readonly #store: Store;
  readonly #ownsStore: boolean;
  readonly #clock: Clock;
  readonly #keys: LogKeys;
  readonly #headFile: HeadFile | undefined;
  readonly #checkpoint: NonNullable<AuditLoggerOptions["checkpoint"]>;
  readonly #retention: RetentionRules | undefined;
  readonly #standards: readonly string[];
  /** Files beside the database; undefined for a log in memory. */
  readonly #paths: LogPaths | undefined;
  #opened: LogParts | undefined;

  constructor(options: AuditLoggerOptions = {}) {
    const parsed = parseOptions(options);
    const directory = parsed.storage?.directory;
    const file = parsed.storage?.file ?? (directory === undefined ? undefined : join(directory, "cofferdam.db"));
    this.#clock = parsed.clock ?? systemClock;
    this.#ownsStore = parsed.store === undefined;
    this.#store = parsed.store ?? new SqliteStore({ path: file, clock: this.#clock });
    this.#checkpoint = parsed.checkpoint ?? {};
    this.#retention = parsed.retention;
    this.#standards = parsed.compliance?.standards ?? [];
    const paths = pathsOf(directory, file);
    this.#paths = paths;
    this.#keys = paths === undefined ? new MemoryKeys() : new KeyFiles(paths.key);
    this.#headFile = paths === undefined ? undefined : new HeadFile(paths.head, "AUDIT_UNAVAILABLE");
  }

  /**
   * Opens the log; makes it on first use. A log that does not agree with its acknowledged head opens too, for search and
   * verification; {@link log} refuses it.
   */
  async initialize(): Promise<void> {
    if (this.#opened !== undefined) return;
    const { log, last } = await available(async () => {
      await this.#store.migrate("audit", AUDIT_MIGRATIONS);
      const known = await this.#store.read(async (tx) => {
        const log = await readLog(tx);
        return log === undefined ? undefined : { log, last: await latestCheckpoint(tx, log) };
      });
      return known ?? { log: await this.#create(), last: undefined };
    });
    this.#opened ??= assemble(
      { store: this.#store, clock: this.#clock, log, keys: this.#keys, headFile: this.#headFile, paths: this.#paths },
      this.#checkpoint,
      last,
    );
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
    return await record(this.#open(), this.#counted(event));
  }

  /**
   * Records a refusal. The first 20 of one actor (user, else session), category and action in a minute are recorded like any
   * event; further ones are counted, and within a second one event with `details.coalesced` stands for them all. Resolves with
   * the event that stands for this one. Throws like {@link log}.
   */
  async denied(event: Omit<AuditEventInput, "result">): Promise<AuditEvent> {
    return await this.#open().denials.log(this.#counted({ ...event, result: "failure" }));
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
    return await (await signer()).replace(writer, reason);
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
    const parts = this.#exportParts();
    yield* (await import("./exports.ts")).exportStream(parts, query, format, options);
  }

  /**
   * Writes a folder for auditors: population, samples with their proofs, checkpoint, and how to check all of it without this
   * log (docs/audit-export.md). It is an event itself. Throws as {@link writeEvidence} says; then there is no folder.
   */
  async evidence(directory: string, period: Pick<AuditQuery, "startDate" | "endDate"> = {}, options: EvidenceOptions = {}): Promise<EvidenceReport> {
    const parts = this.#exportParts();
    return await (await import("./evidence/write.ts")).writeEvidence(parts, directory, period, options);
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
    const { verifyIn } = await import("./verify-request.ts");
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

  /** Every configured copy and witness, with what came of bringing checkpoints there; also by other processes of this log. */
  async deliveries(): Promise<readonly Delivery[]> {
    return await this.#open().deliveries.all();
  }

  /** {@link checkpoint} for {@link requireOutside}: what fails is told by place, and an empty log gets its first event. */
  async bringOut(): Promise<readonly Delivery[]> {
    return await bringOut(this.#store, this.#open());
  }

  /** Why the last checkpoint was not made, or did not reach all its places; undefined when all is well or none was due. */
  get checkpointProblem(): CofferdamError | undefined {
    return this.#open().checkpointer.problem;
  }

  /** The key that signs checkpoints now, as a verifier pins it: `name+id+base64`. Throws FAILED_PRECONDITION when it is lost. */
  async verifierKey(): Promise<string> {
    return formatVerifierKey(await (await this.#open().signer()).verifierKey());
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
    return await (await signer()).rotate(writer, overlap);
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
  async prune(request: { readonly rules?: RetentionRules; readonly dryRun?: boolean } = {}): Promise<PruneReport> {
    const { rules = this.#retention, dryRun = false } = parseInput(pruneSchema, request, "retention");
    if (rules === undefined) throw new CofferdamError("INVALID_ARGUMENT", "retention: which rules? those of the call, or `retention` among the options");
    const { writer } = this.#open();
    return await (await import("./retention.ts")).prune(this.#store, writer, this.#clock, rules, dryRun);
  }

  /** Places a legal hold: what it covers keeps its text until {@link releaseHold}. An empty scope covers everything. Throws INVALID_ARGUMENT. */
  async placeHold(scope: HoldScope, reason: string): Promise<{ readonly id: string; readonly event: AuditEvent }> {
    const { writer } = this.#open();
    return await (await import("./holds.ts")).placeHold(writer, scope, reason);
  }

  /** Throws NOT_FOUND. */
  async releaseHold(id: string, reason: string): Promise<AuditEvent> {
    const { writer } = this.#open();
    return await (await import("./holds.ts")).releaseHold(writer, id, reason);
  }

  /** Holds that were placed and not released. */
  async holds(): Promise<readonly Hold[]> {
    this.#open();
    const { activeHolds } = await import("./holds.ts");
    return await this.#store.read(activeHolds);
  }

  /** How long ago a time was (Unix ms, and the answer in ms), as retention counts it: a clock that jumps ahead makes nothing old. */
  async ageOf(time: number): Promise<number> {
    this.#open();
    const { ageOn } = await import("./retention.ts");
    return await this.#store.read(async (tx) => await ageOn(tx, time, this.#clock.now()));
  }

  /** A hold that covers something of this session; undefined: none does. Throws INTEGRITY_FAILURE for one that cannot be read. */
  async holdOn(sessionId: string): Promise<Hold | undefined> {
    this.#open();
    const { holdOfSession } = await import("./holds.ts");
    return await this.#store.read(async (tx) => await holdOfSession(tx, sessionId));
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

  /** An event that names no standards counts for those of the options. */
  #counted(event: AuditEventInput): AuditEventInput {
    if (this.#standards.length === 0 || event.compliance?.standards !== undefined) return event;
    return { ...event, compliance: { ...event.compliance, standards: this.#standards } };
  }

  #open(): LogParts {
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
}

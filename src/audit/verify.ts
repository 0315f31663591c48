/** Checks stored events: leaves and links are computed again from the stored bytes, never taken from a column. */
import type { Row, Transaction } from "../store/index.ts";
import { type EventBody, parseBody } from "./body.ts";
import { chainHash, genesisHash, hashText, leafHash } from "./chain.ts";
import type { HeadState } from "./head-file.ts";
import { bytesOf, hashAt, type LastEvent, type LogIdentity, lastEvent } from "./log-table.ts";
import { timeOf } from "./query.ts";

/**
 * - `content`: bytes and columns of an event do not belong together, or the leaf is not theirs
 * - `link`: the chain hash does not follow from its predecessor
 * - `gap`, `order`, `duplicate`: sequence numbers are not 1, 2, 3...
 * - `head`: the log ends before, or differs from, the last acknowledged head, or that head cannot be read
 */
export type AuditFaultKind = "content" | "link" | "gap" | "order" | "duplicate" | "head";

export interface AuditFault {
  readonly seq: number;
  readonly kind: AuditFaultKind;
  readonly detail: string;
}

export interface VerifyReport {
  readonly verified: number;
  readonly failed: number;
  /** The first 100. */
  readonly errors: readonly AuditFault[];
  /** Events in the log. */
  readonly size: number;
  /** True only against a head or checkpoint that the caller brought from outside; this version takes none. */
  readonly anchored: false;
  /** Last event: sequence number and chain hash. Keep it elsewhere, and a later change of anything before it shows. */
  readonly head: { readonly seq: number; readonly hash: string } | undefined;
  /** Events acknowledged according to the head file; undefined when none could be compared (a log in memory keeps none). */
  readonly acknowledged: number | undefined;
}

export interface TimeRange {
  readonly startDate: Date | string | undefined;
  readonly endDate: Date | string | undefined;
}

const MAX_LISTED = 100;

/** Verifies the events of a time range (all of them without one) and compares the log's end with the acknowledged head. */
export async function verifyLog(tx: Transaction, log: LogIdentity, head: HeadState | undefined, range: TimeRange): Promise<VerifyReport> {
  const last = await lastEvent(tx);
  const span = await spanOf(tx, range);
  const before = span === undefined || span.from <= 1 ? undefined : await hashAt(tx, span.from - 1);
  const verifier = new ChainVerifier(log, span?.from ?? 1, before === undefined ? undefined : Buffer.from(before, "hex"));
  const columns = "SELECT seq, id, at, category, action, result, user_id, session_id, resource_type, resource_id, body, leaf, previous, hash FROM audit_events";
  // Without dates nothing is asked of any column: a row that an edited column would hide is met all the same.
  const rows =
    range.startDate === undefined && range.endDate === undefined
      ? tx.iterate(`${columns} ORDER BY seq`)
      : tx.iterate(`${columns} WHERE seq >= ? AND seq <= ? ORDER BY seq`, span === undefined ? [1, 0] : [span.from, span.to]);
  for await (const row of rows) verifier.add(row);
  const fault = head === undefined ? undefined : await headFault(tx, log, last, head);
  if (fault !== undefined) verifier.fail(fault);
  return {
    ...verifier.counts,
    size: last?.seq ?? 0,
    anchored: false,
    head: last === undefined ? undefined : { seq: last.seq, hash: hashText(last.hash) },
    acknowledged: head !== undefined && "head" in head ? head.head.seq : undefined,
  };
}

/** First and last sequence number of a time range; undefined for one without events. */
async function spanOf(tx: Transaction, { startDate, endDate }: TimeRange): Promise<{ from: number; to: number } | undefined> {
  if (startDate === undefined && endDate === undefined) return { from: 1, to: Number.MAX_SAFE_INTEGER };
  const row = await tx.get("SELECT min(seq) AS low, max(seq) AS high FROM audit_events WHERE at >= ? AND at <= ?", [
    startDate === undefined ? Number.MIN_SAFE_INTEGER : timeOf(startDate),
    endDate === undefined ? Number.MAX_SAFE_INTEGER : timeOf(endDate),
  ]);
  if (row?.["low"] === null || row?.["low"] === undefined) return undefined;
  return { from: startDate === undefined ? 1 : Number(row["low"]), to: Number(row["high"]) };
}

/** Why the log does not agree with the acknowledged head, or undefined when it does. */
export async function headFault(tx: Transaction, log: LogIdentity, last: LastEvent | undefined, state: HeadState): Promise<AuditFault | undefined> {
  const size = last?.seq ?? 0;
  if ("absent" in state) return { seq: size, kind: "head", detail: "the head file is missing: whether the log was cut off cannot be told" };
  if ("damaged" in state) return { seq: size, kind: "head", detail: `the head file is damaged (${state.damaged}): whether the log was cut off cannot be told` };
  const { logId, seq, hash } = state.head;
  const fault = (detail: string): AuditFault => ({ seq, kind: "head", detail });
  if (logId !== log.logId) return fault("the head file belongs to another log: this database replaced the one it was made with");
  if (size < seq) return fault(`${seq} events were acknowledged, the log has ${size}: it was cut off or rolled back`);
  if (seq > 0 && (await hashAt(tx, seq)) !== hash) return fault(`event ${seq} is not the one that was acknowledged: the log was written again`);
  return undefined;
}

type Complaint = Omit<AuditFault, "seq">;

/** Takes rows in order of `seq` and counts what holds. */
class ChainVerifier {
  readonly #logId: string;
  readonly #from: number;
  #previous: Buffer | undefined;
  #expected: number;
  #bad = 0;
  #good = 0;
  readonly #errors: AuditFault[] = [];
  readonly #ids = new Set<string>();

  /** @param from first sequence number of the range; @param before chain hash of the event in front of it. */
  constructor(log: LogIdentity, from: number, before: Buffer | undefined) {
    this.#logId = log.logId;
    this.#from = from;
    this.#previous = from === 1 ? genesisHash(log.logId, log.publicKey) : before;
    this.#expected = from;
  }

  add(row: Row): void {
    const seq = Number(row["seq"]);
    const body = bytesOf(row["body"]);
    const leaf = leafHash(body);
    if (!Number.isSafeInteger(seq) || seq < this.#from) {
      // It has no place in the chain, so nothing that follows is measured against it.
      this.fail({ seq: this.#expected, kind: "order", detail: `a row has ${JSON.stringify(String(row["seq"]))} for a sequence number` });
      return;
    }
    const complaints = [...this.#place(seq), ...this.#content(row, seq, body, leaf), ...this.#link(row, leaf)];
    if (complaints.length === 0) this.#good += 1;
    else this.#bad += 1;
    for (const complaint of complaints) this.#list({ seq, ...complaint });
    this.#expected = seq + 1;
    // After a fault the chain goes on from what is stored, so that one change is one error and not all that follow.
    this.#previous = bytesOf(row["hash"]);
  }

  fail(fault: AuditFault): void {
    this.#bad += 1;
    this.#list(fault);
  }

  get counts(): { verified: number; failed: number; errors: readonly AuditFault[] } {
    return { verified: this.#good, failed: this.#bad, errors: this.#errors };
  }

  #list(fault: AuditFault): void {
    if (this.#errors.length < MAX_LISTED) this.#errors.push(fault);
  }

  #place(seq: number): Complaint[] {
    if (seq > this.#expected) return [{ kind: "gap", detail: `events ${this.#expected} to ${seq - 1} are missing` }];
    return seq < this.#expected ? [{ kind: "duplicate", detail: `sequence number ${seq} comes again` }] : [];
  }

  #content(row: Row, seq: number, body: Buffer, leaf: Buffer): Complaint[] {
    const found: Complaint[] = [];
    if (!leaf.equals(bytesOf(row["leaf"]))) found.push({ kind: "content", detail: "the event's bytes are not the ones that were hashed" });
    const event = parseBody(body);
    if (event === undefined) return [...found, { kind: "content", detail: "the event's bytes are not an event" }];
    if (event.seq !== seq) found.push({ kind: "order", detail: `the event at ${seq} says it is ${event.seq}` });
    if (event.logId !== this.#logId) found.push({ kind: "content", detail: "the event belongs to another log" });
    if (this.#ids.has(event.id)) found.push({ kind: "duplicate", detail: `id ${event.id} comes again` });
    // Ids are compared within a window: enough to see a copied event, bounded in memory.
    this.#ids.add(event.id);
    if (this.#ids.size > 10_000) this.#ids.clear();
    const column = COLUMNS.find(([name, value]) => (row[name] ?? undefined) !== value(event));
    if (column !== undefined) found.push({ kind: "content", detail: `column ${column[0]} differs from the event` });
    return found;
  }

  #link(row: Row, leaf: Buffer): Complaint[] {
    const found: Complaint[] = [];
    const previous = bytesOf(row["previous"]);
    if (this.#previous !== undefined && !this.#previous.equals(previous)) found.push({ kind: "link", detail: "it does not follow the event before it" });
    if (!chainHash(previous, leaf).equals(bytesOf(row["hash"]))) found.push({ kind: "link", detail: "its chain hash is not the hash of what it holds" });
    return found;
  }
}

const COLUMNS: readonly (readonly [string, (event: EventBody) => string | number | undefined])[] = [
  ["id", (event) => event.id],
  ["at", (event) => Date.parse(event.timestamp)],
  ["category", (event) => event.category],
  ["action", (event) => event.action],
  ["result", (event) => event.result],
  ["user_id", (event) => event.userId],
  ["session_id", (event) => event.sessionId],
  ["resource_type", (event) => event.resourceType],
  ["resource_id", (event) => event.resourceId],
];

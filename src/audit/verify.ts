/** Checks stored events: leaves and links are computed again from the stored bytes, never taken from a column. */
import type { Row } from "../store/index.ts";
import { chainHash, genesisHash, leafHash, parseBody } from "./event.ts";
import type { Head } from "./head-file.ts";

/**
 * - `content`: bytes and columns of an event do not belong together, or the leaf is not theirs
 * - `link`: the chain hash does not follow from its predecessor
 * - `gap`, `order`, `duplicate`: sequence numbers are not 1, 2, 3...
 * - `head`: the log ends before, or differs from, the last acknowledged head
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
}

const MAX_LISTED = 100;

/** Takes rows in order of `seq` and counts what holds. */
export class ChainVerifier {
  readonly #logId: string;
  #previous: Buffer | undefined;
  #expected: number | undefined;
  #bad = 0;
  #good = 0;
  readonly #errors: AuditFault[] = [];
  readonly #ids = new Set<string>();

  /** @param from first sequence number of the range; @param before chain hash of the event in front of it. */
  constructor(log: { logId: string; publicKey: string }, from: number, before: Uint8Array | undefined) {
    this.#logId = log.logId;
    this.#previous = from === 1 ? genesisHash(log.logId, log.publicKey) : before === undefined ? undefined : Buffer.from(before);
    this.#expected = from;
  }

  add(row: Row): void {
    const seq = Number(row["seq"]);
    const faults = [...this.#place(seq), ...this.#content(row, seq), ...this.#link(row)];
    if (faults.length === 0) this.#good += 1;
    else this.#bad += 1;
    for (const fault of faults) this.fault({ ...fault, seq });
    this.#expected = seq + 1;
    // After a fault the chain goes on from what is stored, so that one change is one error and not all that follow.
    this.#previous = bytes(row["hash"]);
  }

  fault(fault: AuditFault): void {
    if (this.#errors.length < MAX_LISTED) this.#errors.push(fault);
  }

  /** Compares the log's end with the acknowledged head. */
  end(last: { seq: number; hash: Buffer } | undefined, acknowledged: Head | undefined, atHead: Buffer | undefined): void {
    if (acknowledged === undefined) return;
    const size = last?.seq ?? 0;
    const fail = (detail: string): void => {
      this.#bad += 1;
      this.fault({ seq: acknowledged.seq, kind: "head", detail });
    };
    if (acknowledged.logId !== this.#logId) fail("the head file belongs to another log: this database replaced the one it was made with");
    else if (size < acknowledged.seq) fail(`${acknowledged.seq} events were acknowledged, the log has ${size}: it was cut off or rolled back`);
    else if (acknowledged.seq > 0 && atHead?.toString("hex") !== acknowledged.hash)
      fail(`event ${acknowledged.seq} is not the one that was acknowledged: the log was written again`);
  }

  get counts(): { verified: number; failed: number; errors: readonly AuditFault[] } {
    return { verified: this.#good, failed: this.#bad, errors: this.#errors };
  }

  *#place(seq: number): Generator<Omit<AuditFault, "seq">> {
    const expected = this.#expected ?? seq;
    if (seq > expected) yield { kind: "gap", detail: `events ${expected} to ${seq - 1} are missing` };
    else if (seq < expected) yield { kind: "duplicate", detail: `sequence number ${seq} comes again` };
  }

  *#content(row: Row, seq: number): Generator<Omit<AuditFault, "seq">> {
    const body = bytes(row["body"]);
    if (!leafHash(body).equals(bytes(row["leaf"]))) yield { kind: "content", detail: "the event's bytes are not the ones that were hashed" };
    const event = parseBody(body);
    if (event === undefined) {
      yield { kind: "content", detail: "the event's bytes are not an event" };
      return;
    }
    if (event.seq !== seq) yield { kind: "order", detail: `the event at ${seq} says it is ${event.seq}` };
    if (event.logId !== this.#logId) yield { kind: "content", detail: "the event belongs to another log" };
    if (this.#ids.has(event.id)) yield { kind: "duplicate", detail: `id ${event.id} comes again` };
    // Ids are compared within a window: enough to see a copied event, bounded in memory.
    this.#ids.add(event.id);
    if (this.#ids.size > 10_000) this.#ids.clear();
    const column = COLUMNS.find(([name, value]) => (row[name] ?? undefined) !== value(event));
    if (column !== undefined) yield { kind: "content", detail: `column ${column[0]} differs from the event` };
  }

  *#link(row: Row): Generator<Omit<AuditFault, "seq">> {
    const previous = bytes(row["previous"]);
    if (this.#previous !== undefined && !this.#previous.equals(previous)) yield { kind: "link", detail: "it does not follow the event before it" };
    if (!chainHash(previous, leafHash(bytes(row["body"]))).equals(bytes(row["hash"])))
      yield { kind: "link", detail: "its chain hash is not the hash of what it holds" };
  }
}

type Body = NonNullable<ReturnType<typeof parseBody>>;

const COLUMNS: readonly (readonly [string, (event: Body) => string | number | undefined])[] = [
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

function bytes(value: unknown): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.alloc(0);
}

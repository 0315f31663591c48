/** One event after another: does its text give its leaf, its leaf its link, and is it where it says it is. */
import { createHash } from "node:crypto";
import { canonicalText } from "../foundation/index.ts";
import type { Row } from "../store/index.ts";
import { type EventBody, parseBody } from "./body.ts";
import { chainHash, genesisHash, leafHash } from "./chain.ts";
import type { AuditFault } from "./faults.ts";
import type { LogIdentity } from "./log-table.ts";
import { HASH_BYTES } from "./merkle.ts";

/** Columns that {@link EventCheck} reads. Nothing computed: a computed column is never evidence. */
export const CHECKED_COLUMNS: string = [
  "seq",
  // As texts: a BLOB costs this language an allocation of its own for each row. Anything of another type is a number here, or nothing.
  "CASE typeof(body) WHEN 'text' THEN body WHEN 'null' THEN NULL ELSE 0 END AS body",
  "CASE typeof(leaf) WHEN 'blob' THEN hex(leaf) END AS leaf",
  "CASE typeof(hash) WHEN 'blob' THEN hex(hash) END AS hash",
  "pruned",
].join(", ");
/** Ids are compared within a window: enough to see a copied event, bounded in memory. */
const ID_WINDOW = 10_000;

export interface CheckedEvent {
  readonly seq: number;
  /** The leaf that the chain was made with, as far as that can be told: a changed text is one fault and no other tree. */
  readonly leaf: Buffer;
  /** Undefined when the text is gone (retention) or is no event. */
  readonly body: EventBody | undefined;
  /** The event that says why the text is gone. */
  readonly pruned: number | undefined;
  readonly faults: readonly AuditFault[];
}

export interface EventCheckStart {
  /** Sequence number of the first row that is expected. */
  readonly seq: number;
  /** Chain hash of the event before it; undefined when it is not known, and then that one link is not checked. */
  readonly previous: Buffer | undefined;
}

export class EventCheck {
  readonly #log: LogIdentity;
  readonly #deep: boolean;
  readonly #start: number;
  #expected: number;
  #previous: Buffer | undefined;
  readonly #ids = new Set<string>();

  /** @param deep also make every text anew from its values, instead of trusting that what was hashed is canonical. */
  constructor(log: LogIdentity, start: EventCheckStart, deep: boolean) {
    this.#log = log;
    this.#deep = deep;
    this.#start = start.seq;
    this.#expected = start.seq;
    this.#previous = start.seq === 1 ? genesisHash(log.logId, log.publicKey) : start.previous;
  }

  /** Chain hash of the last row. */
  get hash(): Buffer | undefined {
    return this.#previous;
  }

  /** Checks a row of {@link CHECKED_COLUMNS}; rows come in order of `seq`. Undefined for one that has no place in the log. */
  add(row: Row): CheckedEvent | AuditFault {
    const seq = Number(row["seq"]);
    // It has no place in the chain, so nothing that follows is measured against it.
    if (!Number.isSafeInteger(seq) || seq < this.#start)
      return { seq: this.#start, kind: "order", detail: `a row has ${JSON.stringify(String(row["seq"]))} for a sequence number` };
    const faults: AuditFault[] = [];
    const fault = (kind: AuditFault["kind"], detail: string): void => {
      faults.push({ seq, kind, detail });
    };
    if (seq > this.#expected) fault("gap", `events ${this.#expected} to ${seq - 1} are missing`);
    if (seq < this.#expected) fault("duplicate", `sequence number ${seq} comes again`);
    const stored = hexBytes(row["leaf"]);
    const gone = row["body"] === null;
    const pruned = typeof row["pruned"] === "number" ? row["pruned"] : undefined;
    const text = typeof row["body"] === "string" ? row["body"] : undefined;
    const computed = gone ? stored : leafHash(text ?? "");
    const body = gone ? undefined : this.#content(seq, text, { pruned: row["pruned"] !== null, changed: !computed.equals(stored) }, fault);
    if (gone && (pruned === undefined || stored.length !== HASH_BYTES)) fault("content", "its text is gone, and no event says why");
    const hash = hexBytes(row["hash"]);
    const leaf = [computed, stored].find((one) => this.#previous !== undefined && chainHash(this.#previous, one).equals(hash));
    // With a gap before it, its link cannot be computed: the gap is the fault.
    if (this.#previous !== undefined && seq <= this.#expected && leaf === undefined) fault("link", "its chain hash does not follow from the event before it");
    this.#expected = seq + 1;
    // After a fault the chain goes on from what is stored, so that one change is one error and not all that follow.
    this.#previous = hash;
    return { seq, leaf: leaf ?? computed, body, pruned: gone ? pruned : undefined, faults };
  }

  #content(
    seq: number,
    text: string | undefined,
    { pruned, changed }: { readonly pruned: boolean; readonly changed: boolean },
    fault: (kind: AuditFault["kind"], detail: string) => void,
  ): EventBody | undefined {
    if (pruned) fault("content", "it is marked as pruned, and its text is there");
    // Kept as anything but text, its bytes could hash the same and the database would find no member in it.
    if (text === undefined) {
      fault("content", "its text is not stored as text");
      return undefined;
    }
    if (changed) fault("content", "its text is not what was hashed");
    const body = parseBody(text);
    if (body === undefined) {
      fault("content", "its text is not an event");
      return undefined;
    }
    if (this.#deep && !isCanonical(body, text)) fault("content", "its text is not the canonical form of its values");
    if (body.seq !== seq) fault("order", `the event at ${seq} says it is ${body.seq}`);
    if (body.logId !== this.#log.logId) fault("content", "the event belongs to another log");
    if (this.#ids.has(body.id)) fault("duplicate", `id ${body.id} comes again`);
    this.#ids.add(body.id);
    if (this.#ids.size > ID_WINDOW) this.#ids.clear();
    return body;
  }
}

/** One hash over the leaves whose texts one pruning took away, in their order; what the event of the pruning holds. */
export function prunedDigest(before: Buffer | undefined, leaf: Uint8Array): Buffer {
  const digest = createHash("sha256");
  if (before !== undefined) digest.update(before);
  return digest.update(leaf).digest();
}

function hexBytes(value: unknown): Buffer {
  return Buffer.from(typeof value === "string" ? value : "", "hex");
}

function isCanonical(value: EventBody, text: string): boolean {
  try {
    return canonicalText(value) === text;
  } catch {
    return false;
  }
}

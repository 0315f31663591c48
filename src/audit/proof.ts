/**
 * The proof that one event is in the log, as c2sp.org/tlog-proof v1 writes it: index, inclusion proof, checkpoint. The
 * event's text is its extra data, so that the proof needs nothing else but the log's key.
 */
import { CofferdamError } from "../foundation/index.ts";
import type { Transaction } from "../store/index.ts";
import { type EventBody, parseBody } from "./body.ts";
import { leafHash } from "./chain.ts";
import { type OpenedCheckpoint, openCheckpoint } from "./checkpoint.ts";
import type { SignedCheckpoint } from "./checkpoint-table.ts";
import { HASH_BYTES, MAX_PROOF, verifyInclusion } from "./merkle.ts";
import { MAX_NOTE_BYTES, strictBase64, type VerifierKey } from "./note.ts";
import { bytesOf } from "./row.ts";
import { StoredTree, type SubtreeCache } from "./tree.ts";

const HEADER = "c2sp.org/tlog-proof@v1";
/** Base64 of the largest event, a note, and the hashes between them. */
export const MAX_PROOF_BYTES: number = 96 * 1024 + MAX_NOTE_BYTES;

export interface EventProof {
  readonly seq: number;
  /** The exact text that was hashed; undefined when retention took it away. */
  readonly body: string | undefined;
  readonly leaf: Buffer;
  readonly inclusion: readonly Buffer[];
  readonly checkpoint: SignedCheckpoint;
}

/** Place of an event by its number or id. Throws NOT_FOUND. */
export async function placeOf(tx: Transaction, event: number | string): Promise<number> {
  const row =
    typeof event === "number"
      ? await tx.get("SELECT seq FROM audit_events WHERE seq = ?", [event])
      : await tx.get("SELECT seq FROM audit_events WHERE id = ?", [event]);
  if (row === undefined) throw new CofferdamError("NOT_FOUND", `no event ${String(event).slice(0, 100)} in the audit trail`);
  return Number(row["seq"]);
}

/** @param seq at most the checkpoint's size. Throws INTEGRITY_FAILURE instead of handing out a proof that would not verify. */
export async function proveEvent(tx: Transaction, seq: number, checkpoint: SignedCheckpoint, cache?: SubtreeCache): Promise<EventProof> {
  const row = await tx.get("SELECT body, leaf FROM audit_events WHERE seq = ?", [seq]);
  const leaf = bytesOf(row?.["leaf"]);
  const inclusion = await new StoredTree(tx, cache).inclusion(seq - 1, checkpoint.size);
  const body = row?.["body"];
  const sound = verifyInclusion(leaf, seq - 1, checkpoint.size, inclusion, checkpoint.root) && (typeof body !== "string" || leafHash(body).equals(leaf));
  if (!sound)
    throw new CofferdamError("INTEGRITY_FAILURE", `event ${seq} is not what its checkpoint says: there is no proof for it`, { hint: "cofferdam audit verify" });
  return { seq, body: typeof body === "string" ? body : undefined, leaf, inclusion, checkpoint };
}

export function formatProof({ seq, body, inclusion, checkpoint }: EventProof): string {
  const extra = body === undefined ? "" : `extra ${Buffer.from(body).toString("base64")}\n`;
  return `${HEADER}\n${extra}index ${seq - 1}\n${inclusion.map((hash) => `${hash.toString("base64")}\n`).join("")}\n${checkpoint.note}`;
}

export interface VerifiedProof {
  readonly event: EventBody;
  readonly checkpoint: OpenedCheckpoint;
}

/**
 * Verifies a proof with pinned keys and nothing else. Throws INVALID_ARGUMENT for what is no proof of an event,
 * INTEGRITY_FAILURE for one that does not hold, PAYLOAD_TOO_LARGE past {@link MAX_PROOF_BYTES}.
 */
export function verifyProof(text: string, keys: readonly VerifierKey[]): VerifiedProof {
  if (text.length > MAX_PROOF_BYTES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `a proof larger than ${MAX_PROOF_BYTES} bytes`);
  const end = text.indexOf("\n\n");
  const [header, ...lines] = text.slice(0, Math.max(end, 0)).split("\n");
  const extra = lines[0]?.startsWith("extra ") === true ? strictBase64(lines.shift()?.slice(6) ?? "") : undefined;
  const index = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? "")?.[1];
  if (header !== HEADER || index === undefined || extra === undefined || lines.length > MAX_PROOF) throw malformed();
  const hashes = lines
    .map(strictBase64)
    .filter((hash) => hash?.length === HASH_BYTES)
    .filter((hash) => hash !== undefined);
  if (hashes.length !== lines.length) throw malformed();
  const event = parseBody(extra.toString("utf8"));
  if (event === undefined) throw malformed();
  const checkpoint = openCheckpoint(text.slice(end + 2), keys);
  const place = Number(index);
  if (event.seq !== place + 1 || checkpoint.origin !== `cofferdam/${event.logId}`)
    throw new CofferdamError("INTEGRITY_FAILURE", "the event is of another place or log than its proof");
  if (!verifyInclusion(leafHash(extra), place, checkpoint.size, hashes, checkpoint.root))
    throw new CofferdamError("INTEGRITY_FAILURE", `the proof of event ${event.seq} does not hold`);
  return { event, checkpoint };
}

function malformed(): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", "not a proof of an audit event (c2sp.org/tlog-proof@v1 with the event as extra data)");
}

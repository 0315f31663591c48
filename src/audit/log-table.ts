/** The log's tables read and written: its identity, its last event, appending, and rows as events. */
import { type Clock, CofferdamError, newId } from "../foundation/index.ts";
import type { HeadFile, Row, Transaction } from "../store/index.ts";
import { type PreparedEvent, parseBody } from "./body.ts";
import { chainHash, genesisHash, hashText, leafHash } from "./chain.ts";
import type { AuditEvent } from "./event.ts";
import { bytesOf } from "./row.ts";
import { growTree, type TimedHash } from "./tree.ts";

/** What a log is known by. */
export interface LogIdentity {
  readonly logId: string;
  /** The log's first raw Ed25519 key, base64; the start of the chain is bound to it. */
  readonly publicKey: string;
}

/** The last event's place and chain hash. */
export interface LastEvent {
  readonly seq: number;
  readonly hash: Buffer;
}

/** Columns that {@link eventOf} needs. */
export const EVENT_COLUMNS = "seq, body, hash, (SELECT before.hash FROM audit_events before WHERE before.seq = audit_events.seq - 1) AS previous";

export async function readLog(tx: Transaction): Promise<LogIdentity | undefined> {
  const row = await tx.get("SELECT log_id, public_key FROM audit_log WHERE one = 1");
  return row === undefined ? undefined : { logId: String(row["log_id"]), publicKey: String(row["public_key"]) };
}

/** The log of this database, made when there is none. */
export async function createLog(tx: Transaction, publicKey: string, headFile: HeadFile | undefined): Promise<LogIdentity> {
  const known = await readLog(tx);
  if (known !== undefined) return known;
  const log: LogIdentity = { logId: newId("log"), publicKey };
  await tx.run("INSERT INTO audit_log (one, log_id, public_key) VALUES (1, ?, ?)", [log.logId, log.publicKey]);
  const state = headFile?.read();
  // A head that acknowledged nothing is of a log whose making was interrupted here. Any other belongs to a log that is gone;
  // it stays, and the comparison will say so.
  if (state !== undefined && ("absent" in state || ("head" in state && state.head.seq === 0)))
    headFile?.create({ logId: log.logId, seq: 0, hash: genesisHash(log.logId, publicKey).toString("hex") });
  return log;
}

export async function lastEvent(tx: Transaction): Promise<LastEvent | undefined> {
  const row = await tx.get("SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1");
  return row === undefined ? undefined : { seq: Number(row["seq"]), hash: bytesOf(row["hash"]) };
}

/** Chain hash of the event at `seq`, hex. */
export async function hashAt(tx: Transaction, seq: number): Promise<string | undefined> {
  const row = await tx.get("SELECT hash FROM audit_events WHERE seq = ?", [seq]);
  return row === undefined ? undefined : bytesOf(row["hash"]).toString("hex");
}

/** Appends events to chain and tree. */
export async function append(
  tx: Transaction,
  log: LogIdentity,
  last: LastEvent | undefined,
  batch: readonly PreparedEvent[],
  clock: Clock,
): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  const leaves: TimedHash[] = [];
  let seq = last?.seq ?? 0;
  let previous = last?.hash ?? genesisHash(log.logId, log.publicKey);
  let previousText = hashText(previous);
  let now = Number.NaN;
  let timestamp = "";
  for (const event of batch) {
    seq += 1;
    const at = clock.now();
    // Many events of a batch are of the same millisecond, and a time in words costs half of a hash.
    if (at !== now) timestamp = new Date(at).toISOString();
    now = at;
    const place = { seq, timestamp };
    const body = event.textAt(place);
    const leaf = leafHash(body);
    const hash = chainHash(previous, leaf);
    const { changes } = await tx.run("INSERT INTO audit_events (seq, body, leaf, hash) VALUES (?, ?, ?, ?)", [seq, body, leaf, hash]);
    // A trigger that somebody planted can swallow a row without an error.
    if (changes !== 1) throw new CofferdamError("INTEGRITY_FAILURE", "the audit database does not take events as they are", { hint: "cofferdam audit verify" });
    const text = hashText(hash);
    events.push({ ...event.bodyAt(place), integrity: { hash: text, algorithm: "sha256", previousHash: previousText } });
    leaves.push({ hash: leaf, low: place.timestamp, high: place.timestamp });
    previous = hash;
    previousText = text;
  }
  await growTree(tx, last?.seq ?? 0, leaves);
  return events;
}

/** A row of {@link EVENT_COLUMNS} as an event. Throws INTEGRITY_FAILURE when it is none. */
export function eventOf(row: Row, log: LogIdentity): AuditEvent {
  const body = typeof row["body"] === "string" ? parseBody(row["body"]) : undefined;
  if (body === undefined)
    throw new CofferdamError("INTEGRITY_FAILURE", "the audit trail holds something that is not an event", { hint: "cofferdam audit verify" });
  const previous = Number(row["seq"]) === 1 ? genesisHash(log.logId, log.publicKey) : bytesOf(row["previous"]);
  return { ...body, integrity: { hash: hashText(bytesOf(row["hash"])), algorithm: "sha256", previousHash: hashText(previous) } };
}

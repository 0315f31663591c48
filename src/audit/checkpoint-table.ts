/** Checkpoints as the log keeps them. */
import type { Transaction } from "../store/index.ts";
import { type Checkpoint, originOf } from "./checkpoint.ts";
import type { LogIdentity } from "./log-table.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import { bytesOf } from "./row.ts";

export interface SignedCheckpoint extends Checkpoint {
  /** The signed note: its text, then the lines of the log's keys and of witnesses. */
  readonly note: string;
  /** ISO 8601. Told by this machine's clock and not signed. */
  readonly madeAt: string;
}

/** The largest checkpoint of the log, or undefined before the first. */
export async function latestCheckpoint(tx: Transaction, log: LogIdentity): Promise<SignedCheckpoint | undefined> {
  const row = await tx.get("SELECT size, root, note, made_at FROM audit_checkpoints ORDER BY size DESC LIMIT 1");
  if (row === undefined) return undefined;
  return {
    origin: originOf(log.logId),
    size: Number(row["size"]),
    root: row["root"] === null ? EMPTY_ROOT : bytesOf(row["root"]),
    note: String(row["note"]),
    madeAt: String(row["made_at"]),
  };
}

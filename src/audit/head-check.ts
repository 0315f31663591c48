/** The log's end held against the head that was acknowledged: at every commit, and when a log is verified. */
import type { HeadState, Transaction } from "../store/index.ts";
import type { AuditFault } from "./faults.ts";
import { hashAt, type LastEvent, type LogIdentity } from "./log-table.ts";

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

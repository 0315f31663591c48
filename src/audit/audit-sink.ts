/** What other rooms need of the log to record what they do. */
import type { AuditEvent, AuditEventInput } from "./event.ts";

export interface AuditSink {
  log(event: AuditEventInput): Promise<AuditEvent>;
}

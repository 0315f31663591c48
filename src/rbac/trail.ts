/** What this room needs of the audit trail. */
import type { Trail, TrailEvent } from "../foundation/index.ts";

/** Category of every event of this room. */
export const CATEGORY = "authorization";

/** AuditLogger is one. */
export interface AuditTrail extends Trail {
  /** For refusals: floods of them are counted. */
  denied(event: Omit<TrailEvent, "result">): Promise<unknown>;
}

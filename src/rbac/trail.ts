/** What this room needs of the audit trail. */
import type { JsonObject } from "../foundation/index.ts";

/** Category of every event of this room. */
export const CATEGORY = "authorization";

export interface TrailEvent {
  readonly category: string;
  readonly action: string;
  readonly result: "success" | "failure";
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly details?: JsonObject | undefined;
  readonly personal?: { readonly subject: string; readonly data: JsonObject } | undefined;
}

/** AuditLogger is one. */
export interface AuditTrail {
  log(event: TrailEvent): Promise<unknown>;
  /** For refusals: floods of them are counted. */
  denied(event: Omit<TrailEvent, "result">): Promise<unknown>;
}

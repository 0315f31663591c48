/** What a room puts on record, and where: the audit trail as rooms that must not know it see it. */
import type { JsonObject } from "./canonical.ts";

export interface TrailEvent {
  /** Category and action are open vocabularies of one grammar (docs/audit.md). */
  readonly category: string;
  readonly action: string;
  readonly result: "success" | "failure";
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly details?: JsonObject | undefined;
  /**
   * What is about a person and may have to be erased: sealed with a key of that person's before it is hashed. Destroying the
   * key (`AuditLogger.eraseSubject`) erases it everywhere, also in copies of the log, and every hash stands.
   */
  readonly personal?: { readonly subject: string; readonly data: JsonObject } | undefined;
}

/** AuditLogger is one. */
export interface Trail {
  log(event: TrailEvent): Promise<unknown>;
}

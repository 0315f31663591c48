/** Audit: what happened, written down so that a change shows. */
export type { AuditEvent, AuditEventInput } from "./event.ts";
export { AuditLogger, type AuditLoggerOptions, type AuditPage, type AuditSink } from "./logger.ts";
export type { AuditQuery } from "./query.ts";
export type { AuditFault, AuditFaultKind, VerifyReport } from "./verify.ts";

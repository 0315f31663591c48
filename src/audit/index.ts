/** Audit: what happened, written down so that a change shows. */
export type { AuditEvent, AuditEventInput } from "./event.ts";
export type { AuditFault, AuditFaultKind } from "./faults.ts";
export { AuditLogger, type AuditLoggerOptions, type AuditPage, type AuditSink } from "./logger.ts";
export type { AuditQuery } from "./query.ts";
export type { VerifyReport } from "./verify.ts";

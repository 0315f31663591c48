/** Audit: what happened, written down so that a change shows, and so that others can check it. */
export { boundedLines } from "./bounded-lines.ts";
export { type BundleReport, type BundleTrust, verifyBundle } from "./bundle-check.ts";
export { type Checkpoint, type OpenedCheckpoint, openCheckpoint } from "./checkpoint.ts";
export type { SignedCheckpoint } from "./checkpointer.ts";
export type { AuditEvent, AuditEventInput, SealedData } from "./event.ts";
export { EXPORT_FORMATS, type ExportFormat } from "./exporters/format.ts";
export type { ExportOptions } from "./exports.ts";
export type { AuditFault, AuditFaultKind } from "./faults.ts";
export type { Hold, HoldScope } from "./holds.ts";
export { AuditLogger, type AuditLoggerOptions, type AuditPage, type AuditSink } from "./logger.ts";
export { formatVerifierKey, parseVerifierKey, type VerifierKey } from "./note.ts";
export { type EventProof, formatProof, type VerifiedProof, verifyProof } from "./proof.ts";
export type { AuditQuery } from "./query.ts";
export { type PruneReport, type RetentionRules, STANDARD_DAYS } from "./retention.ts";
export type { VerifyReport } from "./verify.ts";
export type { AuditVerifyRequest } from "./verify-request.ts";
export type { VerifyState } from "./verify-state.ts";

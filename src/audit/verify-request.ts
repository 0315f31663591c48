/** What a log is held against when it is verified: keys and checkpoints as callers have them, made ready for verify.ts. */
import type { HeadState, Transaction } from "../store/index.ts";
import { openCheckpoint } from "./checkpoint.ts";
import type { LogIdentity } from "./log-table.ts";
import { parseVerifierKey, SIGNATURE_TYPES } from "./note.ts";
import { ringOf } from "./signer.ts";
import { type VerifyReport, verifyLog } from "./verify.ts";
import { parseState } from "./verify-state.ts";

/** What {@link AuditLogger.verify} holds a log against, and how thoroughly. */
export interface AuditVerifyRequest {
  readonly startDate?: Date | string | undefined;
  /** Inclusive. */
  readonly endDate?: Date | string | undefined;
  /** Verifier keys (`name+id+base64`) from outside: of the log, of witnesses, or both. */
  readonly keys?: readonly string[] | undefined;
  /** Signed checkpoints from outside, as they were kept. */
  readonly checkpoints?: readonly string[] | undefined;
  /** `state` of an earlier report; it is believed. */
  readonly resume?: unknown;
  /** Also make every text anew from its values, instead of trusting that what was hashed is canonical. */
  readonly deep?: boolean | undefined;
  /** False leaves out that every index holds what its table does: a third of the time, and what searches could miss. Default true. */
  readonly indexes?: boolean | undefined;
  /** Ends the verification early; the report then covers what was read. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Verifies a snapshot. Throws INVALID_ARGUMENT for keys, checkpoints and states that are none, INTEGRITY_FAILURE for a
 * checkpoint whose signature does not verify.
 */
export async function verifyIn(
  tx: Transaction,
  log: LogIdentity,
  head: HeadState | undefined,
  { keys, checkpoints = [], resume, ...request }: AuditVerifyRequest,
): Promise<VerifyReport> {
  const given = keys?.map(parseVerifierKey) ?? [];
  const ofLog = given.filter(({ type }) => type === SIGNATURE_TYPES.ed25519);
  const witnesses = given.filter(({ type }) => type === SIGNATURE_TYPES.cosignature);
  const own = ofLog.length > 0 ? ofLog : (await ringOf(tx, log)).known.map(({ key }) => key);
  const outside = checkpoints.map((note) => openCheckpoint(note, [...own, ...witnesses]));
  const state = resume === undefined ? undefined : parseState(resume, log.logId);
  return await verifyLog(tx, log, head, { ...request, witnesses, outside, resume: state, ...(ofLog.length > 0 ? { keys: ofLog } : {}) });
}

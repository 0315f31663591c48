/**
 * The one table of error codes: meaning, HTTP status (RFC 9457 problem documents) and process exit code.
 * The library, HTTP, the command line and docs/errors.md all read this; a test keeps the page the same.
 */

/** One row: what a code means and how each door shows it. */
export interface ErrorSpec {
  readonly meaning: string;
  /** HTTP status of the problem document. */
  readonly http: number;
  /** Exit code of the command line, 0-255. */
  readonly exit: number;
  /** Whether the same call may succeed later without the caller changing anything. */
  readonly retryable: boolean;
}

/** Closed union of every error code. */
export type ErrorCode =
  | "SECURITY_VIOLATION"
  | "PERMISSION_DENIED"
  | "UNAUTHENTICATED"
  | "RESOURCE_EXHAUSTED"
  | "RATE_LIMITED"
  | "INVALID_ARGUMENT"
  | "NOT_FOUND"
  | "CONFLICT"
  | "FAILED_PRECONDITION"
  | "PAYLOAD_TOO_LARGE"
  | "POLICY_LOCKED"
  | "INTEGRITY_FAILURE"
  | "UPSTREAM_UNAVAILABLE"
  | "DEADLINE_EXCEEDED"
  | "CANCELLED"
  | "SECRET_EXPIRED"
  | "SCAN_STALE"
  | "AUDIT_UNAVAILABLE"
  | "ENVIRONMENT_UNFIT"
  | "NOT_INITIALIZED"
  | "INTERNAL";

export const ERROR_TABLE: Readonly<Record<ErrorCode, ErrorSpec>> = {
  SECURITY_VIOLATION: { meaning: "Refused by policy: what was asked for or found is not allowed.", http: 403, exit: 3, retryable: false },
  PERMISSION_DENIED: { meaning: "The identity is known and lacks the right.", http: 403, exit: 4, retryable: false },
  UNAUTHENTICATED: { meaning: "No identity, or one that does not verify.", http: 401, exit: 4, retryable: false },
  RESOURCE_EXHAUSTED: { meaning: "A quota, a pool or a bounded buffer is full.", http: 503, exit: 5, retryable: true },
  RATE_LIMITED: { meaning: "Too many requests from this caller.", http: 429, exit: 5, retryable: true },
  INVALID_ARGUMENT: { meaning: "An argument, an option or a configuration file is wrong.", http: 400, exit: 2, retryable: false },
  NOT_FOUND: { meaning: "What was named does not exist.", http: 404, exit: 2, retryable: false },
  CONFLICT: { meaning: "Somebody else changed or holds the same thing.", http: 409, exit: 2, retryable: true },
  FAILED_PRECONDITION: { meaning: "The state of things does not allow the call.", http: 412, exit: 2, retryable: false },
  PAYLOAD_TOO_LARGE: { meaning: "Input is larger, deeper or more numerous than its limit.", http: 413, exit: 2, retryable: false },
  POLICY_LOCKED: { meaning: "A setting is locked by a policy of higher rank.", http: 403, exit: 2, retryable: false },
  INTEGRITY_FAILURE: {
    meaning: "Evidence is broken: a hash, a signature, a structure or the audit trail does not verify.",
    http: 422,
    exit: 6,
    retryable: false,
  },
  UPSTREAM_UNAVAILABLE: { meaning: "A registry, an engine or another service could not be reached or answered nonsense.", http: 502, exit: 8, retryable: true },
  DEADLINE_EXCEEDED: { meaning: "The time limit passed first.", http: 504, exit: 124, retryable: true },
  CANCELLED: { meaning: "The caller or the user interrupted it.", http: 499, exit: 130, retryable: true },
  SECRET_EXPIRED: { meaning: "The secret's life is over.", http: 410, exit: 4, retryable: false },
  SCAN_STALE: { meaning: "Could not decide: advisory data is absent or too old for the level.", http: 503, exit: 8, retryable: true },
  AUDIT_UNAVAILABLE: { meaning: "The audit trail cannot take the event, so the guarded action is refused.", http: 503, exit: 6, retryable: true },
  ENVIRONMENT_UNFIT: { meaning: "The machine lacks something that the level needs; `cofferdam doctor` names it.", http: 503, exit: 7, retryable: false },
  NOT_INITIALIZED: { meaning: "A method was called before initialize(), or after close().", http: 500, exit: 1, retryable: false },
  INTERNAL: { meaning: "A defect of ours.", http: 500, exit: 1, retryable: false },
};

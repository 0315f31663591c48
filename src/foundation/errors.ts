/** The one error class of the product. Doors read the code's row in {@link ERROR_TABLE}; nobody parses messages. */
import { ERROR_TABLE, type ErrorCode } from "./error-table.ts";

export { ERROR_TABLE, type ErrorCode, type ErrorSpec } from "./error-table.ts";

/** Structured facts of an error; JSON-safe and free of secrets, since it is logged and returned over HTTP. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export interface ErrorOptions {
  readonly details?: ErrorDetails;
  /** How to fix or allow it: a command or the exact YAML. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * What every public method throws.
 *
 * @example
 * ```ts
 * try { await service.verifyPackageFileIntegrity("a", "1.0.0", "a.tgz", sri); }
 * catch (error) { if (error instanceof CofferdamError && error.code === "INTEGRITY_FAILURE") report(error.details); }
 * ```
 */
export class CofferdamError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly hint: string | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CofferdamError";
    this.code = code;
    this.details = options.details ?? {};
    this.hint = options.hint;
    this.retryable = ERROR_TABLE[code].retryable;
  }

  /** Exit code of the command line for this error. */
  get exitCode(): number {
    return ERROR_TABLE[this.code].exit;
  }
}

/** The errno name of a system error ("ENOENT"), or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string" && /^E[A-Z0-9_]+$/.test(error.code)) return error.code;
  return undefined;
}

/** A one-line text for any thrown value; never a stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Passes a {@link CofferdamError} through and wraps anything else with `code`, unless the system says more: a full disk is
 * RESOURCE_EXHAUSTED and a file system that does not let us write is ENVIRONMENT_UNFIT, wherever they show.
 */
export function wrapError(error: unknown, code: ErrorCode, message: string): CofferdamError {
  if (error instanceof CofferdamError) return error;
  const errno = errnoOf(error);
  if (errno === "ENOSPC" || errno === "EDQUOT") {
    return new CofferdamError("RESOURCE_EXHAUSTED", `${message}: the disk is full`, {
      hint: "free space, or move the state directory (--state)",
      cause: error,
    });
  }
  if (errno === "EACCES" || errno === "EPERM" || errno === "EROFS") {
    return new CofferdamError("ENVIRONMENT_UNFIT", `${message}: ${messageOf(error)}`, { hint: "cofferdam doctor", cause: error });
  }
  return new CofferdamError(code, `${message}: ${messageOf(error)}`, { cause: error });
}

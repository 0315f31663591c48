/** SQLite's result codes (sqlite.org/rescode.html) as errors of ours. */
import { CofferdamError, messageOf } from "../../foundation/index.ts";

/** Somebody else has the lock for the moment: BUSY or LOCKED. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code === 5 || code === 6;
}

/** What SQLite threw, as a CofferdamError; anything that is not SQLite's passes as it is. */
export function storeError(error: unknown): unknown {
  const code = primaryCode(error);
  switch (code) {
    case undefined:
      return error;
    case 5:
    case 6:
      return new CofferdamError("DEADLINE_EXCEEDED", "another process keeps the database of the state directory locked", { cause: error });
    case 13:
      return new CofferdamError("RESOURCE_EXHAUSTED", "the disk of the state directory is full", {
        hint: "free space there, or move it with --state",
        cause: error,
      });
    case 11:
    case 26:
      return new CofferdamError("INTEGRITY_FAILURE", "the database of the state directory is damaged", {
        hint: "restore it from a copy, or start another state directory (--state)",
        cause: error,
      });
    case 8:
    case 10:
    case 14:
      return new CofferdamError("ENVIRONMENT_UNFIT", `the database of the state directory cannot be used: ${messageOf(error)}`, {
        hint: "cofferdam doctor",
        cause: error,
      });
    default:
      return new CofferdamError("INTERNAL", `the database refused a statement: ${messageOf(error)}`, { cause: error });
  }
}

function primaryCode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
}

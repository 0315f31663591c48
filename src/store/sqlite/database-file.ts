/** The database file as the file system sees it: made privately, and known again later. */
import { closeSync, constants, lstatSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { CofferdamError, errnoOf, makeFolder, wrapError } from "../../foundation/index.ts";

/** Makes the file (0600) and its folder (0700) when they are not there. Throws FAILED_PRECONDITION for a link in its place. */
export function prepareFile(path: string): void {
  try {
    makeFolder(dirname(path), 0o700);
    closeSync(openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY, 0o600));
  } catch (error) {
    // An existing file is never opened here: closing it again would drop the locks that SQLite holds on it in this process.
    if (errnoOf(error) !== "EEXIST") throw wrapError(error, "ENVIRONMENT_UNFIT", "the state directory cannot be made");
  }
  identityOf(path);
}

/** Which file is at `path` now, or undefined for none. Two answers differ when the file was replaced in between. */
export function identityOf(path: string): string | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (!stat.isFile()) {
    throw new CofferdamError("FAILED_PRECONDITION", `the database is not a regular file: ${path}`, {
      hint: "a link there could make us write somebody else's file; remove it",
    });
  }
  return `${stat.dev}:${stat.ino}`;
}

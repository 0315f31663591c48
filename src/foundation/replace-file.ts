/** Replaces a file as a whole, so that a reader finds the old text or the new one and never a part. */
import { constants } from "node:fs";
import { lstat, open, rename, rm } from "node:fs/promises";
import { CofferdamError, wrapError } from "./errors.ts";
import { newId } from "./ids.ts";

/**
 * Writes beside the file and renames over it; mode and owner stay. Throws FAILED_PRECONDITION when it cannot be written,
 * INVALID_ARGUMENT when the name is taken by something that is not a regular file (a link would be replaced, not followed).
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const known = await lstat(path).catch(() => undefined);
  if (known?.isFile() === false) throw new CofferdamError("INVALID_ARGUMENT", `not a regular file: ${path}`, { details: { path } });
  const next = `${path}.${newId("new")}`;
  try {
    const file = await open(next, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o644);
    try {
      if (known !== undefined) {
        // Root edits other people's projects, too. The owner first: a change of it takes mode bits away.
        if (process.getuid?.() === 0) await file.chown(known.uid, known.gid);
        // A file that was private stays so.
        await file.chmod(known.mode & 0o777);
      }
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, path);
  } catch (error) {
    await rm(next, { force: true });
    throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${path}`);
  }
}

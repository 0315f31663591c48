/** Files that are on the disk when the call returns. */
import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { CofferdamError, wrapError } from "./errors.ts";
import { makeFolder } from "./folders.ts";
import { newId } from "./ids.ts";

/** Writes a file beside its name and renames it there, both durable. */
export function writeDurably(path: string, text: string, mode: number): void {
  const fresh = `${path}.${newId("new")}`;
  try {
    makeFolder(dirname(path), 0o700);
    const fd = openSync(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, mode);
    try {
      const bytes = Buffer.from(text);
      // A full disk makes a short write without an error.
      if (writeSync(fd, bytes) !== bytes.length) throw new CofferdamError("RESOURCE_EXHAUSTED", `cannot write ${path}: the disk is full`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(fresh, path);
    syncFolder(dirname(path));
  } catch (error) {
    throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${path}`);
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** A new name in a folder is on the disk only when the folder is. */
export function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

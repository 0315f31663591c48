/** Files that hold keys or values: regular, ours, and nobody else's to read or replace. */
import { closeSync, constants, fstatSync, fsyncSync, linkSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { CofferdamError, errnoOf, makeFolder, newId, syncFolder, wrapError, writeDurably } from "../../foundation/index.ts";

/**
 * Bytes of a private file, or undefined when there is none. Throws FAILED_PRECONDITION when others may read it, replace it, or
 * own it, or it is no regular file; PAYLOAD_TOO_LARGE.
 */
export function readPrivate(path: string, what: string, maxBytes: number): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    if (errnoOf(error) === "ELOOP") throw notPrivate(`${what} is a symbolic link: ${path}`, "remove it");
    throw wrapError(error, "FAILED_PRECONDITION", `cannot read ${what}`);
  }
  try {
    assertPrivate(fd, path, what);
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (let read = 1; read > 0 && length < buffer.length; length += read) read = readSync(fd, buffer, length, buffer.length - length, length);
    if (length > maxBytes) throw new CofferdamError("PAYLOAD_TOO_LARGE", `${what} is larger than ${maxBytes} bytes: ${path}`);
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

/** Replaces it as a whole, mode 0600, durably. */
export function replacePrivate(path: string, text: string): void {
  writeDurably(path, text, 0o600);
}

/** Makes it, durably and whole, unless there is one already. @returns false when there was. */
export function createPrivate(path: string, content: string | Uint8Array): boolean {
  const fresh = `${path}.${newId("new")}`;
  try {
    makeFolder(dirname(path), 0o700);
    const fd = openSync(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    try {
      const bytes = Buffer.from(content);
      if (writeSync(fd, bytes) !== bytes.length) throw new CofferdamError("RESOURCE_EXHAUSTED", `cannot write ${path}: the disk is full`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    linkSync(fresh, path);
    syncFolder(dirname(path));
    syncFolder(dirname(dirname(path)));
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${path}`);
  } finally {
    rmSync(fresh, { force: true });
  }
}

function assertPrivate(fd: number, path: string, what: string): void {
  const [file, folder] = [fstatSync(fd), statSync(dirname(path))];
  if (!file.isFile()) throw notPrivate(`${what} is not a regular file: ${path}`, "remove it");
  if ((file.mode & 0o077) !== 0) throw notPrivate(`${what} can be read by others: ${path} has mode ${octal(file.mode)}`, `chmod 600 ${path}`);
  // In a folder like /tmp, nobody replaces what is another's.
  if ((folder.mode & 0o022) !== 0 && (folder.mode & 0o1000) === 0)
    throw notPrivate(`${what} can be replaced by others: ${dirname(path)} has mode ${octal(folder.mode)}`, `chmod 700 ${dirname(path)}`);
  const uid = process.getuid?.();
  if (uid !== 0 && file.uid !== uid) throw notPrivate(`${what} belongs to uid ${file.uid}: ${path}`, "use a state directory of your own (--state)");
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, "0");
}

function notPrivate(message: string, hint: string): CofferdamError {
  return new CofferdamError("FAILED_PRECONDITION", message, { hint });
}

/** Reading untrusted files within a limit, without following a final symbolic link. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { CofferdamError, errnoOf, wrapError } from "./errors.ts";

export interface ReadLimits {
  /** Most bytes accepted; one more is PAYLOAD_TOO_LARGE. */
  readonly maxBytes: number;
  /** What the file is, for the message. */
  readonly what: string;
  /** Follow a symbolic link in the last component. Off by default. */
  readonly followLink?: boolean;
}

/**
 * Bytes of a regular file, or undefined when there is none.
 * Throws PAYLOAD_TOO_LARGE past the limit and INVALID_ARGUMENT for anything that is not a regular file or cannot be read.
 */
export async function readBounded(path: string, limits: ReadLimits): Promise<Buffer | undefined> {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (limits.followLink === true ? 0 : constants.O_NOFOLLOW);
  let file: FileHandle;
  try {
    file = await open(path, flags);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    if (errno === "ELOOP") throw new CofferdamError("INVALID_ARGUMENT", `${limits.what} is a symbolic link: ${path}`, { details: { path } });
    throw wrapError(error, "INVALID_ARGUMENT", `cannot read ${limits.what}`);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw new CofferdamError("INVALID_ARGUMENT", `${limits.what} is not a regular file: ${path}`, { details: { path } });
    return await readToLimit(file, stat.size, path, limits);
  } finally {
    await file.close();
  }
}

async function readToLimit(file: FileHandle, size: number, path: string, limits: ReadLimits): Promise<Buffer> {
  const tooLarge = (): CofferdamError =>
    new CofferdamError("PAYLOAD_TOO_LARGE", `${limits.what} is larger than ${limits.maxBytes} bytes: ${path}`, {
      details: { path, maxBytes: limits.maxBytes },
    });
  if (size > limits.maxBytes) throw tooLarge();
  // The file may grow between stat and read: one spare byte tells.
  const buffer = Buffer.allocUnsafe(Math.min(size, limits.maxBytes) + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
  throw length > limits.maxBytes ? tooLarge() : new CofferdamError("CONFLICT", `${limits.what} changed while it was read: ${path}`, { details: { path } });
}

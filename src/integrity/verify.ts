/** Verifies bytes or a file against an expected digest, in constant memory, as fast as the hash itself. */
import { createHash, hash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, read, readSync } from "node:fs";
import { promisify } from "node:util";
import { CofferdamError, errnoOf, wrapError } from "../foundation/index.ts";
import { type DigestAlgorithm, digestText, type ExpectedDigest, expectedText, matches, parseExpected } from "./expected-digest.ts";

export interface VerifyResult {
  readonly ok: boolean;
  readonly algorithm: DigestAlgorithm;
  /** The digests that count, in the form the caller used (SRI or hex). */
  readonly expected: string;
  readonly actual: string;
  readonly bytes: number;
  readonly weak: boolean;
}

export interface VerifyFileOptions {
  /** Most bytes accepted; more is PAYLOAD_TOO_LARGE. Default: no limit, since memory is constant. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** Read-ahead: while one chunk is hashed here, the next is read by the thread pool. */
const CHUNK: number = 2 * 2 ** 20;

/** Compares bytes in memory. Throws INVALID_ARGUMENT for an expectation that cannot be checked; a mismatch is a result. */
export function verifyBytes(bytes: Uint8Array, expected: string): VerifyResult {
  const want = parseExpected(expected);
  return compare(want, hash(want.algorithm, bytes, want.encoding), bytes.length);
}

/**
 * Compares a regular file. A mismatch is a result, not an error.
 * Throws INVALID_ARGUMENT (expectation, not a regular file), NOT_FOUND, PAYLOAD_TOO_LARGE, CANCELLED (or the signal's own
 * reason), and CONFLICT when the file changes while it is read.
 */
export async function verifyFile(path: string, expected: string, options: VerifyFileOptions = {}): Promise<VerifyResult> {
  const want = parseExpected(expected);
  const { fd, size, changedAt } = openRegular(path);
  try {
    if (size > (options.maxBytes ?? Number.POSITIVE_INFINITY)) {
      throw new CofferdamError("PAYLOAD_TOO_LARGE", `${path} has ${size} bytes, more than ${options.maxBytes}`, {
        details: { size, maxBytes: options.maxBytes },
      });
    }
    // Five trips to the thread pool cost more than reading a small file: most tarballs take the direct way.
    const digest = size <= CHUNK ? hashSmall(fd, size, want) : await hashLarge(fd, want, options.signal);
    // A small file came in one read, which is one moment; a large one may have been written to in between.
    const changed = digest.bytes !== size || (size > CHUNK && fstatSync(fd).ctimeMs !== changedAt);
    if (changed) throw new CofferdamError("CONFLICT", `${path} changed while it was read`, { details: { before: size, read: digest.bytes } });
    return compare(want, digest.value, size);
  } catch (error) {
    throw wrapError(error, "INVALID_ARGUMENT", `cannot read ${path}`);
  } finally {
    closeSync(fd);
  }
}

/** The error for a mismatch, with both digests. */
export function integrityFailure(what: string, result: VerifyResult): CofferdamError {
  return new CofferdamError("INTEGRITY_FAILURE", `${what}: ${result.algorithm} does not match`, {
    details: { algorithm: result.algorithm, expected: result.expected, actual: result.actual, bytes: result.bytes },
    hint: "fetch it again from the source you trust; if it still differs, it is not the file that was promised",
  });
}

/** `changedAt` is the time of the last change of content or inode, which a writer cannot set back. */
function openRegular(path: string): { fd: number; size: number; changedAt: number } {
  let fd: number;
  try {
    // Without O_NONBLOCK a FIFO would hold us until somebody writes to it.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw new CofferdamError("NOT_FOUND", `no such file: ${path}`);
    throw wrapError(error, "INVALID_ARGUMENT", `cannot read ${path}`);
  }
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, size: stat.size, changedAt: stat.ctimeMs };
  closeSync(fd);
  throw new CofferdamError("INVALID_ARGUMENT", `not a regular file: ${path}`);
}

interface Digest {
  /** In the encoding of the expectation. */
  readonly value: string;
  readonly bytes: number;
}

/** Used again for every small file, since hashing one never waits: fresh memory costs about as much as the reading. */
let small: Buffer | undefined;

function hashSmall(fd: number, size: number, { algorithm, encoding }: ExpectedDigest): Digest {
  small ??= Buffer.allocUnsafeSlow(CHUNK + 1);
  // One byte more than expected shows a file that grew. A regular file gives all it has in one read.
  const length = readSync(fd, small, 0, size + 1, null);
  return { value: hash(algorithm, small.subarray(0, length), encoding), bytes: length };
}

async function hashLarge(fd: number, { algorithm, encoding }: ExpectedDigest, signal: AbortSignal | undefined): Promise<Digest> {
  const readAt = promisify(read);
  const digest = createHash(algorithm);
  const buffers = [Buffer.allocUnsafeSlow(CHUNK), Buffer.allocUnsafeSlow(CHUNK)] as const;
  let position = 0;
  let current = 0;
  let pending = readAt(fd, buffers[0], 0, CHUNK, 0);
  for (;;) {
    const { bytesRead, buffer } = await pending;
    if (signal?.aborted === true) throw signal.reason instanceof CofferdamError ? signal.reason : new CofferdamError("CANCELLED", "interrupted");
    if (bytesRead === 0) return { value: digest.digest(encoding), bytes: position };
    position += bytesRead;
    current = 1 - current;
    pending = readAt(fd, current === 0 ? buffers[0] : buffers[1], 0, CHUNK, position);
    digest.update(buffer.subarray(0, bytesRead));
  }
}

function compare(want: ExpectedDigest, actual: string, bytes: number): VerifyResult {
  return { ok: matches(want, actual), algorithm: want.algorithm, expected: expectedText(want), actual: digestText(want, actual), bytes, weak: want.weak };
}

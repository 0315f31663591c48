/**
 * The structure check of an npm package tarball, and what it found: who the package says it is, the scripts an install
 * would run, and every file with its SHA-256. Works on bytes in memory (one pass, no copies) and on files of any size.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { gunzipBytes, gunzipPieces, type PackedSource, promisedBytes, TarReader, UnpackedTooLarge } from "../archive/index.ts";
import { CofferdamError, errnoOf, wrapError } from "../foundation/index.ts";
import { ManifestCollector, type TarballLimits, type TarballManifest, tooLarge } from "./manifest.ts";

/** Up to here a tarball is unpacked in one piece, which is faster; above, memory stays constant. */
const WHOLE_PACKED: number = 8 * 2 ** 20;
const WHOLE_UNPACKED: number = 32 * 2 ** 20;

/**
 * Checks a tarball in memory, without yielding. Its unpacked bytes are in memory too, up to the limit: for bytes that
 * nobody vouches for, {@link inspectTarball} is the safer choice.
 * Throws INTEGRITY_FAILURE with `details.kind`, PAYLOAD_TOO_LARGE past a limit.
 */
export function inspectBytes(packed: Uint8Array, limits: TarballLimits): TarballManifest {
  try {
    return inspectWhole(asBuffer(packed), limits, unpackedCeiling(limits));
  } catch (error) {
    throw explain(error, limits);
  }
}

/**
 * Checks a tarball in memory or in a file, in constant memory but for the list of files.
 * Throws INTEGRITY_FAILURE with `details.kind`, PAYLOAD_TOO_LARGE past a limit, CANCELLED (or the signal's own reason),
 * NOT_FOUND, INVALID_ARGUMENT for what is not a regular file.
 *
 * @example
 * ```ts
 * const { package: { name, version }, files } = await inspectTarball("left-pad-1.3.0.tgz", { maxUnpackedBytes: 2 ** 32, maxEntries: 200_000 });
 * ```
 */
export async function inspectTarball(source: Uint8Array | string, limits: TarballLimits, signal?: AbortSignal): Promise<TarballManifest> {
  try {
    if (typeof source !== "string") return await inspectSource(memory(asBuffer(source)), limits, signal);
    const file = await openRegular(source);
    try {
      return await inspectSource(await opened(file), limits, signal);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw explain(error, limits);
  }
}

/** {@link inspectTarball} for a file. */
export function inspectFile(path: string, limits: TarballLimits, signal?: AbortSignal): Promise<TarballManifest> {
  return inspectTarball(path, limits, signal);
}

async function inspectSource(source: PackedSource, limits: TarballLimits, signal: AbortSignal | undefined): Promise<TarballManifest> {
  const promised = source.size < WHOLE_PACKED ? promisedBytes(await source.read(Math.max(0, source.size - 4), 4)) : Number.POSITIVE_INFINITY;
  if (promised > 0 && promised <= WHOLE_UNPACKED) {
    try {
      return inspectWhole(await source.read(0, source.size), limits, Math.min(WHOLE_UNPACKED, unpackedCeiling(limits)));
    } catch (error) {
      // The promise was a lie, or counts modulo 2^32: once more, in constant memory.
      if (!(error instanceof UnpackedTooLarge)) throw error;
    }
  }
  const collector = new ManifestCollector(limits);
  const reader = new TarReader(collector);
  for await (const piece of gunzipPieces(source, { maxBytes: unpackedCeiling(limits), ...(signal === undefined ? {} : { signal }) })) reader.push(piece);
  reader.finish();
  return collector.manifest();
}

function inspectWhole(packed: Buffer, limits: TarballLimits, maxBytes: number): TarballManifest {
  const collector = new ManifestCollector(limits);
  const reader = new TarReader(collector);
  reader.push(gunzipBytes(packed, maxBytes));
  reader.finish();
  return collector.manifest();
}

/** Content plus what tar adds to it: headers and padding count too, since a bomb may consist of them. */
function unpackedCeiling(limits: TarballLimits): number {
  return Math.min(limits.maxUnpackedBytes + (limits.maxEntries + 2) * 3 * 512, 2 ** 33);
}

function memory(bytes: Buffer): PackedSource {
  return { size: bytes.length, read: (position, length) => Promise.resolve(bytes.subarray(position, position + length)) };
}

async function opened(file: FileHandle): Promise<PackedSource> {
  const { size } = await file.stat();
  return {
    size,
    async read(position, length) {
      const buffer = Buffer.allocUnsafe(Math.min(length, Math.max(0, size - position)));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
      if (bytesRead < buffer.length) throw new CofferdamError("CONFLICT", "the tarball changed while it was read");
      return buffer;
    },
  };
}

async function openRegular(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK a FIFO would hold us until somebody writes to it.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw new CofferdamError("NOT_FOUND", `no such file: ${path}`);
    throw wrapError(error, "INVALID_ARGUMENT", `cannot read ${path}`);
  }
  throw new CofferdamError("INVALID_ARGUMENT", `not a regular file: ${path}`);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function explain(error: unknown, limits: TarballLimits): CofferdamError {
  return error instanceof UnpackedTooLarge ? tooLarge(limits) : wrapError(error, "INTERNAL", "tarball check");
}

/**
 * Unpacks gzip (RFC 1952) that is exactly one member. Readers differ about a second member and about what follows the
 * last one: some read on, some stop, some fail. Here only zero padding may follow.
 */
import { crc32, createInflateRaw, type InflateRaw, inflateRawSync } from "node:zlib";
import { CofferdamError, errnoOf } from "../foundation/index.ts";
import { refuse } from "./archive-fault.ts";

const TRAILER = 8;
/** Optional fields of the header (file name, comment) must end within this. */
const MAX_HEADER: number = 64 * 1024;
const READ: number = 256 * 1024;

/** Packed bytes at known places: a file, or memory. */
export interface PackedSource {
  readonly size: number;
  /** Bytes from `position`; shorter only at the end. */
  read(position: number, length: number): Promise<Buffer>;
}

export interface GunzipOptions {
  /** Most bytes to unpack. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
}

/** More than `maxBytes` come out. The caller says what that means. */
export class UnpackedTooLarge extends Error {}

/** How many bytes the trailer promises, modulo 2^32. Only a hint: any sender can write it. */
export function promisedBytes(lastBytes: Buffer): number {
  return lastBytes.length < 4 ? 0 : lastBytes.readUInt32LE(lastBytes.length - 4);
}

/** All at once. Throws INTEGRITY_FAILURE, {@link UnpackedTooLarge}. */
export function gunzipBytes(packed: Buffer, maxBytes: number): Buffer {
  const start = bodyStart(packed);
  // With room for everything in one piece nothing is copied; a promise that is a lie costs this much and no more.
  const chunkSize = Math.min(Math.max(promisedBytes(packed) + 64, 1024), 64 * 2 ** 20);
  let result: { readonly bytes: Buffer; readonly consumed: number };
  try {
    result = inflated(inflateRawSync(packed.subarray(start), { info: true, maxOutputLength: maxBytes, chunkSize }));
  } catch (error) {
    throw inflateError(error);
  }
  const end = start + result.consumed;
  assertTrailer(packed.subarray(end, end + TRAILER), crc32(result.bytes), result.bytes.length);
  assertPadding(packed.subarray(end + TRAILER));
  return result.bytes;
}

/**
 * Piece by piece, in constant memory. The checksum is known to be right only when the iteration has ended.
 * Throws like {@link gunzipBytes}, and CANCELLED.
 */
export async function* gunzipPieces(source: PackedSource, options: GunzipOptions): AsyncGenerator<Buffer> {
  const start = bodyStart(await source.read(0, MAX_HEADER));
  const stream = createInflateRaw({ chunkSize: READ });
  const fed = feed(stream, source, start);
  let crc = 0;
  let length = 0;
  try {
    // Through the iterator the next piece is unpacked by the thread pool while this one is looked at.
    for await (const piece of pieces(stream)) {
      if (options.signal?.aborted === true) throw cancelled(options.signal);
      length += piece.length;
      if (length > options.maxBytes) throw new UnpackedTooLarge();
      crc = crc32(piece, crc);
      yield piece;
    }
  } catch (error) {
    throw error instanceof CofferdamError || error instanceof UnpackedTooLarge ? error : inflateError(error);
  } finally {
    stream.destroy();
    await fed;
  }
  const end = start + stream.bytesWritten;
  assertTrailer(await source.read(end, TRAILER), crc, length);
  for (let at = end + TRAILER; at < source.size; at += READ) assertPadding(await source.read(at, READ));
}

/** Writes packed bytes until the stream has what it needs; it takes no more than that. Never rejects. */
async function feed(stream: InflateRaw, source: PackedSource, start: number): Promise<void> {
  const closed = new Promise<void>((resolve) => stream.once("close", resolve));
  try {
    for (let position = start; stream.bytesWritten === position - start; ) {
      const chunk = await source.read(position, READ);
      if (chunk.length === 0) throw refuse("gzip", "gzip that is cut off");
      position += chunk.length;
      await Promise.race([new Promise<void>((resolve) => stream.write(chunk, () => resolve())), closed]);
      if (stream.destroyed) return;
    }
  } catch (error) {
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

async function* pieces(stream: InflateRaw): AsyncGenerator<Buffer> {
  for await (const piece of stream) if (Buffer.isBuffer(piece)) yield piece;
}

/** Where the compressed data starts (RFC 1952, 2.3). */
function bodyStart(packed: Buffer): number {
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) throw refuse("not-gzip", "something other than gzip");
  const flags = packed[3] ?? 0;
  if (packed[2] !== 8 || (flags & 0xe0) !== 0) throw refuse("gzip", "gzip of an unknown kind");
  let at = 10;
  if ((flags & 4) !== 0) at += 2 + (packed[at] ?? 0) + 256 * (packed[at + 1] ?? 0);
  for (const text of [8, 16]) if ((flags & text) !== 0) at = pastNul(packed, at);
  if ((flags & 2) !== 0) at += 2;
  if (at > packed.length || at > MAX_HEADER) throw refuse("gzip", "gzip with a damaged header");
  return at;
}

function pastNul(packed: Buffer, at: number): number {
  const nul = packed.indexOf(0, at);
  return nul < 0 ? Number.POSITIVE_INFINITY : nul + 1;
}

function assertTrailer(trailer: Buffer, crc: number, length: number): void {
  if (trailer.length < TRAILER) throw refuse("gzip", "gzip that is cut off");
  if (trailer.readUInt32LE(0) !== crc || trailer.readUInt32LE(4) !== length % 2 ** 32) throw refuse("gzip", "gzip whose checksum is wrong");
}

function assertPadding(rest: Buffer): void {
  if (rest.some((byte) => byte !== 0)) throw refuse("gzip", "gzip with something after its end");
}

function inflateError(error: unknown): Error {
  if (error instanceof RangeError || (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE")) return new UnpackedTooLarge();
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "Z_BUF_ERROR") return refuse("gzip", "gzip that is cut off");
  if (code.startsWith("Z_") && code !== "Z_MEM_ERROR") return refuse("gzip", `damaged gzip (${code})`);
  return new CofferdamError("INTERNAL", `gzip: ${errnoOf(error) ?? String(error)}`, { cause: error });
}

function cancelled(signal: AbortSignal): CofferdamError {
  return signal.reason instanceof CofferdamError ? signal.reason : new CofferdamError("CANCELLED", "interrupted");
}

/** What zlib returns with `info`; its types do not know. */
function inflated(result: unknown): { readonly bytes: Buffer; readonly consumed: number } {
  if (typeof result === "object" && result !== null && "buffer" in result && "engine" in result && Buffer.isBuffer(result.buffer)) {
    const { buffer, engine } = result;
    if (typeof engine === "object" && engine !== null && "bytesWritten" in engine && typeof engine.bytesWritten === "number")
      return { bytes: buffer, consumed: engine.bytesWritten };
  }
  throw new CofferdamError("INTERNAL", "zlib gave no account of what it read");
}

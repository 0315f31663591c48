/** Unpacks Zstandard (RFC 8878): one frame or several, and nothing after them. */
import { Readable } from "node:stream";
import { constants, createZstdDecompress } from "node:zlib";
import { CofferdamError, messageOf } from "../foundation/index.ts";
import { refuse } from "./archive-fault.ts";
import { type GunzipOptions, type PackedSource, UnpackedTooLarge } from "./gzip.ts";

const READ: number = 256 * 1024;
/** Most memory that a frame may ask for, as a power of two: 128 MiB, what the format's own tool allows. */
const MAX_WINDOW_LOG = 27;

/**
 * Piece by piece, in constant memory. That the data is whole is known only when the iteration has ended.
 * Throws INTEGRITY_FAILURE (cut off, damaged, something after its end), {@link UnpackedTooLarge}, CANCELLED.
 */
export async function* zstdPieces(source: PackedSource, options: GunzipOptions): AsyncGenerator<Buffer> {
  const stream = createZstdDecompress({ chunkSize: READ, params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } });
  const input = Readable.from(chunks(source));
  input.once("error", (error) => stream.destroy(error));
  input.pipe(stream);
  let length = 0;
  try {
    for await (const piece of stream) {
      options.signal?.throwIfAborted();
      if (!Buffer.isBuffer(piece)) continue;
      length += piece.length;
      if (length > options.maxBytes) throw new UnpackedTooLarge();
      yield piece;
    }
  } catch (error) {
    if (options.signal?.aborted === true) throw new CofferdamError("CANCELLED", "interrupted");
    throw zstdError(error);
  } finally {
    input.destroy();
    stream.destroy();
  }
  if (stream.bytesWritten !== source.size) throw refuse("zstd", "zstd with something after its end");
}

async function* chunks(source: PackedSource): AsyncGenerator<Buffer> {
  for (let position = 0; position < source.size; ) {
    const chunk = await source.read(position, READ);
    if (chunk.length === 0) throw refuse("zstd", "zstd that is cut off");
    position += chunk.length;
    yield chunk;
  }
}

function zstdError(error: unknown): Error {
  if (error instanceof CofferdamError || error instanceof UnpackedTooLarge) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "Z_BUF_ERROR") return refuse("zstd", "zstd that is cut off");
  if (code.startsWith("ZSTD_error_")) return refuse("zstd", `damaged zstd (${code.slice("ZSTD_error_".length)})`);
  return new CofferdamError("INTERNAL", `zstd: ${messageOf(error)}`, { cause: error });
}

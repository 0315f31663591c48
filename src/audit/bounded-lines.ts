/** Lines of a stream that somebody else wrote: none longer than a limit, all of it UTF-8. */
import { CofferdamError } from "../foundation/index.ts";

/** Longest line of a bundle: the largest event, or the header with its note. */
export const MAX_LINE_BYTES: number = 256 * 1024;

/** Lines without their line feeds. Throws PAYLOAD_TOO_LARGE and INVALID_ARGUMENT. */
export async function* boundedLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      rest.push(bytes.subarray(start, end));
      if (length + end - start > MAX_LINE_BYTES) throw tooLong();
      yield decode(rest.length === 1 && rest[0] !== undefined ? rest[0] : Buffer.concat(rest));
      rest = [];
      length = 0;
      start = end + 1;
    }
    length += bytes.length - start;
    if (length > MAX_LINE_BYTES) throw tooLong();
    if (start < bytes.length) rest.push(bytes.subarray(start));
  }
  if (length > 0) yield decode(Buffer.concat(rest));
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CofferdamError("INVALID_ARGUMENT", "a line that is not UTF-8");
  }
}

function tooLong(): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `a line longer than ${MAX_LINE_BYTES} bytes`);
}

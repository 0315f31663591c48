/** Bytes of a job as text: any bytes, told apart from every other. */
import { isUtf8 } from "node:buffer";

/** UTF-8 as it is. Where it is none, `\xHH` for each byte that does not belong, and backslashes doubled. */
export function textOf(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString("utf8") : escaped(bytes);
}

/** Up to the first NUL, when there is one. */
export function untilNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** Pieces that each end with NUL; what follows the last one is a piece too, when it is not empty. */
export function pieces(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let from = 0;
  for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, from)) {
    found.push(bytes.subarray(from, end));
    from = end + 1;
  }
  if (from < bytes.length) found.push(bytes.subarray(from));
  return found;
}

function escaped(bytes: Buffer): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const size = sequenceAt(bytes, at);
    const piece = bytes.subarray(at, at + Math.max(size, 1));
    if (size === 0) text += `\\x${piece.toString("hex")}`;
    else text += piece[0] === 0x5c ? "\\\\" : piece.toString("utf8");
    at += piece.length;
  }
  return text;
}

/** Bytes of the character that starts here, 0 when none does. */
function sequenceAt(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  return size > 0 && at + size <= bytes.length && isUtf8(bytes.subarray(at, at + size)) ? size : 0;
}

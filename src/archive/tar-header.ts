/**
 * One tar header block (POSIX ustar, with what GNU and older writers leave in it). npm's extractor skips a header that it
 * cannot read and takes the block after it for the next header: an archive can hide a second archive in a file that way.
 * So every field that it looks at is checked here, also those that nobody needs.
 */
import { refuse } from "./archive-fault.ts";

export const BLOCK = 512;

export interface TarHeader {
  /** The type flag, one character. */
  readonly type: string;
  /** With the ustar prefix, as written. */
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  readonly linkName: string;
}

/** Reads a block that is not all zeros. Throws INTEGRITY_FAILURE. */
export function readHeader(block: Buffer): TarHeader {
  assertChecksum(block);
  const ustar = block.toString("latin1", 257, 265) === "ustar\u000000";
  for (const [offset, length] of OTHER_NUMBERS) assertReadable(block, offset, length);
  // npm reads a prefix of 155 bytes when the 131st is there, and of 130 bytes with two times after it otherwise.
  const longPrefix = block[475] !== 0;
  if (ustar) for (const [offset, length] of longPrefix ? DEVICE_NUMBERS : [...DEVICE_NUMBERS, ...TIMES]) assertReadable(block, offset, length);
  const name = fieldText(block, 0, 100);
  // The prefix field exists in POSIX ustar only; GNU uses the same bytes for times.
  const prefix = ustar ? fieldText(block, 345, longPrefix ? 500 : 475) : "";
  // npm looks for a directory's slash before it puts the prefix in front; others after.
  if (name === "" && prefix !== "") throw refuse("path", "a path that is a prefix only", prefix);
  return {
    type: String.fromCharCode(block[156] ?? 0),
    // With a long prefix npm puts its slash even where the prefix is empty: that is an absolute path.
    name: prefix === "" && !(ustar && longPrefix) ? name : `${prefix}/${name}`,
    size: fieldNumber(block, 124, 12),
    mode: fieldNumber(block, 100, 8),
    linkName: fieldText(block, 157, 257),
  };
}

const ZERO = Buffer.alloc(BLOCK);

export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.equals(ZERO);
}

type Field = readonly [offset: number, length: number];
/** uid, gid, mtime. */
const OTHER_NUMBERS: readonly Field[] = [
  [108, 8],
  [116, 8],
  [136, 12],
];
const DEVICE_NUMBERS: readonly Field[] = [
  [329, 8],
  [337, 8],
];
/** atime and ctime, where the prefix is short. */
const TIMES: readonly Field[] = [
  [476, 12],
  [488, 12],
];

function assertChecksum(block: Buffer): void {
  let sum = 8 * 0x20;
  for (let i = 0; i < 148; i++) sum += block[i] ?? 0;
  for (let i = 156; i < BLOCK; i++) sum += block[i] ?? 0;
  // npm reads twelve bytes here: a number that nothing ends within its own eight runs on into the next field.
  const endless = (block[155] ?? 0) >= 0x30;
  if (endless || octal(block, 148, 156) !== sum) throw refuse("checksum", "a header whose checksum is wrong");
}

/** A number that matters: octal, or GNU's base 256 as far as a double is exact. Never negative. */
function fieldNumber(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) {
    if (first !== 0x80) throw refuse("size", "a number out of range");
    return base256(block, offset, length);
  }
  const value = octal(block, offset, offset + length);
  if (value === undefined) throw refuse("size", "a number that is not octal");
  return value;
}

const SPACE = 0x20;

/** Octal digits between spaces, up to a NUL or the field's end; nothing is 0, anything else undefined. */
function octal(block: Buffer, from: number, to: number): number | undefined {
  let at = from;
  while (at < to && block[at] === SPACE) at++;
  let value = 0;
  for (; at < to; at++) {
    const digit = (block[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  while (at < to && block[at] === SPACE) at++;
  return at === to || block[at] === 0 ? value : undefined;
}

/** A number that we do not use. What is not a number at all is nothing to npm; a base-256 one out of range loses the header. */
function assertReadable(block: Buffer, offset: number, length: number): void {
  const first = block[offset] ?? 0;
  if (first < 0x80) return;
  if (first === 0x80) base256(block, offset, length);
  else if (first !== 0xff || block.subarray(offset, offset + length - 6).some((byte) => byte !== 0xff)) throw refuse("header", "a number out of range");
}

function base256(block: Buffer, offset: number, length: number): number {
  let value = 0;
  for (let i = offset + 1; i < offset + length; i++) value = value * 256 + (block[i] ?? 0);
  if (!Number.isSafeInteger(value)) throw refuse("size", "a number out of range");
  return value;
}

function fieldText(block: Buffer, from: number, to: number): string {
  const nul = block.indexOf(0, from);
  if (nul < 0 || nul >= to) return block.toString("utf8", from, to);
  const text = block.toString("utf8", from, nul);
  // npm drops what follows the NUL up to a line end only. Old writers leave remains there, and those are harmless.
  if (ZERO.compare(block, nul, to, 0, to - nul) !== 0 && /[\n\r\u2028\u2029]/.test(block.toString("utf8", nul, to)))
    throw refuse("header", "a name that goes on after its end", text);
  return text;
}

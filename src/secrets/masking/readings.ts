/**
 * Ways to write a byte as something else: terminal codes between two letters, percent signs, backslashes, entities. Each is a
 * reading of the same output, in which what stands for a byte is that byte; values are looked for in all of them.
 */

/** What stands at a place: `width` bytes of the output that stand for `count` bytes, {@link Reading.bytes}. */
export interface Reading {
  /** What it begins with. Output without that byte reads as it is. */
  readonly trigger: number;
  /** After {@link read}. */
  readonly bytes: Uint8Array;
  readonly count: number;
  /**
   * @returns the bytes that belong together from `at` on; 0 when it is nothing special, -1 when more has to come to say so:
   * then fewer than {@link MOST_PARTIAL} bytes are left.
   */
  read(bytes: Buffer, at: number, end: number): number;
}

/** A longer terminal code is none. */
const MOST_PARTIAL = 256;

const ESCAPE = 0x1b;
const BELL = 0x07;
const BACKSLASH = 0x5c;
const PARTIAL = -1;
const AMPERSAND = 0x26;

export function readings(): readonly Reading[] {
  return [new TerminalCodes(), new Percent(), new Backslash(), new Entities()];
}

/** Colours, links and the like stand for nothing. Source: ECMA-48, 5.4 and 5.6. */
class TerminalCodes implements Reading {
  readonly trigger = ESCAPE;
  readonly bytes: Uint8Array = new Uint8Array();
  readonly count = 0;

  read(bytes: Buffer, at: number, end: number): number {
    if (at + 1 >= end) return PARTIAL;
    const kind = bytes[at + 1] ?? 0;
    // ESC [ parameters intermediates final
    if (kind === 0x5b)
      return within(
        bytes,
        at,
        at + 2,
        end,
        (byte) => byte >= 0x40 && byte <= 0x7e,
        (byte) => byte >= 0x20 && byte <= 0x3f,
      );
    // ESC ] P X ^ _ : a text up to BEL or ESC \
    if (kind === 0x5d || kind === 0x50 || kind === 0x58 || kind === 0x5e || kind === 0x5f) return textCode(bytes, at, end);
    if (kind >= 0x20 && kind <= 0x2f)
      return within(
        bytes,
        at,
        at + 2,
        end,
        (byte) => byte >= 0x30 && byte <= 0x7e,
        (byte) => byte >= 0x20 && byte <= 0x2f,
      );
    return kind >= 0x30 && kind <= 0x7e ? 2 : 0;
  }
}

function within(bytes: Buffer, at: number, from: number, end: number, last: (byte: number) => boolean, inner: (byte: number) => boolean): number {
  const most = Math.min(end, at + MOST_PARTIAL - 1);
  for (let place = from; place < most; place++) {
    const byte = bytes[place] ?? 0;
    if (last(byte)) return place + 1 - at;
    if (!inner(byte)) return 0;
  }
  return most === end ? PARTIAL : 0;
}

function textCode(bytes: Buffer, at: number, end: number): number {
  const most = Math.min(end, at + MOST_PARTIAL - 1);
  for (let place = at + 2; place < most; place++) {
    const byte = bytes[place] ?? 0;
    if (byte === BELL) return place + 1 - at;
    if (byte === ESCAPE && place + 1 < most) return bytes[place + 1] === BACKSLASH ? place + 2 - at : 0;
  }
  return most === end ? PARTIAL : 0;
}

/** RFC 3986, 2.1. */
class Percent implements Reading {
  readonly trigger = 0x25;
  readonly bytes: Uint8Array = new Uint8Array(1);
  readonly count = 1;

  read(bytes: Buffer, at: number, end: number): number {
    const value = hexAt(bytes, at + 1, 2, end);
    if (value < 0) return value === PARTIAL ? PARTIAL : 0;
    this.bytes[0] = value;
    return 3;
  }
}

/** JSON, C, shells: `\n`, `\x0a`, `\012`, `\u000a`, and any other character for itself. Source: RFC 8259, 7; POSIX sh, 2.2. */
class Backslash implements Reading {
  readonly trigger = BACKSLASH;
  readonly bytes: Uint8Array = new Uint8Array(4);
  count = 0;

  read(bytes: Buffer, at: number, end: number): number {
    if (at + 1 >= end) return PARTIAL;
    const letter = bytes[at + 1] ?? 0;
    if (letter === 0x75) return this.#unicode(bytes, at, end);
    this.count = 1;
    if (letter === 0x78) {
      const value = hexAt(bytes, at + 2, 2, end);
      if (value === PARTIAL) return PARTIAL;
      this.bytes[0] = value < 0 ? letter : value;
      return value < 0 ? 2 : 4;
    }
    if (letter >= 0x30 && letter <= 0x37) return this.#octal(bytes, at, end);
    this.bytes[0] = LETTERS.get(letter) ?? letter;
    return 2;
  }

  #octal(bytes: Buffer, at: number, end: number): number {
    let value = 0;
    let place = at + 1;
    for (; place < at + 4; place++) {
      if (place >= end) return PARTIAL;
      const digit = (bytes[place] ?? 0) - 0x30;
      if (digit < 0 || digit > 7) break;
      value = 8 * value + digit;
    }
    this.bytes[0] = value & 0xff;
    return place - at;
  }

  #unicode(bytes: Buffer, at: number, end: number): number {
    const unit = hexAt(bytes, at + 2, 4, end);
    if (unit === PARTIAL) return PARTIAL;
    if (unit < 0) return this.#put(0x75, 2);
    if (unit < 0xd800 || unit > 0xdbff) return this.#put(unit, 6);
    if (at + 7 >= end) return PARTIAL;
    if (bytes[at + 6] !== BACKSLASH || bytes[at + 7] !== 0x75) return this.#put(unit, 6);
    const low = hexAt(bytes, at + 8, 4, end);
    if (low === PARTIAL) return PARTIAL;
    return low >= 0xdc00 && low <= 0xdfff ? this.#put(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), 12) : this.#put(unit, 6);
  }

  #put(point: number, width: number): number {
    this.count = putUtf8(point, this.bytes);
    return width;
  }
}

const LETTERS: ReadonlyMap<number, number> = new Map(
  [..."abefnrtvE"].map((letter, index) => [letter.charCodeAt(0), "\x07\b\x1b\f\n\r\t\v\x1b".charCodeAt(index)]),
);

/** XML 1.0, 4.1 and 4.6; the names are those that every escaper knows. */
class Entities implements Reading {
  readonly trigger = AMPERSAND;
  readonly bytes: Uint8Array = new Uint8Array(4);
  count = 0;

  read(bytes: Buffer, at: number, end: number): number {
    const most = Math.min(end, at + LONGEST_ENTITY);
    let place = at + 1;
    while (place < most && isEntityLetter(bytes[place] ?? 0)) place++;
    if (place === end && place < at + LONGEST_ENTITY) return PARTIAL;
    if (bytes[place] !== 0x3b) return 0;
    const point = pointOf(bytes.toString("latin1", at + 1, place));
    if (point === undefined) return 0;
    this.count = putUtf8(point, this.bytes);
    return place + 1 - at;
  }
}

/** `&#x10ffff;` with room for zeros in front. */
const LONGEST_ENTITY = 16;
const NAMES: Readonly<Record<string, number>> = { amp: 0x26, lt: 0x3c, gt: 0x3e, quot: 0x22, apos: 0x27, nbsp: 0xa0 };

function isEntityLetter(byte: number): boolean {
  return byte === 0x23 || (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function pointOf(name: string): number | undefined {
  const [, hex, digits] = /^#(?:[xX]([0-9a-fA-F]+)|(\d+))$/.exec(name) ?? [];
  const point = hex === undefined ? (digits === undefined ? (Object.hasOwn(NAMES, name) ? NAMES[name] : undefined) : Number(digits)) : Number.parseInt(hex, 16);
  return point !== undefined && point <= 0x10ffff ? point : undefined;
}

/** @returns the number, -1 when the text ends before it does, -2 when it is none. */
function hexAt(bytes: Buffer, at: number, digits: number, end: number): number {
  let value = 0;
  for (let place = at; place < at + digits; place++) {
    if (place >= end) return PARTIAL;
    const byte = bytes[place] ?? 0;
    const lower = byte | 0x20;
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
    if (digit < 0) return -2;
    value = 16 * value + digit;
  }
  return value;
}

/** A lone surrogate too, as three bytes. @returns how many. */
function putUtf8(point: number, into: Uint8Array): number {
  if (point < 0x80) {
    into[0] = point;
    return 1;
  }
  const count = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  let rest = point;
  for (let index = count - 1; index > 0; index--) {
    into[index] = 0x80 | (rest & 0x3f);
    rest >>= 6;
  }
  into[0] = ((0xf00 >> count) & 0xff) | rest;
  return count;
}

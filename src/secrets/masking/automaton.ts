/**
 * Aho-Corasick over bytes: where any of many patterns ends, in one pass, whatever the text. The trie lies in typed arrays, 17
 * bytes a state, in depth-first order: a state's first child is the next state, its other children hang on that one.
 *
 * Most text has none of the patterns. While nothing has begun, the pass looks at four bytes near the end of the shortest
 * pattern's length and moves on by as much as these allow (Wu and Manber's table); only where four bytes are the beginning of
 * a pattern does the automaton begin. It goes back to that as soon as fewer than four bytes are left of every pattern that it
 * is in, so that no byte is read more than a few times.
 */
import { CofferdamError } from "../../foundation/index.ts";

/** @param end after the last byte of a pattern. @param length of the longest pattern that ends there. */
export type Found = (end: number, length: number) => void;

/** Bytes of all patterns together: 270 MiB of tables. */
const MOST_PATTERN_BYTES = 16 * 2 ** 20;
/** Bytes that are looked at together; every pattern is longer. */
const GRAM = 4;
/** A longer window skips more, and more of it has to be stepped through at the end of each piece. */
const WIDEST = 16;
/** Entries of the table of skips: few of them may be taken by chance. */
const SKIPS = { least: 2 ** 12, most: 2 ** 20, each: 8 };
const MIX = 0x9e3779b1;

export class Automaton {
  /** Of states, 0 being the root. */
  readonly #label: Uint8Array;
  readonly #depth: Int32Array;
  readonly #sibling: Int32Array;
  readonly #fail: Int32Array;
  /** Length of the longest pattern that ends in the state, 0 for none. */
  readonly #ends: Int32Array;
  readonly #first: Int32Array = new Int32Array(256);
  /** By two bytes: most states that a text comes to are those of one byte, and have many children. */
  readonly #second: Int32Array = new Int32Array(65_536);
  readonly #size: number;
  /** Bytes of the window: the shortest pattern's, within {@link WIDEST}. */
  readonly #window: number;
  readonly #skips: Uint8Array;
  readonly #shift: number;
  /** From the first four bytes of a pattern to their state; two slots an entry. */
  readonly #starts: Int32Array;

  /** @param patterns each longer than 4 bytes. Throws RESOURCE_EXHAUSTED for more than {@link MOST_PATTERN_BYTES}. */
  constructor(patterns: readonly Uint8Array[]) {
    const sorted = distinct(patterns);
    const total = sorted.reduce((sum, { length }) => sum + length, 1);
    if (total > MOST_PATTERN_BYTES)
      throw new CofferdamError("RESOURCE_EXHAUSTED", `${total} bytes of patterns to be masked; at most ${MOST_PATTERN_BYTES}`, {
        hint: "fewer or shorter secrets in one job",
      });
    // One more than there are: the last state looks at the one after it.
    this.#label = new Uint8Array(total + 1);
    this.#depth = new Int32Array(total + 1);
    this.#sibling = new Int32Array(total);
    this.#fail = new Int32Array(total);
    this.#ends = new Int32Array(total);
    this.#window = sorted.reduce((least, { length }) => Math.min(least, length), WIDEST);
    const slots = powerOfTwo(2 * sorted.length + 1);
    this.#starts = new Int32Array(2 * slots);
    this.#size = this.#plant(sorted);
    this.#link();
    const grams = sorted.length * (this.#window - GRAM + 1);
    const entries = Math.min(SKIPS.most, Math.max(SKIPS.least, powerOfTwo(SKIPS.each * grams)));
    this.#shift = 32 - Math.log2(entries);
    this.#skips = new Uint8Array(entries).fill(this.#window - GRAM + 1);
    this.#allowSkips(sorted);
  }

  /** There is nothing to be found. */
  get isEmpty(): boolean {
    return this.#size === 1;
  }

  /** Bytes at the end of what was scanned that may be the beginning of a pattern. */
  depth(state: number): number {
    return this.#depth[state] ?? 0;
  }

  /** Goes through `bytes[from, to)`, on from `state` (0 at first). @returns the state to go on from. */
  scan(bytes: Buffer, from: number, to: number, state: number, found: Found): number {
    if (this.#size === 1) return 0;
    const [label, depth, sibling, fail, ends, first, second] = [this.#label, this.#depth, this.#sibling, this.#fail, this.#ends, this.#first, this.#second];
    const last = to - this.#window;
    let now = state;
    let at = from;
    if (now === 0) {
      at = this.#skip(bytes, at, last);
      now = at <= last ? this.#start(bytes, at) : 0;
      if (now !== 0) at += GRAM;
    }
    while (at < to) {
      const byte = bytes[at] ?? 0;
      at++;
      let next = 0;
      for (;;) {
        if (now === 0) {
          next = first[byte] ?? 0;
          break;
        }
        const deep = depth[now] ?? 0;
        if (deep === 1) {
          next = second[((label[now] ?? 0) << 8) | byte] ?? 0;
          if (next === 0) next = first[byte] ?? 0;
          break;
        }
        next = now + 1;
        if (depth[next] !== deep + 1) next = 0;
        while (next !== 0 && label[next] !== byte) next = sibling[next] ?? 0;
        if (next !== 0) break;
        now = fail[now] ?? 0;
      }
      now = next;
      const length = ends[now] ?? 0;
      if (length !== 0) found(at, length);
      const deep = depth[now] ?? 0;
      const began = at - deep;
      if (deep >= GRAM || began < from || began > last) continue;
      // What it is in began here, so that it can be looked for from here.
      at = this.#skip(bytes, began, last);
      now = at <= last ? this.#start(bytes, at) : 0;
      if (now !== 0) at += GRAM;
    }
    return now;
  }

  /** The next place where a pattern may begin; past `last` when there is none. */
  #skip(bytes: Buffer, from: number, last: number): number {
    const [skips, shift, ahead] = [this.#skips, this.#shift, this.#window - GRAM];
    let at = from;
    while (at <= last) {
      const end = at + ahead;
      const gram = (bytes[end] ?? 0) | ((bytes[end + 1] ?? 0) << 8) | ((bytes[end + 2] ?? 0) << 16) | ((bytes[end + 3] ?? 0) << 24);
      const by = skips[Math.imul(gram, MIX) >>> shift] ?? 0;
      if (by === 0) {
        if (this.#start(bytes, at) !== 0) return at;
        at++;
      } else {
        at += by;
      }
    }
    return at;
  }

  /** The state of the four bytes at `at`, 0 when no pattern begins with them. */
  #start(bytes: Uint8Array, at: number): number {
    return this.#starts[this.#slot(gramAt(bytes, at)) + 1] ?? 0;
  }

  #slot(gram: number): number {
    const mask = this.#starts.length / 2 - 1;
    let slot = (Math.imul(gram, MIX) >>> 7) & mask;
    while (this.#starts[2 * slot + 1] !== 0 && this.#starts[2 * slot] !== gram) slot = (slot + 1) & mask;
    return 2 * slot;
  }

  /** @returns how many states there are. */
  #plant(sorted: readonly Uint8Array[]): number {
    const path: number[] = [0];
    let before: Uint8Array = new Uint8Array();
    let size = 1;
    for (const pattern of sorted) {
      const shared = commonPrefix(before, pattern);
      const older = before.length > shared ? (path[shared + 1] ?? 0) : 0;
      for (let deep = shared; deep < pattern.length; deep++) {
        const state = size++;
        if (deep === shared && older !== 0) this.#sibling[older] = state;
        if (deep === 0) this.#first[pattern[0] ?? 0] = state;
        this.#label[state] = pattern[deep] ?? 0;
        this.#depth[state] = deep + 1;
        path[deep + 1] = state;
        if (deep === 1) this.#second[((pattern[0] ?? 0) << 8) | (pattern[1] ?? 0)] = state;
        if (deep + 1 === GRAM) {
          const gram = gramAt(pattern, 0);
          const slot = this.#slot(gram);
          this.#starts[slot] = gram;
          this.#starts[slot + 1] = state;
        }
      }
      this.#ends[path[pattern.length] ?? 0] = pattern.length;
      before = pattern;
    }
    return size;
  }

  /** Where to go on when a state has no child for a byte: the longest other beginning of a pattern that its text ends with. */
  #link(): void {
    const [label, depth, sibling, fail, ends, first] = [this.#label, this.#depth, this.#sibling, this.#fail, this.#ends, this.#first];
    const child = (state: number, byte: number): number => {
      if (state === 0) return first[byte] ?? 0;
      let next = depth[state + 1] === (depth[state] ?? 0) + 1 ? state + 1 : 0;
      while (next !== 0 && label[next] !== byte) next = sibling[next] ?? 0;
      return next;
    };
    const queue = new Int32Array(this.#size);
    let tail = 0;
    for (const state of first) if (state !== 0) queue[tail++] = state;
    for (let head = 0; head < tail; head++) {
      const state = queue[head] ?? 0;
      for (let next = depth[state + 1] === (depth[state] ?? 0) + 1 ? state + 1 : 0; next !== 0; next = sibling[next] ?? 0) {
        queue[tail++] = next;
        const byte = label[next] ?? 0;
        let other = fail[state] ?? 0;
        while (other !== 0 && child(other, byte) === 0) other = fail[other] ?? 0;
        fail[next] = child(other, byte);
        if (ends[next] === 0) ends[next] = ends[fail[next] ?? 0] ?? 0;
      }
    }
  }

  /** By how much the window may move on, by its last four bytes: up to where they would be the same bytes of some pattern. */
  #allowSkips(sorted: readonly Uint8Array[]): void {
    const ahead = this.#window - GRAM;
    for (const pattern of sorted)
      for (let at = 0; at <= ahead; at++) {
        const entry = Math.imul(gramAt(pattern, at), MIX) >>> this.#shift;
        this.#skips[entry] = Math.min(this.#skips[entry] ?? 0, ahead - at);
      }
  }
}

/** Sorted by their bytes. */
function distinct(patterns: readonly Uint8Array[]): readonly Uint8Array[] {
  const sorted = patterns.toSorted(Buffer.compare);
  return sorted.filter((pattern, index) => index === 0 || Buffer.compare(pattern, sorted[index - 1] ?? pattern) !== 0);
}

function commonPrefix(one: Uint8Array, other: Uint8Array): number {
  const most = Math.min(one.length, other.length);
  let at = 0;
  while (at < most && one[at] === other[at]) at++;
  return at;
}

function gramAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, least)));
}

/**
 * Finds secrets that nobody registered in a stream of bytes: output of a job, a file that it made. One pass, whatever the text;
 * memory and findings are bounded. A value is never told: a finding has its kind, its place, and a fingerprint.
 */
import { hash, scrypt } from "node:crypto";
import { promisify } from "node:util";
import { BEGINNINGS, type Hit, type LeakKind, type LeakSeverity, lookFor, MOST_AHEAD, MOST_BACK } from "./kinds.ts";

export interface Leak {
  readonly kind: LeakKind;
  readonly severity: LeakSeverity;
  /** Of its first place: line from 1, byte from 0. */
  readonly line: number;
  readonly offset: number;
  /** How often the same value was there. */
  readonly times: number;
  /**
   * 12 hex digits that are the same for the same kind and value everywhere: what an exception names. Made slowly where a
   * person may have chosen the value, so that it is of no use for guessing it.
   */
  readonly fingerprint: string;
}

export interface LeakReport {
  /** By their place. */
  readonly leaks: readonly Leak[];
  /** Further ones, beyond {@link MOST_LEAKS}. */
  readonly more: number;
  /** Bytes that were looked through. */
  readonly bytes: number;
}

/** Different values that are told of one stream. */
export const MOST_LEAKS = 100;
/** Of these, values that a person may have chosen: each takes a moment to fingerprint. */
const MOST_GUESSABLE = 20;
/** Bytes that are looked through at once. */
const PIECE: number = 64 * 1024;
const SLOW = { N: 16_384, r: 8, p: 1 } as const;
const LINE_FEED = 0x0a;
const scryptAsync = promisify<string, string, number, typeof SLOW, Buffer>(scrypt);

interface Found {
  readonly hit: Hit;
  readonly value: string;
  readonly line: number;
  readonly offset: number;
  times: number;
}

/**
 * @example
 * ```ts
 * import { createReadStream } from "node:fs";
 * import { LeakFinder } from "cofferdam/secrets";
 *
 * const finder = new LeakFinder();
 * for await (const bytes of createReadStream("build.log")) finder.write(bytes);
 * for (const { kind, line, fingerprint } of (await finder.end()).leaks) console.log(`${kind} in line ${line} (${fingerprint})`);
 * ```
 */
export class LeakFinder {
  readonly #now: number;
  readonly #found = new Map<string, Found>();
  #guessable = 0;
  #more = 0;
  /** What is still needed, as latin-1: a letter is a byte. */
  #text = "";
  /** Place in the stream of its first byte. */
  #base = 0;
  /** Where in it to go on. */
  #next = 0;
  /** Line of the place `#counted` in the text. */
  #line = 1;
  #counted = 0;
  readonly #waiting: string[] = [];
  #waitingBytes = 0;

  /** @param now milliseconds since the epoch: a token that has expired is worth less. */
  constructor(now: number = Date.now()) {
    this.#now = now;
  }

  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += PIECE) {
      const piece = bytes.toString("latin1", at, Math.min(bytes.length, at + PIECE));
      this.#waiting.push(piece);
      this.#waitingBytes += piece.length;
      if (this.#waitingBytes >= PIECE) this.#scan(false);
    }
  }

  /** Nothing may be written after it. */
  async end(): Promise<LeakReport> {
    this.#scan(true);
    const leaks: Leak[] = [];
    for (const { hit, value, line, offset, times } of this.#found.values())
      leaks.push({ kind: hit.kind, severity: hit.severity, line, offset, times, fingerprint: await fingerprintOf(hit, value) });
    return { leaks, more: this.#more, bytes: this.#base + this.#text.length };
  }

  #scan(final: boolean): void {
    this.#text += this.#waiting.splice(0).join("");
    this.#waitingBytes = 0;
    const text = this.#text;
    // What begins later is looked at when all of it is there.
    const last = final ? text.length : text.length - MOST_AHEAD;
    const beginnings = new RegExp(BEGINNINGS.source, BEGINNINGS.flags);
    beginnings.lastIndex = this.#next;
    for (let match = beginnings.exec(text); match !== null && match.index < last; match = beginnings.exec(text)) {
      const [word] = match;
      const hit = lookFor(word)?.(text, match.index, word, this.#now);
      if (hit === undefined) continue;
      this.#note(hit);
      beginnings.lastIndex = Math.max(beginnings.lastIndex, hit.to);
      this.#next = beginnings.lastIndex;
    }
    this.#next = Math.max(this.#next, last);
    this.#forget(Math.max(0, Math.min(this.#next, text.length) - MOST_BACK));
  }

  #note(hit: Hit): void {
    const value = this.#text.slice(hit.from, hit.to);
    const key = `${hit.kind} ${value}`;
    const known = this.#found.get(key);
    if (known !== undefined) {
      known.times++;
      return;
    }
    if (this.#found.size >= MOST_LEAKS || (hit.guessable === true && this.#guessable >= MOST_GUESSABLE)) {
      this.#more++;
      return;
    }
    if (hit.guessable === true) this.#guessable++;
    this.#countTo(hit.from);
    this.#found.set(key, { hit, value, line: this.#line, offset: this.#base + hit.from, times: 1 });
  }

  #countTo(place: number): void {
    for (let at = this.#counted; at < place; at++) if (this.#text.charCodeAt(at) === LINE_FEED) this.#line++;
    this.#counted = Math.max(this.#counted, place);
  }

  #forget(before: number): void {
    this.#countTo(before);
    this.#text = this.#text.slice(before);
    this.#base += before;
    this.#next -= before;
    this.#counted -= before;
  }
}

/** White space and escapes within a key are its writer's, not its own. */
async function fingerprintOf({ kind, guessable }: Hit, value: string): Promise<string> {
  const said = `cofferdam leak\0${kind}\0${value.replace(/\\[nr]|[\s"'+,\\]/g, "")}`;
  if (guessable !== true) return hash("sha256", Buffer.from(said, "latin1"), "hex").slice(0, 12);
  return (await scryptAsync(said, "cofferdam leak/v1", 6, SLOW)).toString("hex");
}

/** Runs of letters in a text of bytes (latin-1): what every form of a secret is looked for with, in one pass and without a regular expression. */

/** Sets of letters, to be or-ed. */
export const DIGIT = 1;
export const UPPER = 2;
export const LOWER = 4;
/** `+` and `/`. */
const OF_BASE64 = 8;
export const DASH = 16;
export const UNDERSCORE = 32;
export const DOT = 64;
/** `~` */
export const TILDE = 128;

export const BASE62: number = DIGIT | UPPER | LOWER;
export const BASE64URL: number = BASE62 | DASH | UNDERSCORE;
export const BASE64: number = BASE62 | OF_BASE64;

const ESCAPE = 0x1b;

function setOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return DIGIT;
  if (code >= 0x41 && code <= 0x5a) return UPPER;
  if (code >= 0x61 && code <= 0x7a) return LOWER;
  if (code === 0x2b || code === 0x2f) return OF_BASE64;
  if (code === 0x2d) return DASH;
  if (code === 0x5f) return UNDERSCORE;
  if (code === 0x2e) return DOT;
  return code === 0x7e ? TILDE : 0;
}

/** @returns the place after the letters of `set` that stand from `at` on, at most `most` of them. */
export function runEnd(text: string, at: number, set: number, most: number): number {
  const last = Math.min(text.length, at + most);
  let end = at;
  while (end < last && (setOf(text.charCodeAt(end)) & set) !== 0) end++;
  return end;
}

/** Exactly `length` letters of `set`, and none after them. */
export function isRun(text: string, at: number, set: number, length: number): boolean {
  return runEnd(text, at, set, length + 1) === at + length;
}

/** Whether a word begins at `at`: before it stands none of its letters, or a terminal code that ends in one. */
export function beginsWord(text: string, at: number): boolean {
  if (at === 0 || (setOf(text.charCodeAt(at - 1)) & BASE64URL) === 0) return true;
  for (let place = at - 2; place >= 0 && place > at - 24; place--) {
    const code = text.charCodeAt(place);
    if (code === 0x5b) return text.charCodeAt(place - 1) === ESCAPE;
    if (code !== 0x3b && (code < 0x30 || code > 0x39)) return isEscape(text, at);
  }
  return false;
}

/** JSON's and a shell's `\n`, `\t`, `\r`. */
function isEscape(text: string, at: number): boolean {
  return text[at - 2] === "\\" && /[nrt]/.test(text[at - 1] ?? "");
}

/** Shannon's, bits a letter. */
export function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const letter of text) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

/** Words that stand where a secret should: `your-token-here`, `xxxxxxxx`, `${TOKEN}`. */
export function isPlaceholder(text: string): boolean {
  return (
    /example|placeholder|dummy|sample|fake|redacted|changeme|your[_-]?|insert|replace|xxxx|\*\*\*|\.\.\.|0000000|1234567|abcdef|[$<>{}]/i.test(text) ||
    new Set(text).size < 3
  );
}

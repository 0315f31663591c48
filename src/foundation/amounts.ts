/**
 * Amounts as people write them, read strictly: cores, bytes, bytes a second, whole numbers. A text that is not wholly an
 * amount with a known unit is INVALID_ARGUMENT with what was probably meant; nothing is guessed.
 */
import { CofferdamError } from "./errors.ts";
import { parseBytes } from "./units.ts";

const CORES = /^\d{1,4}(?:\.\d{1,3})?$/;
const MILLICORES = /^(\d{1,7})m$/;
const COUNT = /^\d{1,9}$/;
const BIT_RATE = /^(\d{1,9}(?:\.\d{1,3})?)(k|M|G)?bit\/s$/;
const BITS: Readonly<Record<string, number>> = { k: 1e3, M: 1e6, G: 1e9 };
/** The kernel's cpu.max takes no quota below 1 ms in 100 ms. */
const LEAST_CORES = 0.01;

/** Cores, from `2`, `"2.0"`, `"0.5"` or `"500m"`. 0.01 to 4096, in steps of a thousandth. */
export function parseCores(value: string | number): number {
  const text = String(value);
  const milli = MILLICORES.exec(text)?.[1];
  const cores = milli === undefined ? (CORES.test(text) ? Number(text) : Number.NaN) : Number(milli) / 1000;
  if (cores >= LEAST_CORES && cores <= 4096) return cores;
  const number = /^\s*(\d+(?:\.\d{1,3})?)/.exec(text)?.[1];
  throw refused(text, "a number of cpus", number !== undefined && Number(number) >= LEAST_CORES ? [number] : [], "2, 0.5 or 500m");
}

/** Bytes, from `4GB` (4e9) or `4GiB` (2^32). A bare number is refused: nobody can tell bytes from megabytes. */
export function parseSize(value: string | number): number {
  return withSuggestion(String(value), "a size", "4GiB or 512MB", parseBytes, "");
}

/** Bytes a second, from `10MB/s`, `512KiB/s` or `100Mbit/s`. */
export function parseRate(value: string | number): number {
  const text = String(value);
  const [, bits, prefix] = BIT_RATE.exec(text) ?? [];
  if (bits !== undefined) {
    const rate = Math.round((Number(bits) * (prefix === undefined ? 1 : (BITS[prefix] ?? 1))) / 8);
    if (rate > 0) return rate;
  }
  return withSuggestion(text, "a rate", "10MB/s or 100Mbit/s", parsePerSecond, "/s");
}

/** A whole number of something, 1 to 999,999,999. */
export function parseCount(value: string | number): number {
  const text = String(value);
  if (COUNT.test(text) && Number(text) > 0) return Number(text);
  const number = /^\s*0*([1-9]\d{0,8})/.exec(text)?.[1];
  throw refused(text, "a whole number", number === undefined ? [] : [number], "1000");
}

function parsePerSecond(text: string): number {
  if (!text.endsWith("/s")) throw new CofferdamError("INVALID_ARGUMENT", "not a rate");
  return parseBytes(text.slice(0, -"/s".length));
}

function withSuggestion(text: string, what: string, example: string, parse: (text: string) => number, suffix: string): number {
  let value = Number.NaN;
  try {
    value = parse(text);
  } catch {
    // Said below, with a suggestion.
  }
  if (value > 0) return value;
  throw refused(text, what, suggestions(text, suffix), example);
}

/** `4gb`, `4 GB`, `4G` and `4` are near enough to something that could be written. */
function suggestions(text: string, suffix: string): string[] {
  const [, number, letter = ""] = /^\s*(\d{1,12}(?:\.\d{1,6})?)\s*([kKmMgGtT])?i?[bB]?(?:\s*\/?\s*p?s)?\s*$/.exec(text) ?? [];
  if (number === undefined || Number(number) === 0) return [];
  const prefix = letter === "" ? "M" : letter.toUpperCase();
  return [`${number}${prefix}B${suffix}`, `${number}${prefix}iB${suffix}`].filter((one) => isWhole(one, suffix));
}

function isWhole(text: string, suffix: string): boolean {
  try {
    return parseBytes(suffix === "" ? text : text.slice(0, -suffix.length)) > 0;
  } catch {
    return false;
  }
}

function refused(text: string, what: string, near: readonly string[], example: string): CofferdamError {
  const meant = near.length === 0 ? `write it like ${example}` : `did you mean ${near.join(" or ")}?`;
  return new CofferdamError("INVALID_ARGUMENT", `not ${what}: ${JSON.stringify(text.slice(0, 40))} (${meant})`);
}

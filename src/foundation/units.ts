/**
 * Strict byte and duration units. Decimal and binary prefixes differ: `4GB` is 4e9, `4GiB` is 2^32.
 * Nothing is guessed: a text that is not wholly a number with a known unit is INVALID_ARGUMENT.
 */
import { CofferdamError } from "./errors.ts";

const BYTE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };
const QUANTITY = /^(\d{1,15}(?:\.\d{1,6})?)([A-Za-z]{1,3})$/;

function quantity(text: string, units: Readonly<Record<string, number>>, what: string, example: string): number {
  const match = QUANTITY.exec(text);
  const factor = match?.[2] === undefined || !Object.hasOwn(units, match[2]) ? undefined : units[match[2]];
  const value = match?.[1] === undefined || factor === undefined ? Number.NaN : Number(match[1]) * factor;
  if (!Number.isSafeInteger(Math.round(value)) || Math.abs(value - Math.round(value)) > 1e-6) {
    throw new CofferdamError(
      "INVALID_ARGUMENT",
      `not ${what}: ${JSON.stringify(text.slice(0, 40))} (write it like ${example}; units: ${Object.keys(units).join(", ")})`,
    );
  }
  return Math.round(value);
}

/** Bytes as an integer. `"4GB"` is 4,000,000,000 and `"4GiB"` is 4,294,967,296. Throws INVALID_ARGUMENT. */
export function parseBytes(text: string): number {
  return quantity(text, BYTE_UNITS, "a size", "512MiB");
}

/** Milliseconds as an integer, from `250ms`, `30s`, `1.5h`, `3d`. Throws INVALID_ARGUMENT. */
export function parseDuration(text: string): number {
  return quantity(text, DURATION_UNITS, "a duration", "30s");
}

/** Bytes for people, in decimal units: `412 kB`, `1.9 GB`. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ["TB", 1e12],
    ["GB", 1e9],
    ["MB", 1e6],
    ["kB", 1e3],
  ] as const) {
    if (bytes >= size) return `${trim(bytes / size)} ${unit}`;
  }
  return `${bytes} B`;
}

/** A duration for people: `340 ms`, `1.1 s`, `72 s`, `12 min`, `3 hours`. */
export function formatDuration(ms: number): string {
  if (ms < 1e3) return `${Math.round(ms)} ms`;
  if (ms < 120e3) return `${trim(ms / 1e3)} s`;
  if (ms < 2 * 3_600e3) return `${Math.round(ms / 60e3)} min`;
  if (ms < 2 * 86_400e3) return `${Math.round(ms / 3_600e3)} hours`;
  return `${Math.round(ms / 86_400e3)} days`;
}

function trim(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value));
}

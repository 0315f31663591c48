/** Objects with free keys, as JSON has them. */
import { z } from "zod";

/**
 * Like z.record, but a key named `__proto__` stays in: zod passes over it without a word, and npm does not.
 * @param accepts one value. @param what in words, for the message.
 */
export function recordOf<T>(accepts: (value: unknown) => value is T, what: string): z.ZodType<Record<string, T>> {
  const isRecord = (input: unknown): input is Record<string, T> =>
    typeof input === "object" && input !== null && !Array.isArray(input) && Object.entries(input).every(([, value]) => accepts(value));
  return z.custom<Record<string, T>>(isRecord, `not an object of ${what}`);
}

export function isAnything(_value: unknown): _value is unknown {
  return true;
}

const MAX_WORD = 8192;

export function isWord(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_WORD;
}

/** Amounts as cofferdam.yaml has them: they stay text, and what nobody could read is refused. */
import { z } from "zod";
import { parseBytes, parseDuration } from "../foundation/index.ts";

/** @param example ends the sentence of a refusal: "30d". @param words what may stand instead of a duration. */
export function durationText(example: string, ...words: readonly string[]): z.ZodString {
  return z.string().refine((text) => words.includes(text) || works(() => parseDuration(text)), `not a duration; write it like ${example}`);
}

/** @param example ends the sentence of a refusal: "512MiB". */
export function bytesText(example: string): z.ZodString {
  return z.string().refine((text) => works(() => parseBytes(text)), `not a size; write it like ${example}`);
}

function works(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

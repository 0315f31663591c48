/** A JSON text of ours, of which nothing is proven yet. */
import type { z } from "zod";
import { cannotOpen } from "./box.ts";

/** Throws INTEGRITY_FAILURE for what is no JSON, and in the same words for JSON of another shape. */
export function parseDocument<T>(schema: z.ZodType<T>, text: string): T {
  try {
    const result = schema.safeParse(JSON.parse(text));
    if (result.success) return result.data;
  } catch {
    // No JSON: as JSON of another shape.
  }
  throw cannotOpen();
}

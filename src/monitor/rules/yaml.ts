/** YAML as rules and their tests are written in, with the place of whatever is wrong. Loaded by whoever reads such a file: its reader is large. */
import { type Document, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { CofferdamError, describeProblem, problemsOf } from "../../foundation/index.ts";

/** Throws INVALID_ARGUMENT for what is no YAML, or no such document. */
export function parseYaml<T>(text: string, schema: z.ZodType<T>, path: string): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, version: "1.2", prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) throw invalid(path, lines.linePos(broken.pos[0]), broken.message);
  let value: unknown;
  try {
    // Aliases multiply: a few lines can stand for gigabytes.
    value = document.toJS({ maxAliasCount: 50 });
  } catch (error) {
    throw invalid(path, undefined, error instanceof Error ? error.message : "too many aliases");
  }
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const [first = { path: "", message: "invalid" }] = problemsOf(schema, parsed.error);
  throw invalid(path, placeOf(document, first.path, lines), describeProblem(first));
}

/** Of the key, or of the innermost that there is around it. */
function placeOf(document: Document, key: string, lines: LineCounter): { line: number; col: number } | undefined {
  const steps = key.split(".").map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  for (let length = steps.length; length > 0; length--) {
    const node: unknown = document.getIn(steps.slice(0, length), true);
    const range = typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range) ? node.range : [];
    if (typeof range[0] === "number") return lines.linePos(range[0]);
  }
  return undefined;
}

function invalid(path: string, position: { line: number; col: number } | undefined, message: string): CofferdamError {
  const where = position === undefined ? path : `${path}:${position.line}:${position.col}`;
  return new CofferdamError("INVALID_ARGUMENT", `${where}: ${message}`, { details: { file: path, ...position }, hint: "docs/rules.md has the language" });
}

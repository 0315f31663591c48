/** Files of rules: the ones that come with the product, and a user's. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Document, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { CofferdamError, describeProblem, packageFolder, problemsOf, readBounded } from "../../foundation/index.ts";
import type { NamedRules } from "./rule-set.ts";
import { rulesFileSchema } from "./schema.ts";

export const MAX_RULES_BYTES: number = 256 * 1024;

/** Throws INVALID_ARGUMENT with file:line:column, PAYLOAD_TOO_LARGE. */
export async function readRules(path: string): Promise<NamedRules> {
  return { path, file: await readYaml(path, rulesFileSchema, "a file of rules") };
}

/** Those that come with the product. */
export async function builtInRules(): Promise<readonly NamedRules[]> {
  const paths = await rulesIn(builtInFolder());
  return await Promise.all(paths.map(async (path) => ({ ...(await readRules(path)), path: `rules/${basename(path)}` })));
}

/** Paths of the files of rules in a folder; their tests are none. */
export async function rulesIn(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".yaml") && !name.endsWith(".test.yaml")).sort();
  return names.map((name) => join(folder, name));
}

export function builtInFolder(): string {
  return join(packageFolder(), "rules");
}

/** Throws INVALID_ARGUMENT for what is not there, no YAML or no such document; PAYLOAD_TOO_LARGE. */
export async function readYaml<T>(path: string, schema: z.ZodType<T>, what: string): Promise<T> {
  const bytes = await readBounded(path, { maxBytes: MAX_RULES_BYTES, what, followLink: true });
  if (bytes === undefined) throw new CofferdamError("INVALID_ARGUMENT", `${path}: not there`);
  return parseYaml(new TextDecoder("utf-8", { fatal: false }).decode(bytes), schema, path);
}

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

/** The text of a cofferdam.yaml as a policy: strict, with file:line:column in every complaint. */
import { hash } from "node:crypto";
import { isMap, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import { CofferdamError, describeProblem, type InputProblem, problemsOf } from "../foundation/index.ts";
import type { LoadedFile } from "./file.ts";
import { policyFileSchema } from "./schema.ts";

/** The text of a file's bytes. Throws INVALID_ARGUMENT for what is not UTF-8: two such files could not be told apart as text, and trust is in bytes. */
export function policyText(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(path, undefined, "not UTF-8");
  }
}

/** Parses the text of a policy file. */
export function parsePolicy(text: string, path: string): LoadedFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, version: "1.2", prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) throw invalid(path, lines.linePos(broken.pos[0]), broken.message);
  const at = (key: readonly string[]): { line: number; col: number } | undefined => {
    const range = nearest(document.contents, key)?.range;
    return range === undefined || range === null ? undefined : lines.linePos(range[0]);
  };
  let value: unknown;
  try {
    // Aliases multiply: a few lines can stand for gigabytes.
    value = document.toJS({ maxAliasCount: 50 });
  } catch (error) {
    throw invalid(path, undefined, error instanceof Error ? error.message : "too many aliases");
  }
  const parsed = policyFileSchema.safeParse(value ?? {});
  if (!parsed.success) {
    const problems = problemsOf(policyFileSchema, parsed.error);
    const first = problems[0] ?? { path: "", message: "invalid" };
    throw invalid(path, at(first.path.split(".")), describeProblem(first), problems);
  }
  return {
    path,
    policy: parsed.data,
    sha256: hash("sha256", text, "hex"),
    lineOf: (key, entry) => at([...key.split("."), ...(entry === undefined ? [] : [entry])])?.line,
  };
}

/** The key's own node, or that of the innermost parent that exists. */
function nearest(root: unknown, path: readonly string[]): Node | undefined {
  let found: Node | undefined;
  let node: unknown = root;
  for (const step of path) {
    if (!isMap(node)) break;
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === step);
    if (pair === undefined) break;
    if (isScalar(pair.key)) found = pair.key;
    node = pair.value;
  }
  return found;
}

function invalid(path: string, position: { line: number; col: number } | undefined, message: string, problems: readonly InputProblem[] = []): CofferdamError {
  const where = position === undefined ? path : `${path}:${position.line}:${position.col}`;
  return new CofferdamError("INVALID_ARGUMENT", `${where}: ${message}`, {
    details: { file: path, ...(position ?? {}), problems },
    hint: "cofferdam policy check shows every problem; docs/policy.md lists the keys",
  });
}

/** Validation at the border: a zod schema decides, and its complaints become one INVALID_ARGUMENT with "did you mean". */
import type { z } from "zod";
import { CofferdamError, type ErrorCode } from "./errors.ts";
import { nearestWord } from "./suggest.ts";

/** One complaint about an input. `path` is dotted (`packages.hold`), empty for the whole value. */
export interface InputProblem {
  readonly path: string;
  readonly message: string;
  readonly suggestion?: string;
}

/** Most problems listed of one input; more are counted by nobody, since the first ones must be mended anyway. */
const MAX_PROBLEMS = 20;

/**
 * The parsed value, or a throw of `code` (INVALID_ARGUMENT unless told) whose details hold {@link InputProblem}s.
 * @param what what the input is, as the sentence needs it: "options of AuditLogger".
 */
export function parseInput<T>(schema: z.ZodType<T>, input: unknown, what: string, code: ErrorCode = "INVALID_ARGUMENT"): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problems = problemsOf(schema, result.error);
  const first = problems[0];
  const sentence = first === undefined ? "invalid" : describeProblem(first);
  throw new CofferdamError(code, `${what}: ${sentence}${problems.length > 1 ? ` (and ${problems.length - 1} more)` : ""}`, { details: { problems } });
}

/** For values that callers bring along (a store, a clock): what they can do is their type's to say. */
export const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;
export const isFunction = (value: unknown): boolean => typeof value === "function";

/** A problem as one sentence. */
export function describeProblem(problem: InputProblem): string {
  const where = problem.path === "" ? "" : `${problem.path}: `;
  return `${where}${problem.message}${problem.suggestion === undefined ? "" : ` (did you mean ${JSON.stringify(problem.suggestion)}?)`}`;
}

/** Complaints of zod in our form, with a suggestion for every unknown key that is near a known one. */
export function problemsOf(schema: z.ZodType, error: z.ZodError): InputProblem[] {
  const problems: InputProblem[] = [];
  for (const issue of error.issues.slice(0, MAX_PROBLEMS)) {
    const path = issue.path.map(String);
    if (issue.code !== "unrecognized_keys") {
      problems.push({ path: path.join("."), message: issue.message });
      continue;
    }
    const known = knownKeys(schema, path);
    for (const key of issue.keys) {
      const suggestion = nearestWord(key, known);
      problems.push({ path: [...path, key].join(".").slice(0, 200), message: "unknown key", ...(suggestion === undefined ? {} : { suggestion }) });
    }
  }
  return problems.slice(0, MAX_PROBLEMS);
}

/** Keys that the object at `path` may have, by walking the published JSON Schema of the zod schema. */
function knownKeys(schema: z.ZodType, path: readonly string[]): string[] {
  let node: unknown = schema.toJSONSchema({ unrepresentable: "any", io: "input" });
  for (const step of path) node = property(node, "properties", step) ?? property(node, "additionalProperties") ?? property(node, "items");
  const properties = property(node, "properties");
  return typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
}

function property(node: unknown, ...keys: readonly string[]): unknown {
  let value = node;
  for (const key of keys) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Object.entries(value).find(([name]) => name === key)?.[1];
  }
  return value;
}

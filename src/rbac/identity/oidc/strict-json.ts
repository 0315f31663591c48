/**
 * JSON that a stranger wrote, read in one way only: a key that stands twice in an object is refused (two readers would see two
 * different documents), and so is what is deeper or has more members than anything honest.
 */
import { CofferdamError } from "../../../foundation/index.ts";

const MAX_DEPTH = 8;
/** Members and elements of the whole document. */
const MAX_PARTS = 2000;
/** In valid JSON: strings, and the signs that make its structure. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/** @param what for the message. Throws UNAUTHENTICATED, or the code that is given. */
export function parseStrictJson(text: string, what: string, code: "UNAUTHENTICATED" | "UPSTREAM_UNAVAILABLE" = "UNAUTHENTICATED"): unknown {
  const refuse = (why: string): CofferdamError => new CofferdamError(code, `${what}: ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refuse("not JSON");
  }
  const problem = structureProblem(text);
  if (problem !== undefined) throw refuse(problem);
  return value;
}

function structureProblem(text: string): string | undefined {
  // One entry for every open object or array; an array has no keys.
  const open: (Set<string> | undefined)[] = [];
  let parts = 0;
  let last = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : undefined);
      if (open.length > MAX_DEPTH) return `nested deeper than ${MAX_DEPTH}`;
    } else if (token === "}" || token === "]") open.pop();
    else if (token === ",") parts += 1;
    else if (token === ":") {
      const key: unknown = JSON.parse(last);
      const keys = open.at(-1);
      if (keys === undefined || typeof key !== "string" || keys.has(key)) return "a key stands twice";
      keys.add(key);
    }
    if (parts > MAX_PARTS) return `more than ${MAX_PARTS} parts`;
    last = token;
  }
  return undefined;
}

/**
 * Patterns of repository names: `*`, or `owner/name` where either part is a name, `*`, or the beginning of a name and `*`.
 * GitHub's names compare without case, and so do these: patterns and names come folded.
 */
import { z } from "zod";

const PART = /^[A-Za-z0-9_.-]{0,100}\*?$/;

/** @param pattern and @param repository in the form of `foldName`. */
export function matchesRepository(pattern: string, repository: string): boolean {
  if (pattern === "*") return true;
  const [owner = "", name = ""] = pattern.split("/", 2);
  const slash = repository.indexOf("/");
  return matchesPart(owner, repository.slice(0, slash)) && matchesPart(name, repository.slice(slash + 1));
}

function matchesPart(pattern: string, part: string): boolean {
  return pattern.endsWith("*") ? part.startsWith(pattern.slice(0, -1)) : pattern === part;
}

export const repositoryPatternSchema: z.ZodType<string> = z
  .string()
  .max(202)
  .refine(isPattern, "a repository pattern is owner/name; a part may end in *")
  .transform((text) => text.toLowerCase());

function isPattern(text: string): boolean {
  if (text === "*") return true;
  const parts = text.split("/");
  return parts.length === 2 && parts.every((part) => part !== "" && PART.test(part));
}

/** What somebody reads before approving: a package's scripts, and the files of the package that they start. */
import { posix } from "node:path";
import type { PackageFiles, ShownFile } from "./files.ts";
import type { Script } from "./manifest.ts";

export const MAX_FILES = 10;
export const MAX_SHOWN: number = 64 * 1024;

/** The files that scripts name, each once; as many as a person would read. */
export async function namedFiles(scripts: readonly Script[], files: PackageFiles): Promise<ShownFile[]> {
  const found = new Map<string, ShownFile>();
  for (const word of new Set(scripts.flatMap(({ body }) => wordsOf(body)))) {
    if (found.size >= MAX_FILES) break;
    const file = await files.first(candidates(word), MAX_SHOWN);
    if (file !== undefined) found.set(file.path, file);
  }
  return [...found.values()];
}

/**
 * Words of a shell line that could be files of the package. Not a shell: what it builds from variables or reads from other
 * files is not seen, and the scripts themselves are shown in full.
 */
function wordsOf(body: string): string[] {
  return body
    .slice(0, MAX_SHOWN)
    .split(/[\s;&|()<>"'`=]+/)
    .map((word) => posix.normalize(word))
    .filter((word) => /^[\w@.-][\w@./+-]*$/.test(word) && !word.startsWith("..") && word !== "." && !word.startsWith("-"));
}

/** As Node finds a file that is named without its end. */
function candidates(word: string): string[] {
  return [word, ...[".js", ".cjs", ".mjs", "/index.js"].map((end) => word.replace(/\/$/, "") + end)];
}

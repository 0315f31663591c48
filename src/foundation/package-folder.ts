/** Where this program is installed. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CofferdamError } from "./errors.ts";

/**
 * The folder with our package.json, bin/ and dist/: from a checkout's sources, from dist/ and from the bundle of the command
 * line, which lie at different depths. Throws INTERNAL when there is none.
 */
export function packageFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) throw new CofferdamError("INTERNAL", "the program does not find its own package.json");
  }
}

/** Where npm puts an entry of a package tarball. Its extractor cuts off what Windows would call a root. */
import { refuse } from "../archive/index.ts";

/**
 * The name below the package's folder: without its first component, and without the `.` and empty components that an
 * extractor folds away. Empty for the top folder itself. Throws INTEGRITY_FAILURE.
 */
export function packagePath(path: string, type: "file" | "directory"): string {
  const slash = path.indexOf("/");
  const rest = slash < 0 ? "" : path.slice(slash + 1);
  if (rest.startsWith("//") || /^\/?(?:[A-Za-z]:|\\)/.test(rest)) throw refuse("absolute", "a path that npm would cut a root from", path);
  const inner = /(?:^|\/)\.?(?:\/|$)/.test(rest) ? folded(rest) : rest;
  if (inner === "" && type === "file") throw refuse("no-folder", "a file outside of its top folder", path);
  return inner;
}

function folded(path: string): string {
  return path
    .split("/")
    .filter((component) => component !== "" && component !== ".")
    .join("/");
}

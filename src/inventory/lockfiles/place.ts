/** Places in a project as a lockfile names them: relative, `/`-separated, and never a way out of the project. */
import { CofferdamError } from "../../foundation/index.ts";

/** Throws INVALID_ARGUMENT for an absolute, empty or disguised path; for one that leaves the project unless `outside` is given. */
export function assertPlace(path: string, what: string, outside?: "outside"): void {
  // Nearly every place of a lockfile; what is not as plain is looked at part by part.
  if (path.length <= 4096 && isPlainPlace(path)) return;
  const parts = path.split("/");
  const up = parts.findIndex((part) => part !== "..");
  const inner = outside === undefined ? parts : parts.slice(up < 0 ? parts.length : up);
  const bad =
    path.length > 4096 ||
    path.startsWith("/") ||
    path.includes("\\") ||
    hasControl(path) ||
    (outside === undefined && path === "") ||
    inner.some((part) => part === ".." || part === "." || (part === "" && path !== ""));
  if (bad)
    throw new CofferdamError("INVALID_ARGUMENT", `${what}: not a place in a project: ${JSON.stringify(path.slice(0, 200))}`, {
      details: { path: path.slice(0, 500) },
    });
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20) return true;
  return false;
}

/** True for most paths that are as they should be: no part of them begins with a dot or is empty. */
export function isPlainPlace(path: string): boolean {
  return /^[\w@~+-][\w@~+./-]*$/.test(path) && !path.includes("/.") && !path.includes("//") && !path.endsWith("/");
}

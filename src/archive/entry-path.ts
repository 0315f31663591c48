/**
 * Names of entries: which are refused. On Linux a backslash is an ordinary character of a name; other extractors still
 * look for `..` between backslashes, so that is refused too.
 */
import { refuse } from "./archive-fault.ts";

const MAX_PATH_BYTES = 4096;
const MAX_COMPONENT_BYTES = 255;
/** npm's extractor leaves out what lies deeper. */
const MAX_DEPTH = 1024;

/** The name without trailing slashes. Throws INTEGRITY_FAILURE for one that could leave the folder or be read in two ways. */
export function archivePath(raw: string): string {
  const path = raw.replace(/\/+$/, "");
  if (raw.startsWith("/")) throw refuse("absolute", "an absolute path", raw);
  if (path === "") throw refuse("path", "an empty path", raw);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) throw refuse("path", `a path longer than ${MAX_PATH_BYTES} bytes`, raw);
  if (hasControl(path)) throw refuse("control-character", "a control character in a path", raw);
  if (path.includes("\ufffd")) throw refuse("name-encoding", "a path that is not UTF-8", raw);
  if (path.includes("..") && path.split(/[/\\]/).includes("..")) throw refuse("traversal", "a path with ..", raw);
  const components = path.split("/");
  if (components.length > MAX_DEPTH) throw refuse("path", `a path deeper than ${MAX_DEPTH}`, raw);
  for (const component of components) {
    if (component.length * 3 > MAX_COMPONENT_BYTES && Buffer.byteLength(component) > MAX_COMPONENT_BYTES)
      throw refuse("path", `a name longer than ${MAX_COMPONENT_BYTES} bytes`, raw);
  }
  return path;
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}

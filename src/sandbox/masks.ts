/** Sockets, FIFOs and device nodes in trees that are shown to a jail: even on a read-only mount they lead out of it. */
import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CofferdamError } from "../foundation/index.ts";

const MAX_ENTRIES = 2_000_000;
const MAX_NODES = 500;

/** Paths below `root` that are neither file, folder nor link. Unreadable folders are skipped: the jail cannot read them either. */
export function maskedNodes(root: string): string[] {
  const found: string[] = [];
  if (lstatSync(root, { throwIfNoEntry: false })?.isDirectory() !== true) return found;
  const folders = [root];
  let entries = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of listing(folder)) {
      entries += 1;
      if (entry.isDirectory()) folders.push(join(folder, entry.name));
      else if (!entry.isFile() && !entry.isSymbolicLink()) found.push(join(folder, entry.name));
    }
    if (entries > MAX_ENTRIES || found.length > MAX_NODES)
      throw new CofferdamError(
        "RESOURCE_EXHAUSTED",
        `${root} has too many ${entries > MAX_ENTRIES ? "entries" : "sockets, FIFOs or devices"} to be shown to a jail`,
        {
          hint: "show a smaller folder",
        },
      );
  }
  return found;
}

function listing(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** What an ordinary user runs from: this checkout, or a copy of what it needs where it lies below a private folder. */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readlinkSync, statSync, symlinkSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { inject } from "vitest";

export type Who = "root" | "user";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const PARTS = [
  ...["bin", "dist", "package.json", "tools/runtime"],
  ...["canonicalize", "ini", "semver", "undici", "yaml", "zod"].map((name) => `node_modules/${name}`),
];
/** Links of `./dev` into tools/runtime. */
const PROGRAMS = ["node", "npm", "npx"];

let copy: string | undefined;

export function checkoutFor(as: Who): string {
  if (as === "root" || process.getuid?.() !== 0 || isReachable(ROOT)) return ROOT;
  if (copy !== undefined) return copy;
  const made = mkdtempSync(join(inject("scratch"), "checkout-"));
  chmodSync(made, 0o755);
  for (const part of PARTS) {
    mkdirSync(dirname(join(made, part)), { recursive: true });
    cpSync(join(ROOT, part), join(made, part), { recursive: true });
  }
  mkdirSync(join(made, ".dev", "bin"), { recursive: true });
  for (const name of PROGRAMS) symlinkSync(join(made, relative(ROOT, readlinkSync(join(ROOT, ".dev", "bin", name)))), join(made, ".dev", "bin", name));
  copy = made;
  return made;
}

function isReachable(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o005) !== 0o005) return false;
    if (at === "/") return true;
  }
}

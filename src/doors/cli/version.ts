/** Ours, as package.json says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "../../foundation/index.ts";

export function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageFolder(), "package.json"), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}

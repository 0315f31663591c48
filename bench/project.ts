/** Copies of bench/application, about 1,000 packages, with the addresses of the configured registry filled in. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fillAdvisories } from "../test/world/advisories.ts";

export const NPM: string = fileURLToPath(new URL("../tools/runtime/node_modules/npm/bin/npm-cli.js", import.meta.url));
export const COFFERDAM: string = fileURLToPath(new URL("../bin/cofferdam.js", import.meta.url));
const application = fileURLToPath(new URL("./application", import.meta.url));

/** The lockfile is committed without addresses; most lockfiles have them. @returns the project's folder. */
export function applicationIn(folder: string, name: string): string {
  const registry = execFileSync(process.execPath, [NPM, "config", "get", "registry"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  const path = join(folder, name);
  mkdirSync(path);
  copyFileSync(join(application, "package.json"), join(path, "package.json"));
  const lock = JSON.parse(readFileSync(join(application, "package-lock.json"), "utf8"));
  for (const [place, entry] of Object.entries<Record<string, unknown>>(lock.packages)) {
    if (place === "" || entry["integrity"] === undefined) continue;
    const full = String(entry["name"] ?? place.slice(place.lastIndexOf("node_modules/") + "node_modules/".length));
    entry["resolved"] = new URL(`${full}/-/${full.slice(full.indexOf("/") + 1)}-${String(entry["version"])}.tgz`, registry).href;
  }
  writeFileSync(join(path, "package-lock.json"), JSON.stringify(lock, null, 2));
  return path;
}

/** Advisories of today, as after `cofferdam db update`: without them an install refuses. */
export async function updatedState(state: string): Promise<void> {
  rmSync(state, { recursive: true, force: true });
  await fillAdvisories(join(state, "advisories"));
}

/**
 * The guarded install against plain `npm ci --ignore-scripts`, on about 900 packages of the configured registry, warm (their
 * caches full) and cold (empty). The lockfile is committed without addresses; they are filled in here, as most lockfiles
 * have them. COFFERDAM_BENCH_DIR chooses the file system; COFFERDAM_BENCH_ROUNDS the rounds.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { interleaved, print, timed } from "./measure.ts";

const ROUNDS = Number(process.env["COFFERDAM_BENCH_ROUNDS"] ?? 5);
const executable = fileURLToPath(new URL("../bin/cofferdam.js", import.meta.url));
const npm = fileURLToPath(new URL("../tools/runtime/node_modules/npm/bin/npm-cli.js", import.meta.url));
const application = fileURLToPath(new URL("./application", import.meta.url));
const folder = mkdtempSync(join(process.env["COFFERDAM_BENCH_DIR"] ?? tmpdir(), "cofferdam-bench-install-"));
const registry = execFileSync(process.execPath, [npm, "config", "get", "registry"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();

function project(name: string): string {
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

const plainProject = project("plain");
const ourProject = project("ours");
const [cache, state] = [join(folder, "cache"), join(folder, "state")];
const quiet = { stdio: ["ignore", "ignore", "inherit"] as const };
const plain = (): Promise<number> =>
  timed(() =>
    execFileSync(process.execPath, [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", `--cache=${cache}`], {
      cwd: plainProject,
      stdio: [...quiet.stdio],
    }),
  );
const ours = (): Promise<number> =>
  timed(() =>
    execFileSync(process.execPath, [executable, "install", "--quiet", "--state", state, "--", "npm", "ci"], { cwd: ourProject, stdio: [...quiet.stdio] }),
  );

/** Runs with an empty cache. Removing the old one is not part of what is measured. */
function fresh(store: string, run: () => Promise<number>): Promise<number> {
  rmSync(store, { recursive: true, force: true });
  return run();
}

try {
  const cold = await interleaved(
    [
      { name: "ours", run: () => fresh(state, ours) },
      { name: "plain", run: () => fresh(cache, plain) },
    ],
    ROUNDS,
  );
  print({ name: "install-cold vs npm ci", ours: cold[0] ?? 0, peer: cold[1] ?? 0, unit: "ms", goal: { kind: "at-most", ratio: 1.15 } });
  const warm = await interleaved(
    [
      { name: "ours", run: ours },
      { name: "plain", run: plain },
    ],
    ROUNDS,
  );
  print({ name: "install-warm vs npm ci", ours: warm[0] ?? 0, peer: warm[1] ?? 0, unit: "ms", goal: { kind: "at-most", ratio: 1.1 } });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/**
 * The guarded install against plain `npm ci --ignore-scripts`, on about 900 packages of the configured registry, warm (their
 * caches full) and cold (empty). COFFERDAM_BENCH_DIR chooses the file system; COFFERDAM_BENCH_ROUNDS the rounds.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interleaved, print, timed } from "./measure.ts";
import { applicationIn, COFFERDAM, NPM, updatedState } from "./project.ts";

const ROUNDS = Number(process.env["COFFERDAM_BENCH_ROUNDS"] ?? 5);
const folder = mkdtempSync(join(process.env["COFFERDAM_BENCH_DIR"] ?? tmpdir(), "cofferdam-bench-install-"));

const plainProject = applicationIn(folder, "plain");
const ourProject = applicationIn(folder, "ours");
const [cache, state] = [join(folder, "cache"), join(folder, "state")];
const quiet = { stdio: ["ignore", "ignore", "inherit"] as const };
const plain = (): Promise<number> =>
  timed(() =>
    execFileSync(process.execPath, [NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", `--cache=${cache}`], {
      cwd: plainProject,
      stdio: [...quiet.stdio],
    }),
  );
const ours = (): Promise<number> =>
  timed(() =>
    execFileSync(process.execPath, [COFFERDAM, "install", "--quiet", "--state", state, "--", "npm", "ci", "--ignore-scripts"], {
      cwd: ourProject,
      stdio: [...quiet.stdio],
    }),
  );

/** Runs with an empty cache. Removing the old one is not part of what is measured. */
async function fresh(run: () => Promise<number>): Promise<number> {
  if (run === ours) await updatedState(state);
  else rmSync(cache, { recursive: true, force: true });
  return await run();
}

try {
  const cold = await interleaved(
    [
      { name: "ours", run: () => fresh(ours) },
      { name: "plain", run: () => fresh(plain) },
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

/**
 * An install of about 1,000 packages, four of which have install scripts, warm: guarded with every script in its own jail,
 * against plain `npm ci` that runs them with everything that the user has. COFFERDAM_BENCH_DIR, COFFERDAM_BENCH_ROUNDS as in
 * install.ts.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interleaved, print, timed } from "./measure.ts";
import { applicationIn, COFFERDAM, NPM, updatedState } from "./project.ts";

const ROUNDS = Number(process.env["COFFERDAM_BENCH_ROUNDS"] ?? 5);
/** Besides esbuild and @parcel/watcher, which the application has. */
const MORE = ["core-js@3.46.0", "es5-ext@0.10.64"];
const folder = mkdtempSync(join(process.env["COFFERDAM_BENCH_DIR"] ?? tmpdir(), "cofferdam-bench-scripts-"));
const [cache, state] = [join(folder, "cache"), join(folder, "state")];

function project(name: string): string {
  const path = applicationIn(folder, name);
  execFileSync(process.execPath, [NPM, "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...MORE], {
    cwd: path,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return path;
}

try {
  const [plainProject, ourProject] = [project("plain"), project("ours")];
  await updatedState(state);
  const plain = (): Promise<number> =>
    timed(() =>
      execFileSync(process.execPath, [NPM, "ci", "--no-audit", "--no-fund", "--loglevel=error", `--cache=${cache}`], { cwd: plainProject, stdio: "ignore" }),
    );
  const document = (): { scripts: { decision: string; exit: number | null }[] } =>
    JSON.parse(
      execFileSync(process.execPath, [COFFERDAM, "install", "--json", "--state", state, "--", "npm", "ci"], {
        cwd: ourProject,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
        maxBuffer: 64 * 2 ** 20,
      }),
    );
  const ours = (): Promise<number> =>
    timed(() => {
      const ran = document().scripts.filter((script) => script.decision === "jailed" && script.exit === 0);
      if (ran.length < 4) throw new Error(`only ${ran.length} scripts ran`);
    });
  await ours();
  await plain();
  const [guarded = 0, bare = 0] = await interleaved(
    [
      { name: "ours", run: ours },
      { name: "plain", run: plain },
    ],
    ROUNDS,
  );
  print({ name: "install-scripts vs npm ci with scripts", ours: guarded, peer: bare, unit: "ms", goal: { kind: "at-most", ratio: 1.1 } });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

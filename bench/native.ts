/**
 * A large native package built from source: better-sqlite3 in the jail, against plain `npm ci`. Needs a C++ compiler, make and
 * Python. One round unless COFFERDAM_BENCH_ROUNDS says more: a build takes minutes.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { interleaved, print, timed } from "./measure.ts";
import { COFFERDAM, NPM, updatedState } from "./project.ts";

const ROUNDS = Number(process.env["COFFERDAM_BENCH_ROUNDS"] ?? 1);
const PACKAGE = "better-sqlite3@12.11.1";
const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-native-"));
const quiet = { stdio: ["ignore", "ignore", "inherit"] as const };

function project(name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  writeFileSync(join(path, "package.json"), JSON.stringify({ name, version: "1.0.0", private: true }));
  const args = ["install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", PACKAGE];
  execFileSync(process.execPath, [NPM, ...args], { cwd: path, stdio: [...quiet.stdio] });
  return path;
}

function built(path: string): void {
  if (!existsSync(join(path, "node_modules/better-sqlite3/build/Release/better_sqlite3.node"))) throw new Error(`not built: ${path}`);
}

try {
  const [plainProject, ourProject] = [project("plain"), project("ours")];
  await updatedState(join(folder, "state"));
  // The jail has no network, so nothing prebuilt is fetched; the peer is told to build too, with the same headers.
  const env = { ...process.env, npm_config_build_from_source: "true", npm_config_nodedir: dirname(dirname(process.execPath)) };
  const plain = (): Promise<number> =>
    timed(() => {
      execFileSync(process.execPath, [NPM, "ci", "--no-audit", "--no-fund", "--loglevel=error", `--cache=${join(folder, "cache")}`], {
        cwd: plainProject,
        env,
        stdio: [...quiet.stdio],
      });
      built(plainProject);
    });
  const ours = (): Promise<number> =>
    timed(() => {
      const path = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
      execFileSync(process.execPath, [COFFERDAM, "install", "--quiet", "--state", join(folder, "state"), "--", "npm", "ci"], {
        cwd: ourProject,
        env: { ...process.env, PATH: path },
        stdio: [...quiet.stdio],
      });
      built(ourProject);
    });
  const [guarded = 0, bare = 0] = await interleaved(
    [
      { name: "ours", run: ours },
      { name: "plain", run: plain },
    ],
    ROUNDS,
  );
  print({ name: "native-build better-sqlite3 vs npm ci", ours: guarded, peer: bare, unit: "ms" });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

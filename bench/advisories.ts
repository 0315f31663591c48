/**
 * Advisories: a real lockfile of 1,578 package versions against the npm records, alone and among 200,000 made-up ones, in
 * processes of their own. Peers: reading and comparing the JSON files, a node-semver loop over parsed ones, osv-scanner.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, createWriteStream, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { interleaved, print, printLimit } from "./measure.ts";

const ROUNDS = 9;
const SYNTHETIC = 200_000;
const DATA: string = fileURLToPath(new URL("../../shared/data/", import.meta.url));
const COFFERDAM: string = fileURLToPath(new URL("../bin/cofferdam.js", import.meta.url));
const STEP: string = fileURLToPath(new URL("advisories-process.ts", import.meta.url));

if (!existsSync(join(DATA, "lock-1578.json"))) process.stdout.write("bench advisories: skipped: no data\n");
else {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-advisories-"));
  try {
    await measure(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function step(...args: string[]): Readonly<Record<string, number>> {
  return JSON.parse(execFileSync(process.execPath, [STEP, ...args], { encoding: "utf8" }));
}

async function measure(folder: string): Promise<void> {
  const lock = join(folder, "package-lock.json");
  copyFileSync(join(DATA, "lock-1578.json"), lock);
  execFileSync("tar", ["--zstd", "-xf", join(DATA, "osv-npm-ghsa-5931.tar.zst"), "-C", folder]);
  const records = join(folder, "npm");
  const [small, large] = [join(folder, "small"), join(folder, "large")];
  step("import", join(small, "advisories"), records);

  const naive: Record<string, number>[] = [];
  const ours: Record<string, number>[] = [];
  const [naiveMs = 0, oursMs = 0] = await interleaved(
    [
      { name: "naive", run: async () => kept(naive, step("naive", records, lock), "naiveMs") },
      { name: "ours", run: async () => kept(ours, step("match", join(small, "advisories"), lock), "coldMs") },
    ],
    ROUNDS,
  );
  print({ name: "advisories-open-match vs reading the JSON", ours: oursMs, peer: naiveMs, unit: "ms" });
  print({ name: "advisories-match-warm vs node-semver loop", ours: middle(ours, "warmMs"), peer: middle(naive, "loopMs"), unit: "ms" });
  if (ours[0]?.["findings"] === undefined || ours[0]["findings"] < 80) throw new Error("findings are missing");
  limits("npm", small, lock, ours);

  const file = join(folder, "synthetic.ndjson");
  await writeSynthetic(file);
  step("import", join(large, "advisories"), records);
  const imported = step("import", join(large, "advisories"), file);
  rmSync(file);
  if (imported["records"] !== SYNTHETIC) throw new Error("records are missing");
  printLimit({ name: "advisories-compile-200k", ours: (imported["ms"] ?? 0) / 1000, unit: "s", most: 30 });
  printLimit({ name: "advisories-compile-200k-memory", ours: (imported["maxRss"] ?? 0) / 1e6, unit: "MB", most: 800 });
  printLimit({ name: "advisories-index-206k", ours: (imported["indexBytes"] ?? 0) / 1e6, unit: "MB", most: 15 });
  const among: Record<string, number>[] = [];
  for (let i = 0; i < ROUNDS; i++) kept(among, step("match", join(large, "advisories"), lock), "coldMs");
  limits("206k", large, lock, among);
  osvScanner(folder, lock);
}

function limits(name: string, state: string, lock: string, runs: readonly Readonly<Record<string, number>>[]): void {
  printLimit({ name: `advisories-${name}-open-match`, ours: middle(runs, "coldMs"), unit: "ms", most: 50 });
  printLimit({ name: `advisories-${name}-match-warm`, ours: middle(runs, "warmMs"), unit: "ms", most: 10 });
  const commands = Array.from({ length: ROUNDS }, () => wholeCommand(state, lock));
  printLimit({ name: `advisories-${name}-command`, ours: middle(commands, "ms"), unit: "ms", most: 250 });
  printLimit({ name: `advisories-${name}-command-memory`, ours: middle(commands, "maxRss") / 1e6, unit: "MB", most: 120 });
}

/** `cofferdam scan` as a user starts it; its memory is told by a module that Node loads first. */
function wholeCommand(state: string, lock: string): Record<string, number> {
  const tell = "data:text/javascript,process.once('exit',()=>process.stderr.write('RSS '+process.resourceUsage().maxRSS))";
  const started = performance.now();
  const { stderr, status } = spawnSync(process.execPath, ["--import", tell, COFFERDAM, "scan", lock, "--state", state], { encoding: "utf8" });
  const ms = performance.now() - started;
  // Old data, and findings: refused, one way or the other.
  if (status !== 3 && status !== 8) throw new Error(`scan exited ${status}: ${stderr}`);
  return { ms, maxRss: Number(/RSS (\d+)/.exec(stderr)?.[1]) * 1024 };
}

function kept(runs: Record<string, number>[], run: Readonly<Record<string, number>>, key: string): number {
  runs.push({ ...run });
  return run[key] ?? Number.NaN;
}

function middle(runs: readonly Readonly<Record<string, number>>[], key: string): number {
  return runs.map((run) => run[key] ?? Number.NaN).sort((a, b) => a - b)[Math.floor(runs.length / 2)] ?? Number.NaN;
}

/** Of every ten, seven like those of ossf/malicious-packages and three like GitHub's; the same every time. */
async function writeSynthetic(path: string): Promise<void> {
  const out = createWriteStream(path);
  const details = "This package was found to contain code that sends what it finds on the machine to a host on the internet. ".repeat(8);
  for (let i = 0; i < SYNTHETIC; i++) {
    const malicious = i % 10 < 7;
    const name = malicious ? `synthetic-${(i * 2_654_435_761) % 4_294_967_296}-pkg` : `library-${(i * 40_503) % 60_000}`;
    const versions = i % 3 === 0 ? ["1.0.0", `1.0.${i % 50}`] : [];
    const ranges = malicious
      ? [{ type: "SEMVER", events: [{ introduced: "0" }] }]
      : [{ type: "SEMVER", events: [{ introduced: `${i % 4}.0.0` }, { fixed: `${(i % 4) + 1}.${i % 30}.${i % 9}` }] }];
    const record = {
      id: malicious ? `MAL-2025-${i}` : `GHSA-${letters(i)}-${letters(Math.floor(i / 160_000))}-${letters(i * 77)}`,
      modified: new Date(1_700_000_000_000 + i * 60_000).toISOString(),
      aliases: malicious ? [] : [`CVE-2024-${10_000 + i}`],
      summary: malicious ? `Malicious code in ${name}` : `Something is wrong in ${name}`,
      details,
      affected: [{ package: { ecosystem: "npm", name }, ...(malicious && versions.length > 0 ? { versions } : { ranges }) }],
      database_specific: { severity: "HIGH" },
    };
    if (!out.write(`${JSON.stringify(record)}\n`)) await new Promise((resolve) => out.once("drain", resolve));
  }
  await new Promise((resolve) => out.end(resolve));
}

function letters(seed: number): string {
  const alphabet = "23456789cfghjmpqrvwx";
  return [0, 1, 2, 3].map((at) => alphabet[Math.floor(seed / 20 ** at) % 20]).join("");
}

function osvScanner(folder: string, lock: string): void {
  const found = spawnSync("osv-scanner", ["--version"], { stdio: "ignore" });
  if (found.error !== undefined) {
    process.stdout.write("bench advisories vs osv-scanner: not on this machine\n");
    return;
  }
  const cache = join(folder, "osv-scanner", "npm");
  mkdirSync(cache, { recursive: true });
  execFileSync("zip", ["-qr", join(cache, "all.zip"), "."], { cwd: join(folder, "npm") });
  writeFileSync(join(folder, "empty"), "");
  const started = performance.now();
  spawnSync("osv-scanner", ["scan", "--offline", "--lockfile", lock], { env: { ...process.env, OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY: folder } });
  print({
    name: "advisories-command vs osv-scanner --offline",
    ours: middle([wholeCommand(join(folder, "small"), lock)], "ms"),
    peer: performance.now() - started,
    unit: "ms",
  });
}

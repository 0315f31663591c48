/** One caller of jails: the checks that are its arguments, and what came of them as one line of JSON. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type JailLimits, type JailRequest, type JailResult, locateJailHelper, runJail } from "../../../dist/sandbox/index.js";
import type { Run, Scenario } from "../report.ts";

const ROOT = "/sys/fs/cgroup";
const MIB = 2 ** 20;
const DD = "dd if=/dev/zero";

interface Check {
  readonly code: string;
  readonly limits?: Partial<JailLimits>;
  readonly level?: JailRequest["level"];
}

const CHECKS: Readonly<Record<string, Check>> = {
  plain: { code: "true" },
  high: { code: "true", level: "high" },
  memory: { code: `${DD} of=/dev/null bs=200M count=1`, limits: { memory: 96 * MIB } },
  // Files in memory are memory.
  files: { code: `${DD} of=/tmp/file bs=1M count=200`, limits: { memory: 96 * MIB } },
  peak: { code: `${DD} of=/dev/null bs=64M count=1`, limits: { memory: 160 * MIB } },
  generous: { code: `${DD} of=/dev/null bs=300M count=1`, limits: { memory: 1024 * MIB } },
  pids: { code: "for i in $(seq 60); do sleep 3 & done; wait", limits: { pids: 24 } },
  cpus: { code: "while :; do :; done", limits: { cpus: 0.5, timeout: 4000 } },
  timeout: { code: "sleep 1000 & sleep 1000", limits: { timeout: 1000 } },
  // systemd does so when the last unit that wanted the controller ends.
  taken: { code: "sleep 1", limits: { cpus: 0.5 } },
};

async function jailed(check: Check, onStart: (where: string | undefined) => void = () => undefined): Promise<Run> {
  let where: string | undefined;
  const request: JailRequest = {
    ...{ command: ["sh", "-c", `echo started; ${check.code}`], cwd: "/tmp", env: { PATH: "/usr/bin:/bin" } },
    ...{ readable: [], writable: [], net: [], level: check.level ?? "medium", keep: "always", output: "capture" },
    limits: check.limits ?? {},
    signal: AbortSignal.timeout(40_000),
    onOutput: () => {
      where ??= cgroups().find((path) => (path.split("/").at(-1) ?? "").includes(`-${process.pid}-`));
      onStart(where);
    },
  };
  try {
    const result = await runJail(request, { bubblewrap: "/usr/bin/bwrap", helper: locateJailHelper() });
    return { ...factsOf(result), ...(where === undefined ? {} : { where }), left: cgroups() };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { error: code ?? "none", message, left: cgroups() };
  }
}

function factsOf({ exit, killedBy, layers, refused, notes, maxRssBytes, cpuMs, wallMs }: JailResult): Run {
  return {
    ...(exit === undefined ? {} : { exit }),
    ...(killedBy === undefined ? {} : { killedBy }),
    cgroup: [...layers.cgroup],
    memory: layers.memory,
    landlock: layers.landlock,
    limits: refused.filter(({ kind }) => kind === "limit").map(({ what }) => what),
    notes: [...notes],
    peak: maxRssBytes,
    share: cpuMs / wallMs,
  };
}

/** Those of jails, of all callers. */
function cgroups(): string[] {
  const folders = readdirSync(ROOT, { recursive: true, encoding: "utf8" });
  return folders.filter((path) => /(?:^|\/)cofferdam-\d[^/]*$/.test(path));
}

/** A caller is killed while its jail runs. Its cgroup is empty then, and goes with the next run. */
async function killed(): Promise<Run> {
  const caller = spawn(process.execPath, [fileURLToPath(import.meta.url), "victim", "--hang"], { stdio: ["ignore", "pipe", "inherit"] });
  await once(caller.stdout, "data");
  const where = cgroups().find((path) => path.includes(`-${caller.pid}-`));
  caller.kill("SIGKILL");
  await once(caller, "exit");
  if (where === undefined) return { error: "none", message: "no cgroup of the killed caller" };
  for (let tries = 0; tries < 100 && populated(where); tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  if (populated(where)) return { error: "none", message: `the jail outlived its caller: ${where}` };
  if (!existsSync(`${ROOT}/${where}`)) return { error: "none", message: "the cgroup went without anybody" };
  return await jailed({ code: "true" });
}

function takeCpu(where = ""): void {
  writeFileSync(join(ROOT, dirname(where), "cgroup.subtree_control"), "-cpu");
}

function populated(path: string): boolean {
  return readFileSync(`${ROOT}/${path}/cgroup.events`, "utf8").includes("populated 1");
}

function own(): string {
  return readFileSync("/proc/self/cgroup", "utf8").trim().replace("0::/", "");
}

const [name = "", ...checks] = process.argv.slice(2);
if (checks[0] === "--hang") {
  await jailed({ code: "sleep 1000" }, () => process.stdout.write("started\n"));
} else {
  const before = own();
  const runs: Record<string, Run> = {};
  for (const check of checks) {
    const known = CHECKS[check];
    runs[check] = known === undefined ? await killed() : await jailed(known, check === "taken" ? takeCpu : undefined);
  }
  const scenario: Scenario = { name, runs, before, after: own() };
  process.stdout.write(`${JSON.stringify(scenario)}\n`);
}

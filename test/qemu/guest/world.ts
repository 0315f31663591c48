/**
 * Lays the cgroups out as systemd 252 was seen to do (owners, and what is handed down), and starts the scenarios in them.
 * Prints the report.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FreezerFacts, QuotaFacts, Report, Scenario } from "../report.ts";

const ROOT = "/sys/fs/cgroup";
const FREEZER = fileURLToPath(new URL("./freezer.ts", import.meta.url));
const QUOTA = fileURLToPath(new URL("./quota.ts", import.meta.url));
const SCENARIO = fileURLToPath(new URL("./scenario.ts", import.meta.url));
const USER = 1000;
const TIME = 60_000;
const scenarios: Scenario[] = [];
/** Where we are ourselves. */
let home = "";

function group(path: string, owner = 0, handsDown = ""): string {
  const folder = join(ROOT, path);
  mkdirSync(folder, { recursive: true });
  if (handsDown !== "") writeFileSync(join(folder, "cgroup.subtree_control"), handsDown);
  // What systemd gives away of a unit with Delegate=yes and a user.
  for (const file of ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]) chownSync(join(folder, file), owner, owner);
  return folder;
}

function move(path: string): void {
  writeFileSync(join(ROOT, path, "cgroup.procs"), String(process.pid));
}

/** Runs the named checks in a cgroup. A process starts where its parent is; the parent leaves at once, being of root. */
async function run(name: string, path: string, uid: number, checks: readonly string[]): Promise<void> {
  const env = { PATH: "/usr/bin:/bin", HOME: uid === 0 ? "/root" : "/home/user", NODE_COMPILE_CACHE: `/tmp/cache-${uid}` };
  let [said, wrong] = ["", ""];
  try {
    move(path);
    const caller = spawn(process.execPath, [SCENARIO, name, ...checks], { env, uid, gid: uid, timeout: TIME, cwd: "/", stdio: ["ignore", "pipe", "pipe"] });
    move(home);
    caller.stdout.on("data", (piece: Buffer) => {
      said += piece.toString("utf8");
    });
    caller.stderr.on("data", (piece: Buffer) => {
      wrong += piece.toString("utf8");
    });
    await once(caller, "close");
    scenarios.push(JSON.parse(said) as Scenario);
  } catch (error) {
    scenarios.push({ name, failed: `${String(error)} ${wrong.slice(-2000)} ${said.slice(-500)}`, runs: {}, before: "", after: "" });
  }
}

/** What a script says of its own, below a group that hands controllers down; why it says nothing. */
function measured<T>(script: string, path: string): T | string {
  try {
    const folder = group(path, 0, systemd);
    return JSON.parse(execFileSync(process.execPath, [script, folder], { timeout: 2 * TIME, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })) as T;
  } catch (error) {
    return String(error).slice(0, 2000);
  }
}

/** Somebody else who is in the cgroup too. */
function neighbour(path: string, uid: number): void {
  move(path);
  spawn("sleep", ["1000"], { uid, gid: uid, stdio: "ignore" }).unref();
  move(home);
}

await run("root of the hierarchy", "", 0, ["plain", "cpus"]);

group("init.scope");
home = "init.scope";
move(home);
const systemd = "+cpu +memory +pids";
for (const slice of ["", "system.slice", "user.slice", "user.slice/user-0.slice", "user.slice/user-1000.slice"]) group(slice, 0, systemd);
group("user.slice/user-0.slice/session-1.scope");
await run("root, session", "user.slice/user-0.slice/session-1.scope", 0, ["plain", "memory", "files", "pids", "cpus", "peak", "timeout", "killed"]);

group("user.slice/user-1000.slice/session-2.scope");
await run("user, session", "user.slice/user-1000.slice/session-2.scope", USER, ["plain", "high", "memory"]);

const manager = "user.slice/user-1000.slice/user@1000.service";
group(manager, USER, systemd);
group(`${manager}/app.slice`, USER, systemd);
group(`${manager}/app.slice/run-1.scope`, USER);
neighbour(`${manager}/app.slice/run-1.scope`, USER);
await run("user, scope of the user's manager", `${manager}/app.slice/run-1.scope`, USER, ["high", "memory", "files", "pids", "cpus", "timeout", "killed"]);

const bounded = group(`${manager}/app.slice/run-2.scope`, USER);
writeFileSync(join(bounded, "memory.max"), String(160 * 2 ** 20));
await run("user, scope with a limit of its own", `${manager}/app.slice/run-2.scope`, USER, ["generous"]);

writeFileSync(join(ROOT, manager, "app.slice/cgroup.subtree_control"), "-cpu");
await run("user, slice without cpu", `${manager}/app.slice/run-1.scope`, USER, ["cpus"]);

group("system.slice/runner.service", USER);
neighbour("system.slice/runner.service", USER);
await run("user, delegated service", "system.slice/runner.service", USER, ["high", "memory", "cpus", "killed"]);
await run("user, delegated service again", "system.slice/runner.service/cofferdam-callers", USER, ["high"]);

group("system.slice/shared.service", USER);
neighbour("system.slice/shared.service", 0);
await run("user, delegated service with a process of root", "system.slice/shared.service", USER, ["plain", "high"]);

group("system.slice/grouped.service", USER);
group("system.slice/grouped.service/main", USER);
await run("user, delegated service with a subgroup", "system.slice/grouped.service/main", USER, ["high"]);

group("late.slice", 0, systemd);
group("late.slice/late.service");
await run("root, cpu taken away meanwhile", "late.slice/late.service", 0, ["taken"]);

const quota = measured<QuotaFacts>(QUOTA, "quota.slice");
const report: Report = { kernel: release(), scenarios, quota, freezer: measured<FreezerFacts>(FREEZER, "freezer.slice") };
process.stdout.write(`${JSON.stringify(report)}\n`);
// The neighbours.
process.exit(0);

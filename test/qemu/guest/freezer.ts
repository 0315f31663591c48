/** A group of processes that never stop making others, in a cgroup v2 of their own: stopped, let go and ended, as one line of JSON. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cgroupOf, freeze, isFrozen, processesOf, thaw } from "../../../dist/monitor/response/index.js";
import type { FreezerFacts } from "../report.ts";

const [parent = ""] = process.argv.slice(2);
/** Long enough that a shell that runs would have written many times, ms. */
const WHILE = 1500;

const folder = join(parent, "frozen");
// A container may have groups of its own below: all of them stop.
const below = join(folder, "below");
mkdirSync(below, { recursive: true });
const counter = join("/tmp", "frozen-count");
const busy = `echo $$ > ${below}/cgroup.procs; i=0; while :; do i=$((i+1)); /bin/busybox true; echo $i > ${counter}; done`;
const shell = spawn("sh", ["-c", `echo $$ > ${folder}/cgroup.procs; sh -c '${busy}' & sleep 1000 & echo ready; while :; do /bin/busybox true; done`], {
  stdio: ["ignore", "pipe", "ignore"],
});
await once(shell.stdout, "data");

function count(): number {
  try {
    return Number(readFileSync(counter, "utf8").trim());
  } catch {
    return 0;
  }
}

async function grows(): Promise<boolean> {
  const before = count();
  for (let waited = 0; waited < 20 * WHILE && count() === before; waited += 50) await delay(50);
  return count() !== before;
}

const ran = await grows();
const cgroup = cgroupOf(shell.pid ?? 0);
const processes = processesOf(cgroup).length;
const from = performance.now();
await freeze(cgroup);
const ms = performance.now() - from;
const stood = count();
await delay(WHILE);
const facts: FreezerFacts = {
  ...{ freezer: cgroup.freezer, ran, processes, ms, frozen: isFrozen(cgroup), stoodStill: count() === stood },
  ...(await goOn()),
};
process.stdout.write(`${JSON.stringify(facts)}\n`);

/** Let go again, stopped once more, and ended as it stands: with this version a stopped process can die. */
async function goOn(): Promise<Pick<FreezerFacts, "wentOn" | "thawed" | "killedFrozen" | "left">> {
  thaw(cgroup);
  const wentOn = await grows();
  const thawed = !isFrozen(cgroup);
  await freeze(cgroup);
  const exited = once(shell, "exit");
  for (const pid of processesOf(cgroup)) process.kill(pid, "SIGKILL");
  const killedFrozen = await Promise.race([exited.then(() => true), delay(20_000, false, { ref: false })]);
  for (let tries = 0; tries < 100 && processesOf(cgroup).length > 0; tries++) await delay(50);
  const left = processesOf(cgroup).length;
  for (const place of [below, folder]) rmdirSync(place);
  return { wentOn, thawed, killedFrozen, left };
}

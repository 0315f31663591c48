/** A job in a cgroup v2 of its own: what ResourceQuotaManager measures and proves of it, as one line of JSON. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupOf, proveLimits, type QuotaViolation, ResourceQuotaManager, readerOf } from "../../../dist/quota/index.js";
import type { QuotaFacts } from "../report.ts";

const [parent = ""] = process.argv.slice(2);
const MIB = 2 ** 20;
const limits = { cpu: 0.5, memory: 64 * MIB, swap: 0, pids: 20 };

async function tell(shell: ChildProcess, command: string): Promise<void> {
  const answer = once(shell.stdout ?? shell, "data");
  shell.stdin?.write(`${command}\n`);
  await answer;
}

const folder = join(parent, "job");
mkdirSync(folder);
for (const [file, text] of Object.entries({ "memory.max": String(limits.memory), "memory.swap.max": "0", "pids.max": "20", "cpu.max": "50000 100000" }))
  writeFileSync(join(folder, file), text);
const shell = spawn("sh", ["-c", `echo $$ > ${folder}/cgroup.procs; echo ready; while read line; do eval "$line"; echo done; done`], {
  stdio: ["pipe", "pipe", "ignore"],
});
await once(shell.stdout, "data");

await using quota = new ResourceQuotaManager(undefined, { slots: 4, monitoringInterval: 100 });
await quota.initialize();
await quota.allocateResources("job", { requestedResources: { cpu: limits.cpu, memory: "64MiB", pids: limits.pids, disk: "1MiB" } });
const violations: QuotaViolation[] = [];
quota.events.on("quotaViolation", (violation) => violations.push(violation));
await quota.watchProcess("job", shell.pid ?? 0);
const place = cgroupOf(shell.pid ?? 0);
if (place === undefined) throw new Error("no cgroup");
const { applied, missing } = proveLimits(place.version, readerOf(place), { limits, enforcement: "hard", devices: [] });
await tell(shell, "(dd if=/dev/zero of=/dev/null bs=200M count=1)");
await tell(shell, "(for i in $(seq 40); do sleep 1 & done; wait)");
await tell(shell, "(i=0; while [ $i -lt 5000 ]; do i=$((i+1)); done)");
const usage = await quota.monitorResourceUsage("job");
const facts: QuotaFacts = { version: place.version, applied, missing: missing.map(({ limit }) => limit), usage, violations };
shell.kill("SIGKILL");
await once(shell, "exit");
await quota.releaseResources("job");
for (let tries = 0; tries < 50; tries++) {
  try {
    rmdirSync(folder);
    break;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
process.stdout.write(`${JSON.stringify(facts)}\n`);

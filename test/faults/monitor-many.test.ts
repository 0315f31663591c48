/** A thousand containers at a time: each seen on its own, in little time and memory; and what is said of one too many. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { RuntimeSecurityMonitor } from "../../src/monitor/index.ts";
import type { FromThread } from "../../src/monitor/sensors/messages.ts";
import { Outbox } from "../../src/monitor/sensors/outbox.ts";
import { Supervisor } from "../../src/monitor/sensors/supervisor.ts";
import { requires } from "../world/needs.ts";

const MANY = 1000;
/** Of version 1 the freezer's, as the monitor looks for it. */
const GROUPS = existsSync("/sys/fs/cgroup/freezer") ? "/sys/fs/cgroup/freezer" : "/sys/fs/cgroup";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cofferdam-many-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Processes in mount namespaces and control groups of their own, by their numbers. */
async function spaces(): Promise<{ readonly pids: readonly number[]; readonly child: ChildProcess } & AsyncDisposable> {
  const program = join(folder, "spaces");
  execFileSync("cc", ["-O2", "-o", program, fileURLToPath(new URL("../world/acts/spaces.c", import.meta.url))]);
  const child = spawn(program, [String(MANY)], { stdio: ["pipe", "pipe", "inherit"] });
  const pids: number[] = [];
  const group = (i: number): string => join(GROUPS, `many-${process.pid}-${i}`);
  for await (const line of createInterface(child.stdout)) {
    const i = pids.push(Number(line)) - 1;
    mkdirSync(group(i));
    writeFileSync(join(group(i), "cgroup.procs"), line);
    if (pids.length === MANY) break;
  }
  return {
    ...{ pids, child },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.kill("SIGKILL")) await once(child, "exit");
      // They end with it, a moment later.
      await vi.waitFor(() => expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]), { timeout: 10_000 });
      for (const [i] of pids.entries()) rmdirSync(group(i));
    },
  };
}

test("a thousand containers: each of them is its own, and none costs much", { timeout: 60_000 }, async (context) => {
  requires(context, "sensor");
  await using all = await spaces();
  const id = (i: number): string => String(i).padStart(64, "0");
  const engine = { containers: { inspect: async (name: string) => ({ Id: name, State: { Pid: all.pids[Number(name)] ?? 0, Running: true } }) } };
  await using monitor = new RuntimeSecurityMonitor(engine, { log: async () => undefined }, { monitoringInterval: 0 });
  await monitor.initialize();
  const heap = process.memoryUsage().heapUsed;
  await Promise.all(all.pids.map(async (_, i) => await monitor.startContainerMonitoring(id(i), `job ${i}`)));
  all.child.stdin?.write("\n");
  await once(all.child, "exit");
  const checked = await Promise.all(all.pids.map(async (_, i) => await monitor.performSecurityCheck(id(i))));
  const seen = all.pids.map((_, i) => ({ ...monitor.summary(id(i)), last: [...monitor.processes(id(i)).known()].at(-1)?.args }));
  // Five, as it is; a whole heap that was not cleaned up would be fifty.
  expect((process.memoryUsage().heapUsed - heap) / 2 ** 20).toBeLessThan(100);
  await Promise.all(all.pids.map(async (_, i) => await monitor.stopContainerMonitoring(id(i))));
  expect(checked.flat()).toEqual([]);
  expect(seen.map(({ programs, lost, last }) => ({ programs, lost, last }))).toEqual(
    all.pids.map((_, i) => ({ programs: 1, lost: 0, last: ["/bin/true", String(i)] })),
  );
});

test("one more than there is room for: refused with the number, and there is room again when one has gone", async () => {
  const said: FromThread[] = [];
  const outbox = new Outbox({ post: (message) => said.push(message), clockOffset: () => 0n });
  const supervisor = new Supervisor({ program: join(folder, "is-not-here"), sensitive: [], sources: ["ebpf"] }, outbox);
  const watch = async (id: number): Promise<FromThread | undefined> => {
    await supervisor.watch({ id, pidns: id, mntns: id, pid: 1, rate: 1, env: false });
    return said.findLast((message) => message.type === "watched" && message.id === id);
  };
  for (let id = 1; id <= 4096; id++) expect(await watch(id)).toMatchObject({ error: undefined });
  expect(await watch(4097)).toMatchObject({ error: { code: "RESOURCE_EXHAUSTED", message: "4096 containers are watched already" } });
  await supervisor.unwatch(7);
  expect(await watch(4098)).toMatchObject({ error: undefined });
  expect(await watch(4099)).toMatchObject({ error: { code: "RESOURCE_EXHAUSTED" } });
  await supervisor.close();
});

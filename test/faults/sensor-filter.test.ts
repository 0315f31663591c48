/** What the sensor can still ask of the kernel once it watches, asked of the kernel; and what becomes of one that asks for more. */
import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { packageFolder } from "../../src/foundation/index.ts";
import { type GapEvent, KernelSensor, type LossEvent, type SensorStatus } from "../../src/monitor/index.ts";
import { has, requires } from "../world/needs.ts";
import { POWERLESS, powersOf } from "../world/process-power.ts";
import { allowedCalls, CALLS_SOURCES, SENSOR_PARTS } from "../world/sensor-calls.ts";
import { sensorPid } from "../world/sensor-watch.ts";
import { WatchedShell } from "../world/watched-shell.ts";

const PROGRAM = join(packageFolder(), "dist", "native", `cofferdam-sensor-${process.arch}`);
const FIRST = [0, 1, 2, 3];
const ARM = process.arch === "arm64";
/** A call, which of its arguments, what of it passes, and what does not. */
const ARGUMENTS = [
  // BPF_RAW_TRACEPOINT_OPEN and BPF_LINK_CREATE beside those above; nothing that loads.
  ["ebpf", "bpf", 0, [2, 3, 17, 28], Array.from({ length: 64 }, (_, i) => i)],
  ["opener", "socket", 0, [16], [1, 2, 10, 17]],
  // CLONE_NEWNET; mounts, processes, users, and any.
  ["opener", "setns", 1, [0x40000000], [0x20000, 0x20000000, 0x10000000, 0]],
  ["opener", "setsockopt", 1, [1], [0, 6, 41, 270]],
  // O_RDONLY | O_CLOEXEC; to write, to make, as a path.
  ["opener", "openat", 2, [0x80000], [0x80001, 0x80002, 0x80042, 0x280000, 0]],
  ["keeper", "openat", 2, [0x80000], [0x80001, 0x80002, 0x80042, 0x280000, 0]],
  // With O_DIRECTORY and O_NONBLOCK, as folders are opened; O_DIRECTORY is another bit on arm64.
  ["names", "openat", 2, [ARM ? 0x84800 : 0x90800], [0x80000, 0x80001, 0x80002, 0x80042, 0]],
  ["keeper", "fchdir", 0, [0x7ffac0de], [0, 1, 2, 3]],
] as const;
/** uretprobe and uprobe: since 6.12 and 6.18 the kernel asks no filter about them, and they do nothing outside of a probe. */
const PAST_ANY_FILTER = ARM ? /^$/ : /^33[56] /;

describe("the sensor's filter", () => {
  let folder: string;
  let calls: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "cofferdam-filter-"));
    calls = join(folder, "calls");
    if (has("sensor")) execFileSync("cc", ["-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-o", calls, ...CALLS_SOURCES]);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  beforeEach((context) => requires(context, "sensor"));

  /** What did not end its process, as "NAME VALUE". */
  function through(part: string, from: string, to: string, index: number, values: readonly number[]): string[] {
    const said = execFileSync(calls, ["through", part, from, to, String(index), ...values.map(String)], { encoding: "utf8" });
    return said
      .split("\n")
      .filter((line) => line !== "" && !PAST_ANY_FILTER.test(line))
      .sort();
  }

  test.each(SENSOR_PARTS)("%s: these calls pass, and any other is the end", (part) => {
    expect(through(part, "0", "511", 0, FIRST)).toEqual(allowedCalls(part, process.arch, FIRST));
    // Those of x86's other door: the same numbers with a bit more.
    if (!ARM) expect(through(part, "0x40000000", "0x40000003", 0, [0, 1])).toEqual([]);
  });

  test.each(ARGUMENTS)("%s: of %s what its work takes", (part, call, index, passes, others) => {
    expect(through(part, call, call, index, [...new Set([...passes, ...others])])).toEqual(passes.map((value) => `${call} ${value}`).sort());
  });

  // The audit fallback's is in test/integration/sensor-audit.test.ts: another sensor would take its rules for those of a dead one.
  test.each(["ebpf", "connector"] as const)("%s: in place in every process, with the rights that are left", async (source) => {
    await using sensor = new KernelSensor({ sources: [source] });
    expect(await sensor.initialize()).toMatchObject({ source });
    // CAP_SYS_ADMIN and CAP_SYS_PTRACE of the opener, which gives up the rest while the sensor greets.
    const powers = [POWERLESS, ...(source === "connector" ? [{ ...POWERLESS, CapPrm: "0000000000280000", CapEff: "0000000000280000" }] : [])];
    await vi.waitFor(() => expect(powersOf(sensorPid())).toEqual(powers));
  });

  test.each(["ebpf", "connector"] as const)("%s: it still says why it ends", (source) => {
    const { status, stderr } = spawnSync(PROGRAM, [source], { input: "nonsense\n" });
    expect({ status, words: stderr.toString() }).toEqual({ status: 2, words: "not an order: nonsense\n" });
  });

  test("watches come and go under load, and it is stopped and goes on: nothing of it meets the filter", async () => {
    await using sensor = new KernelSensor();
    await sensor.initialize();
    const said: (LossEvent | GapEvent | SensorStatus)[] = [];
    for (const name of ["loss", "gap", "status"] as const) sensor.on(name, (event) => said.push(event));
    const pid = sensorPid();
    await using busy = await WatchedShell.start('i=0; while [ $i -lt 500 ]; do /bin/true "$i"; i=$((i+1)); done');
    await using idle = await WatchedShell.start("true");
    let runs = 0;
    sensor.on("event", (event) => {
      if (event.kind === "exec" && event.asked === "/bin/true") runs++;
    });
    // The first one attaches the program, the last one detaches it.
    for (let i = 0; i < 10; i++) await (await sensor.watch({ job: "idle", pid: idle.pid })).close();
    await using watch = await sensor.watch({ job: "busy", pid: busy.pid });
    const ended = busy.go();
    for (let i = 0; i < 100; i++) await (await sensor.watch({ job: "idle", pid: idle.pid })).close();
    process.kill(pid, "SIGSTOP");
    process.kill(pid, "SIGCONT");
    await ended;
    await watch.close();
    expect(runs).toBe(500);
    expect(said).toEqual([]);
    expect(sensorPid()).toBe(pid);
  });

  test("one that makes another call is ended by the kernel, started again, and the time between is a gap", async () => {
    await using sensor = new KernelSensor();
    await sensor.initialize();
    await using shell = await WatchedShell.start("/bin/true after");
    await using _watch = await sensor.watch({ job: "job", pid: shell.pid });
    const statuses: SensorStatus[] = [];
    sensor.on("status", (status) => statuses.push(status));
    const gap = once(sensor, "gap");
    expect(execFileSync(calls, ["inject", String(sensorPid())], { encoding: "utf8" })).toBe("SYS\n");
    const [told]: GapEvent[] = await gap;
    expect(told?.why).toBe("the sensor ended: it was ended by SIGSYS");
    const seen = new Promise((resolve) => {
      sensor.on("event", (event) => event.kind === "exec" && event.args.includes("after") && resolve(true));
    });
    await shell.go();
    await seen;
    expect(statuses.map(({ state }) => state)).toEqual(["absent", "watching"]);
  });
});

/** The thread that reads the sensor, made to die in every way that a thread can: said, counted as a gap, and come back from. */
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Worker, WorkerOptions } from "node:worker_threads";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type GapEvent, KernelSensor, type SensorStatus } from "../../src/monitor/index.ts";
import { Supervisor } from "../../src/monitor/sensors/supervisor.ts";
import { requires } from "../world/needs.ts";
import { argumentSeen, sensorPid, statusTold } from "../world/sensor-watch.ts";
import { WatchedShell } from "../world/watched-shell.ts";

const world = vi.hoisted(() => ({ threads: [] as Worker[], stillborn: false }));

// The real thread, with its own code, that besides obeys an order to die.
vi.mock("node:worker_threads", async (original) => {
  const real = await original<typeof import("node:worker_threads")>();
  const deaths = `
    import { parentPort } from "node:worker_threads";
    parentPort.on("message", ({ die }) => {
      if (die === "throw") throw new Error("made to fail");
      if (die === "reject") Promise.reject(new Error("made to reject"));
      if (die === "exit") process.exit(9);
      if (die === "memory") for (const held = []; ; ) held.push(new Array(100_000).fill(held.length));
      if (die === "hang") for (;;);
    });`;
  class Mortal extends real.Worker {
    constructor(file: URL, options: WorkerOptions) {
      const code = world.stillborn ? 'throw new Error("born dead")' : `${deaths} await import(${JSON.stringify(file.href)});`;
      super(new URL(`data:text/javascript,${encodeURIComponent(code)}`), options);
      world.threads.push(this);
    }
  }
  return { ...real, Worker: Mortal };
});

afterEach(() => {
  world.threads.length = 0;
  world.stillborn = false;
});

const DEATHS = [
  ["an exception", "throw", "made to fail"],
  ["a promise that nobody waits for", "reject", "made to reject"],
  ["its own end", "exit", "it ended with 9"],
  ["memory", "memory", "memory limit"],
  ["being ended from outside", "terminate", "it ended with 1"],
  ...(process.env["COFFERDAM_TEST_FULL"] === "1" ? [["silence", "hang", "it said nothing for 30 seconds"]] : []),
] as const;

describe("the thread that reads", () => {
  test.for(DEATHS)("dies of %s: said, a gap, started again, the same containers watched", { timeout: 60_000 }, async ([, die, why], context) => {
    requires(context, "sensor");
    await using sensor = new KernelSensor();
    await sensor.initialize();
    await using shell = await WatchedShell.start("/bin/true first; read -r line; /bin/true second");
    await using watch = await sensor.watch({ job: "job", pid: shell.pid });
    const first = argumentSeen(sensor, "first");
    shell.release();
    await first;
    const [away, gap] = [statusTold(sensor, "absent"), once(sensor, "gap")];
    const native = sensorPid();
    const before = Date.now();
    if (die === "terminate") void world.threads[0]?.terminate();
    else world.threads[0]?.postMessage({ die });
    expect((await away).why).toMatch(new RegExp(`^the monitor's reader ended: .*${why}.*; it is started again$`));
    // Asked while nobody is there to answer: not waited for.
    await sensor.sync();
    const back = await statusTold(sensor, "watching");
    const [told]: GapEvent[] = await gap;
    expect(told?.why).toContain(why);
    expect(told?.from).toBeGreaterThan(before - 2500);
    expect(told?.to).toBeLessThanOrEqual(back.time + 100);
    expect(sensorPid()).not.toBe(native);
    expect(world.threads).toHaveLength(2);
    const second = argumentSeen(sensor, "second");
    await shell.go();
    expect(await second).toMatchObject({ job: "job" });
    await watch.close();
  });

  test("a watch that begins and one that ends while there is no thread", async (context) => {
    requires(context, "sensor");
    await using sensor = new KernelSensor();
    await sensor.initialize();
    await using one = await WatchedShell.start("/bin/true one");
    await using other = await WatchedShell.start("/bin/true other");
    const ends = await sensor.watch({ job: "one", pid: one.pid });
    const away = statusTold(sensor, "absent");
    void world.threads[0]?.terminate();
    await away;
    const back = statusTold(sensor, "watching");
    await ends.close();
    await using _begins = await sensor.watch({ job: "other", pid: other.pid });
    await back;
    const jobs = new Set<string>();
    sensor.on("event", ({ job }) => jobs.add(job));
    const seen = argumentSeen(sensor, "other");
    await one.go();
    await other.go();
    await seen;
    await sensor.sync();
    expect([...jobs]).toEqual(["other"]);
  });

  test("never alive: given up after three, with the reason, and no watch that claims to be one", async () => {
    world.stillborn = true;
    await using sensor = new KernelSensor();
    const last = new Promise<SensorStatus>((resolve) => {
      sensor.on("status", (told) => (told.why?.endsWith("it is started again") === true ? undefined : resolve(told)));
    });
    expect(await sensor.initialize()).toMatchObject({ state: "absent", why: "the monitor's reader ended: born dead; it is started again" });
    expect(await last).toMatchObject({ state: "absent", source: "none", why: "the monitor's reader ended: born dead", lacks: ["everything"] });
    expect(world.threads).toHaveLength(3);
    await using shell = await WatchedShell.start("true");
    await expect(sensor.watch({ job: "job", pid: shell.pid })).rejects.toMatchObject({
      code: "ENVIRONMENT_UNFIT",
      message: expect.stringContaining("born dead"),
    });
  });
});

test("one that hangs is ended as it is closed", { timeout: 30_000 }, async (context) => {
  requires(context, "sensor");
  if (process.env["COFFERDAM_TEST_FULL"] !== "1") context.skip("optional: it takes ten seconds, ./dev test --full");
  const sensor = new KernelSensor();
  await sensor.initialize();
  world.threads[0]?.postMessage({ die: "hang" });
  await sensor.close();
  expect(() => sensorPid()).toThrow("0 sensors");
});

describe("without a thread", () => {
  test("the same is told, hashed, missed and come back from; and its sensor ends with it", async (context) => {
    requires(context, "sensor");
    const sensor = new KernelSensor({ thread: false });
    expect(await sensor.initialize()).toMatchObject({ state: "watching", source: "ebpf" });
    await using shell = await WatchedShell.start("/bin/true first; read -r line; /bin/true second");
    const watch = await sensor.watch({ job: "job", pid: shell.pid });
    const first = argumentSeen(sensor, "first");
    shell.release();
    expect(await sensor.hash(await first)).toBe(hash("sha256", readFileSync("/bin/true")));
    const [gap, back] = [once(sensor, "gap"), statusTold(sensor, "watching")];
    process.kill(sensorPid(), "SIGKILL");
    expect((await gap)[0]).toMatchObject({ why: "the sensor ended: it was ended by SIGKILL" });
    await back;
    const second = argumentSeen(sensor, "second");
    await shell.go();
    expect(await second).toMatchObject({ job: "job" });
    await watch.close();
    expect(world.threads).toEqual([]);
    await sensor.close();
    expect(() => sensorPid()).toThrow("0 sensors");
    expect(sensor.status).toMatchObject({ state: "absent", why: "closed" });
  });

  test("while its process is busy the kernel's ring holds what happens, and what it cannot hold is counted", async (context) => {
    requires(context, "sensor");
    const many = 60_000;
    await using sensor = new KernelSensor({ thread: false, rate: 1_000_000 });
    await sensor.initialize();
    await using shell = await WatchedShell.start("exec > /dev/null; i=0; while [ $i -lt $1 ]; do : > /dev/zero; i=$((i+1)); done", [String(many)]);
    let [told, lost] = [0, 0];
    sensor.on("event", ({ kind }) => {
      if (kind === "open") told++;
    });
    sensor.on("loss", ({ count }) => {
      lost += count;
    });
    const watch = await sensor.watch({ job: "job", pid: shell.pid });
    const ended = shell.go();
    execFileSync("sleep", ["1"]);
    await ended;
    await watch.close();
    expect(told + lost).toBe(many);
    expect(told).toBeGreaterThan(many / 4);
  });

  test("what it cannot deal with ends it: said, and no watch that claims to be one", async () => {
    const failing = vi.spyOn(Supervisor.prototype, "watch").mockRejectedValue(new Error("made to fail"));
    await using sensor = new KernelSensor({ thread: false });
    await sensor.initialize();
    await using shell = await WatchedShell.start("true");
    const away = statusTold(sensor, "absent");
    await using _watch = await sensor.watch({ job: "job", pid: shell.pid });
    expect(await away).toMatchObject({ state: "absent", why: "the monitor's reader ended: made to fail" });
    failing.mockRestore();
    await expect(sensor.watch({ job: "job", pid: shell.pid })).rejects.toMatchObject({ code: "ENVIRONMENT_UNFIT" });
  });
});

/** RuntimeSecurityMonitor with a sensor that tells what the test wants: losses, gaps, repeats, and who is told of what. */
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { requires } from "../../test/world/needs.ts";
import type { ProcessEvent, SensorStatus } from "./event.ts";
import { RuntimeSecurityMonitor } from "./monitor.ts";
import { Scenario, type Step } from "./rules/scenario.ts";
import type { KernelSensorEvents } from "./sensors/kernel-sensor.ts";
import type { MonitorOptions, MonitorSensor } from "./watch/options.ts";
import type { MonitorThreat } from "./watch/threat.ts";

const ID = "c".repeat(64);
const GROUP = `/sys/fs/cgroup/${process.pid}-monitor-test`;

class TestSensor extends EventEmitter<KernelSensorEvents> implements MonitorSensor {
  status: SensorStatus = { kind: "status", time: 0, state: "watching", source: "ebpf", why: undefined, lacks: [] };
  watches = 0;
  initialize = async (): Promise<SensorStatus> => this.status;
  sync = async (): Promise<void> => undefined;
  hash = async (): Promise<undefined> => undefined;
  close = async (): Promise<void> => undefined;
  watch: MonitorSensor["watch"] = async ({ job, container }) => {
    this.watches++;
    const close = async (): Promise<void> => void this.watches--;
    return { id: 1, job, container, close, [Symbol.asyncDispose]: close };
  };
}

/** A process in a control group of its own, as a container has. */
async function contained(): Promise<{ readonly pid: number; end(): Promise<void> }> {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  for (const place of ["freezer", ""].map((name) => GROUP.replace("/cgroup/", `/cgroup/${name}${name === "" ? "" : "/"}`))) {
    try {
      mkdirSync(place);
      writeFileSync(`${place}/cgroup.procs`, String(pid));
    } catch {
      // The hierarchy of the other version.
    }
  }
  return {
    pid,
    async end() {
      child.kill("SIGKILL");
      await once(child, "exit");
      for (const place of [GROUP, GROUP.replace("/cgroup/", "/cgroup/freezer/")]) {
        try {
          rmdirSync(place);
        } catch {
          // It was not made there.
        }
      }
    },
  };
}

let box: Awaited<ReturnType<typeof contained>>;
beforeEach(async (context) => {
  requires(context, "root");
  box = await contained();
});
afterEach(async () => await box?.end());

interface Made extends AsyncDisposable {
  readonly monitor: RuntimeSecurityMonitor;
  readonly sensor: TestSensor;
  readonly threats: MonitorThreat[];
  now: number;
  tell(...steps: readonly Step[]): void;
}

async function made(options: MonitorOptions = {}): Promise<Made> {
  const sensor = new TestSensor();
  const engine = { containers: { inspect: async () => ({ Id: ID, State: { Pid: box.pid, Running: true } }) } };
  const result = { now: 1_800_000_000_000 };
  const clock = { now: () => result.now, monotonic: () => performance.now() };
  const monitor = new RuntimeSecurityMonitor(engine, { log: async () => undefined }, { sensor, clock, monitoringInterval: 0, ...options });
  await monitor.initialize();
  await monitor.startContainerMonitoring(ID, "job-1", { repository: "acme/web" });
  const threats: MonitorThreat[] = [];
  monitor.events.on("threatDetected", (threat) => threats.push(threat));
  const scenario = new Scenario("test");
  const send = (events: Iterable<ProcessEvent>): void => {
    for (const event of events) sensor.emit("event", { ...event, container: ID, job: "job-1" });
  };
  send(scenario.begin());
  return Object.assign(result, {
    ...{ monitor, sensor, threats },
    tell: (...steps: readonly Step[]) => {
      for (const step of steps) send(scenario.take(step));
    },
    [Symbol.asyncDispose]: async () => await monitor.close(),
  });
}

const SHADOW: readonly Step[] = [{ exec: "/bin/cat" }, { open: "/etc/shadow" }];

test("repeats within the cooldown are counted, those after it told again; nothing of their number is lost", async () => {
  await using one = await made({ cooldown: 1000 });
  one.tell(...SHADOW, ...SHADOW, ...SHADOW);
  expect(one.threats).toHaveLength(1);
  one.now += 1000;
  one.tell(...SHADOW);
  expect(one.threats.map(({ details }) => details["times"])).toEqual([1, 4]);
  expect(one.monitor.summary(ID).threats).toEqual([{ type: "password-file-read", severity: "high", times: 4 }]);
});

test("what was lost is a threat with its number, a gap one with its reason; of another job it is not ours", async () => {
  await using one = await made();
  one.sensor.emit("loss", { kind: "loss", time: 0, job: "job-2", where: "ring", count: 5 });
  expect(one.threats).toEqual([]);
  one.sensor.emit("loss", { kind: "loss", time: 0, job: "job-1", where: "budget", count: 7 });
  one.sensor.emit("loss", { kind: "loss", time: 0, job: undefined, where: "ring", count: 3 });
  one.sensor.emit("gap", { kind: "gap", from: 1000, to: 3500, why: "the sensor was killed" });
  expect(one.threats.map(({ type, severity, details }) => [type, severity, details["message"]])).toEqual([
    ["events-lost", "medium", "7 events were lost (budget)"],
    ["sensor-gap", "medium", "for 2500 ms nobody watched: the sensor was killed"],
  ]);
  expect(one.monitor.summary(ID).lost).toBe(10);
});

test("events of containers that nobody watches say nothing; stopping ends the watch, and what it told is summed up", async () => {
  await using one = await made();
  const scenario = new Scenario("x");
  for (const step of SHADOW) for (const event of scenario.take(step)) one.sensor.emit("event", { ...event, container: "other" });
  expect(one.threats).toEqual([]);
  one.tell(...SHADOW, { exec: "/usr/bin/curl" });
  const summary = await one.monitor.stopContainerMonitoring(ID);
  expect(summary).toMatchObject({ threats: [{ type: "password-file-read", times: 1 }], notes: [{ rule: "download", times: 1 }], lost: 0 });
  expect(one.sensor.watches).toBe(0);
  one.tell(...SHADOW);
  expect(one.threats).toHaveLength(1);
  await expect(one.monitor.stopContainerMonitoring(ID)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("secrets are taken out of what is told", async () => {
  await using one = await made();
  await one.monitor.stopContainerMonitoring(ID);
  await one.monitor.startContainerMonitoring(ID, "job-1", { mask: (text) => text.replaceAll("s3cr3t", "***") });
  one.tell({ exec: "/usr/bin/nc", args: ["nc", "s3cr3t", "x\u001b[31m"] });
  const [threat] = one.threats;
  expect(JSON.stringify(threat)).not.toContain("s3cr3t");
  expect(threat?.details["message"]).toBe("nc *** x\\u{1b}[31m");
});

test("a threat whose answer is to stop stops at once; one that failed to is left to whoever answers", async () => {
  await using one = await made({ freezes: ({ type }) => type === "password-file-read" });
  let frozen: unknown;
  one.monitor.events.on("threatDetected", () => {
    frozen = one.monitor.freeze(ID);
  });
  one.tell(...SHADOW);
  expect(await frozen).toMatchObject({ afterMs: expect.any(Number) });
  one.monitor.thaw(ID);
  expect(await one.monitor.freeze(ID)).toMatchObject({ afterMs: undefined });
  one.monitor.thaw(ID);
});

describe("standing still while nobody watches", () => {
  /** THAWED, FREEZING or FROZEN; of version 2 the order and whether all stand. */
  function standing(): boolean {
    const v1 = GROUP.replace("/cgroup/", "/cgroup/freezer/");
    return existsSync(v1)
      ? readFileSync(`${v1}/freezer.state`, "utf8").trim() === "FROZEN"
      : /^frozen 1$/m.test(readFileSync(`${GROUP}/cgroup.events`, "utf8"));
  }
  const says = (sensor: TestSensor, state: SensorStatus["state"]): void => {
    sensor.status = { ...sensor.status, state, why: state === "watching" ? undefined : "killed" };
    sensor.emit("status", sensor.status);
  };

  test("it stands from when the sensor is gone until it is back, and the gap says so; otherwise it goes on", async () => {
    await using going = await made();
    says(going.sensor, "absent");
    expect(standing()).toBe(false);
    await going.monitor.close();
    await using one = await made({ unwatched: "stand-still" });
    says(one.sensor, "absent");
    await vi.waitFor(() => expect(standing()).toBe(true));
    says(one.sensor, "degraded");
    one.sensor.emit("gap", { kind: "gap", from: 1000, to: 1400, why: "the sensor ended: killed" });
    expect(one.threats.map(({ details }) => details["message"])).toEqual([
      "for 400 ms nobody watched: the sensor ended: killed; from when that was known until now it stood still",
    ]);
    expect(standing()).toBe(true);
    says(one.sensor, "watching");
    expect(standing()).toBe(false);
  });

  test("one that a threat stopped stays where it is; the end of its watch lets go of one that nothing else holds", async () => {
    await using one = await made({ unwatched: "stand-still", freezes: ({ type }) => type === "password-file-read" });
    says(one.sensor, "absent");
    one.tell(...SHADOW);
    says(one.sensor, "watching");
    await vi.waitFor(() => expect(standing()).toBe(true));
    one.monitor.thaw(ID);
    expect(standing()).toBe(false);
    says(one.sensor, "absent");
    await vi.waitFor(() => expect(standing()).toBe(true));
    await one.monitor.stopContainerMonitoring(ID);
    expect(standing()).toBe(false);
  });

  test("for too long: a threat, and it stands until somebody answers that", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      await using one = await made({ unwatched: "stand-still" });
      says(one.sensor, "absent");
      vi.advanceTimersByTime(29_999);
      expect(one.threats).toEqual([]);
      vi.advanceTimersByTime(1);
      expect(one.threats).toMatchObject([{ type: "sensor-lost", severity: "high", details: { message: expect.stringContaining("30 s and still nobody") } }]);
      expect(standing()).toBe(true);
      says(one.sensor, "watching");
      expect(standing()).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });

  test("a sensor that never showed everything holds nobody", async () => {
    const sensor = new TestSensor();
    sensor.status = { ...sensor.status, state: "degraded", source: "connector" };
    await using one = await made({ unwatched: "stand-still", sensor });
    says(sensor, "absent");
    expect(standing()).toBe(false);
    expect(one.threats).toEqual([]);
  });
});

test("what a rule asks for is told with the threat, and without it nothing is", async () => {
  const rule = { title: "ours", says: "{process.line}", severity: "low", attack: ["T1059"], on: ["exec"], when: { "process.name": "true" } } as const;
  await using one = await made({
    detectionRules: [
      {
        rules: [
          { ...rule, id: "ours", action: "freeze" },
          { ...rule, id: "plain" },
        ],
      },
    ],
    freezes: ({ action }) => action === "freeze",
  });
  one.tell({ exec: "/bin/true" });
  expect(one.threats.map(({ type, severity, action }) => [type, severity, action])).toEqual([
    ["ours", "low", "freeze"],
    ["plain", "low", undefined],
  ]);
  expect(await one.monitor.freeze(ID)).toMatchObject({ afterMs: expect.any(Number) });
  one.monitor.thaw(ID);
});

test("what is kept of one container has an end", async () => {
  const evidence = mkdtempSync(join(tmpdir(), "cofferdam-kept-"));
  await using one = await made({ evidence });
  const keep = async (): Promise<unknown> => await one.monitor.takeEvidence(ID, undefined, AbortSignal.timeout(5000));
  for (let i = 0; i < 3; i++) await keep();
  await expect(keep()).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  expect(readdirSync(evidence)).toHaveLength(3);
  rmSync(evidence, { recursive: true });
});

test("a sensor that sees less: said, and no stranger is made of what it does not see", async () => {
  await using one = await made();
  const said: string[] = [];
  one.monitor.events.on("statusChanged", ({ state }) => void said.push(state));
  one.sensor.status = { ...one.sensor.status, state: "absent", source: "none", why: "killed" };
  one.sensor.emit("status", one.sensor.status);
  expect([said, one.monitor.status.state]).toEqual([["absent"], "absent"]);
  expect(await one.monitor.performSecurityCheck(ID)).toEqual([]);
});

test("a process that no event spoke of is told, where every event is", async () => {
  await using one = await made();
  const stranger = spawn("sleep", ["61"]);
  await once(stranger, "spawn");
  for (const place of [GROUP, GROUP.replace("/cgroup/", "/cgroup/freezer/")]) {
    try {
      writeFileSync(`${place}/cgroup.procs`, String(stranger.pid));
    } catch {
      // The hierarchy of the other version.
    }
  }
  expect(await one.monitor.performSecurityCheck(ID)).toMatchObject([{ type: "unseen-process", details: { pid: stranger.pid } }]);
  expect(await one.monitor.performSecurityCheck(ID)).toEqual([]);
  stranger.kill("SIGKILL");
  await once(stranger, "exit");
});

test("threats without end: the first two hundred are told one by one, then each kind once, and all are counted", async () => {
  await using one = await made();
  one.tell({ exec: "/tmp/{n}", args: ["x", "stratum+tcp://pool"], fresh: true, times: 500 });
  const told = one.threats.filter(({ type }) => type === "miner-words");
  expect(told).toHaveLength(201);
  const counted = one.monitor.summary(ID).threats.filter(({ type }) => type === "miner-words");
  expect(counted.reduce((sum, { times }) => sum + times, 0)).toBe(500);
});

test("more programs than can be remembered: a threat while they run, a line of the report when they are over", async () => {
  await using one = await made();
  const args = new Array<string>(4).fill("x".repeat(1000));
  for (let i = 0; i < 200; i++) one.tell({ exec: "/bin/cc", args, as: "cc" }, { open: `/out/${i}.o`, write: true, by: "cc" }, { exit: 0, by: "cc" });
  one.tell({ exec: "/bin/sleep", args, times: 1500 });
  expect(one.threats).toEqual([]);
  one.tell({ exec: "/bin/sleep", args, times: 1000 });
  expect(one.threats).toMatchObject([
    { type: "programs-forgotten", severity: "medium", details: { message: expect.stringMatching(/^\d+ processes that run are known by name/) } },
  ]);
  expect(one.monitor.summary(ID).notes).toContainEqual({
    rule: "programs-forgotten",
    message: expect.stringContaining("forgotten"),
    times: expect.any(Number),
  });
});

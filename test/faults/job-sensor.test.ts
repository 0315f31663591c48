/** Jobs whose sensor is not there, or is killed while they run: what each level makes of it, and that nobody takes it for a watch. */
import type { ChildProcess } from "node:child_process";
import { cpSync, existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { LEVELS } from "../../src/policy/index.ts";
import { useJobWorld } from "../world/job-hooks.ts";
import type { JobSpecification, JobWorld } from "../world/job-world.ts";
import { type CliResult, outcomeOf } from "../world/project.ts";
import { until } from "../world/script-world.ts";
import { sensorPid } from "../world/sensor-watch.ts";

let world: JobWorld;

useJobWorld((started) => {
  world = started;
}, "sensor");

/** An installation without the sensor's program. */
function withoutSensor(): string {
  const folder = join(world.base, "without-sensor");
  const sensor = join("dist", "native", `cofferdam-sensor-${process.arch}`);
  for (const part of existsSync(folder) ? [] : ["package.json", "bin", "rules", join("dist", "bundle"), join("dist", "native")])
    cpSync(join(world.root, part), join(folder, part), { recursive: true, filter: (from) => !from.endsWith(sensor) });
  return folder;
}

/** Level paranoid takes an image by its digest alone. */
function atLevel(level: (typeof LEVELS)[number], command: readonly string[]): JobSpecification {
  return { level, command, options: level === "paranoid" ? ["--image", world.imageId] : [] };
}

test.for(["low", "medium"] as const)("level %s, and no sensor: the job runs, and everybody is told that nobody watched", async (level) => {
  const id = world.newId();
  const { exit, stderr } = await world.cli(world.words(id, atLevel(level, ["true"])), { root: withoutSensor() });
  expect(exit).toBe(0);
  expect(stderr).toMatch(/\nunseen {3}nobody watched what its processes did \(.*ENOENT.*\)\n {9}fix: cofferdam doctor/);
  const { monitoring, notCovered, auditTrail, threats } = await world.report(id);
  expect(monitoring).toMatchObject({ state: "absent", events: 0, why: expect.stringContaining("ENOENT") });
  expect(notCovered.map(({ what }) => what)).toContain("runtime monitor");
  expect(auditTrail.events.map(({ action, result }) => [action, result])).toContainEqual(["JobUnwatched", "failure"]);
  expect(threats).toEqual([]);
});

test.for(["high", "paranoid"] as const)("level %s, and no sensor: the job is refused before anything of it runs, with the way out", async (level) => {
  const id = world.newId();
  const { exit, stdout, stderr } = await world.cli(world.words(id, atLevel(level, ["echo", "ran"])), { root: withoutSensor() });
  expect([exit, stdout]).toEqual([7, ""]);
  expect(stderr).toMatch(new RegExp(`\njob ${id} BLOCKED before it started: its processes cannot be watched: .*ENOENT`));
  expect(stderr).toContain("\n         fix: cofferdam doctor; jobs: {monitor: watch} lets jobs run that nobody watches\n");
  expect(stderr).toMatch(/\ncofferdam: stopped ENVIRONMENT_UNFIT\n$/);
  const report = await world.report(id);
  expect(report).toMatchObject({ verdict: "blocked", stoppedBy: { code: "ENVIRONMENT_UNFIT" }, monitoring: { state: "absent", events: 0 } });
  expect([report.times.started, report.proof, report.leftBehind]).toEqual([undefined, undefined, []]);
});

interface Killed {
  readonly id: string;
  readonly child: ChildProcess;
  readonly outcome: Promise<CliResult>;
  /** The workload goes on to its end. */
  release(): Promise<void>;
}

const UNTIL_RELEASED = "echo up; while [ ! -e /tmp/go ]; do sleep 0.1; done; nc -h 2> /dev/null; true";

/** A job whose sensor was killed after its workload had begun, once the gap is a threat on record. */
async function killedInside(level: (typeof LEVELS)[number], script = UNTIL_RELEASED): Promise<Killed> {
  const id = world.newId();
  const command = ["sh", "-c", script];
  const child = world.start(world.words(id, atLevel(level, command)));
  const outcome = outcomeOf(child);
  const log = join(world.state, "job-logs", `${id}.log`);
  await until(() => existsSync(log) && statSync(log).size > 0);
  process.kill(sensorPid(child.pid), "SIGKILL");
  // The gap is told once the next one has taken over the watch.
  for (let looks = 0; looks < 60 && child.exitCode === null; looks++) if ((await world.cli(["threats", "list", "--json"])).stdout.includes(`"${id}"`)) break;
  return {
    ...{ id, child, outcome },
    async release() {
      const { State } = await world.engine.containers.inspect(`cofferdam-${id}`);
      writeFileSync(`/proc/${State.Pid}/root/tmp/go`, "");
    },
  };
}

test.for(["low", "medium", "high"] as const)(
  "level %s, and the sensor is killed in the middle: a threat, a line, on record; what follows is seen",
  async (level) => {
    const { id, outcome, release } = await killedInside(level);
    await release();
    const { exit, stderr } = await outcome;
    expect(exit).toBe(0);
    expect(stderr).toContain("threat   medium: sensor-gap, seen by monitor");
    expect(stderr).toContain("\nunseen   for a while nobody watched what its processes did (the sensor ended: it was ended by SIGKILL");
    const { monitoring, threats, auditTrail } = await world.report(id);
    expect(monitoring).toMatchObject({ state: "absent", gaps: 1 });
    expect(threats.map(({ type }) => type)).toEqual(expect.arrayContaining(["sensor-gap", "network-tool"]));
    expect(auditTrail.events.map(({ action }) => action)).toContain("JobUnwatched");
    // From level high on it goes on without a network.
    const { events } = JSON.parse((await world.cli(["audit", "search", "--action", "NetworkDisconnected", "--session", id, "--json"])).stdout);
    expect(events.length > 0).toBe(level === "high");
  },
);

test("level paranoid, and the sensor is killed in the middle: the job ends", async () => {
  const { id, outcome } = await killedInside("paranoid");
  const { exit, stderr } = await outcome;
  expect(exit).toBe(3);
  expect(stderr).toMatch(new RegExp(`\njob ${id} STOPPED after .*: stopped for a medium threat: sensor-gap \\(thr_`));
  expect(await world.report(id)).toMatchObject({ verdict: "stopped", stoppedBy: { code: "SECURITY_VIOLATION" }, monitoring: { gaps: 1 } });
});

test("where every job must be watched, it stands still until the next sensor watches it", async () => {
  world.policy("version: 1\njobs: {unscanned: accept, monitor: require}\n");
  try {
    const script = "now() { cut -d' ' -f1 /proc/uptime; }; while [ ! -e /tmp/go ]; do now; sleep 0.005; done; now";
    const { outcome, release } = await killedInside("medium", script);
    await release();
    const { exit, stdout, stderr } = await outcome;
    expect(exit).toBe(0);
    expect(stderr).toMatch(/for \d+ ms nobody watched: the sensor ended: .*; from when that was known until now it stood still/);
    // A new sensor needs more than a tenth of a second: there is a hole in what the job wrote every few milliseconds.
    const times = stdout.trim().split("\n").map(Number);
    expect(Math.max(...times.slice(1).map((time, i) => time - (times[i] ?? time)))).toBeGreaterThan(0.1);
  } finally {
    world.policy("version: 1\njobs: {unscanned: accept}\n");
  }
});

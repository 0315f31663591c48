/** Jobs when things die: our own process at every step, dockerd under it, the disk. Afterwards nothing is left, and each has its report. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type KillPoint, killedAt } from "../world/job-killer.ts";
import { JobWorld } from "../world/job-world.ts";
import { requires } from "../world/needs.ts";
import { outcomeOf } from "../world/project.ts";
import { until } from "../world/script-world.ts";

let world: JobWorld;

beforeEach(async (context) => {
  requires(context, "docker");
  requires(context, "container");
  world = await JobWorld.start();
  // The store and its keys are there, as on a machine in use.
  expect((await world.job({ command: ["true"] })).exit).toBe(0);
});
afterEach(async () => await world?.[Symbol.asyncDispose]());

const LONG = ["sh", "-c", "echo up; sleep 1000 & sleep 1000"];

/** The next start of anything that runs jobs. Nothing is left then but a name that is looked for once more, some minutes later. */
async function nextStart(): Promise<string> {
  const { exit, stderr } = await world.cli(world.words(world.newId(), { command: ["true"] }));
  expect([exit, stderr]).toEqual([0, expect.any(String)]);
  expect((await world.remains()).filter((one) => !/^holds \{"container":"cofferdam-t\d+"\} of t\d+$/.test(one))).toEqual([]);
  return stderr;
}

async function muchLater(): Promise<void> {
  await using library = await world.library({ clock: { now: () => Date.now() + 600_000, monotonic: () => performance.now() } });
  await library.orchestrator.initialize();
  expect(await world.remains()).toEqual([]);
}

async function reconciled(id: string): Promise<void> {
  const stderr = await nextStart();
  expect(stderr).toContain(`the process of job ${id} had died; the job is ended`);
  const report = await world.report(id);
  expect(report).toMatchObject({ jobId: id, verdict: "aborted", stoppedBy: { code: "CANCELLED" }, leftBehind: [], reconciled: { found: expect.any(Array) } });
  expect(report.auditTrail.verified).toBe(true);
  expect((await world.cli(["job", "show", id])).stdout).toContain("ABORTED");
  await muchLater();
}

describe("kill -9 of the process that runs a job", () => {
  const state = (name: string): KillPoint => ({ name, reached: (row) => row?.state === name });
  const place = (): string => join(world.state, "jobs", nextId, "gate");
  let nextId = "";
  const points: readonly KillPoint[] = [
    state("initializing"),
    { name: "its folder is there", reached: () => existsSync(join(world.state, "jobs", nextId)) },
    { name: "its workspace is there", reached: () => existsSync(join(world.state, "workspaces", nextId, "image")) },
    { name: "its gate is open", reached: () => existsSync(join(place(), "gate")) },
    { name: "somebody came to its gate", reached: (row) => row !== undefined && existsSync(join(place(), "hosts")) && !existsSync(join(place(), "gate")) },
    state("running"),
  ];

  test.each(points)("at: $name", async (point) => {
    const folder = world.folder({ a: "a" });
    nextId = `t${Number(/\d+/.exec(world.newId())?.[0]) + 1}`;
    const { id, caught } = await killedAt(world, { command: LONG, options: ["--workspace", folder] }, point);
    expect(id).toBe(nextId);
    expect(caught).toBe(true);
    expect((await world.cli(["job", "list"])).stdout).toMatch(new RegExp(`  ${id} +abandoned`));
    await reconciled(id);
  });

  test("at any time, 25 times over", async () => {
    const full = 900;
    for (let round = 0; round < 25; round++) {
      const after = (full * round) / 25;
      const workspace = round % 2 === 0 ? ["--workspace", world.folder({ a: "a" })] : [];
      const { id, caught } = await killedAt(world, { command: LONG, options: workspace }, { name: "", reached: (_, ms) => ms > after });
      expect(caught).toBe(true);
      await nextStart();
      const known = JSON.parse((await world.cli(["job", "show", id, "--json"])).stdout);
      // One that was killed before it had written anything down never was.
      if (known.code !== "NOT_FOUND") expect(known.report).toMatchObject({ verdict: "aborted" });
    }
    await muchLater();
  }, 300_000);

  test("its end, too: the report is either there or made", async () => {
    for (let round = 0; round < 10; round++) {
      const { id } = await killedAt(
        world,
        { command: ["sleep", "0.2"] },
        { name: "", reached: (row, ms) => row?.state === "running" && ms > 500 + 40 * round },
      );
      await nextStart();
      expect(["passed", "aborted"]).toContain((await world.report(id)).verdict);
    }
  }, 200_000);

  test("the workload does not go on without us", async () => {
    const { id, caught } = await killedAt(world, { command: LONG }, state("running"));
    expect(caught).toBe(true);
    const name = `cofferdam-${id}`;
    await expect.poll(async () => (await world.engine.containers.inspect(name)).State.Running, { timeout: 10_000 }).toBe(false);
    await reconciled(id);
  });

  test("two that start next end it once", async () => {
    const { id } = await killedAt(world, { command: LONG }, state("running"));
    const both = await Promise.all([1, 2].map(async () => await world.cli(world.words(world.newId(), { command: ["true"] }))));
    expect(both.map(({ exit }) => exit)).toEqual([0, 0]);
    expect(both.filter(({ stderr }) => stderr.includes(`the process of job ${id} had died`))).toHaveLength(1);
    expect(await world.remains()).toEqual([]);
    const { stdout } = await world.cli(["audit", "search", "--action", "JobReconciled", "--json"]);
    expect(stdout.split(`"resourceId":"${id}"`)).toHaveLength(2);
  });
});

describe("dockerd", () => {
  async function runningJob(): Promise<{ readonly id: string; readonly outcome: Promise<{ exit: number; stderr: string }> }> {
    const id = world.newId();
    const child = world.start(world.words(id, { command: LONG, options: ["--workspace", world.folder()] }));
    const outcome = outcomeOf(child);
    const log = join(world.state, "job-logs", `${id}.log`);
    await until(() => existsSync(log) && statSync(log).size > 0);
    return { id, outcome };
  }

  test("killed under a job: the job is stopped with 8, and what could not be removed goes at the next start", async () => {
    const { id, outcome } = await runningJob();
    await world.docker.signal("SIGKILL");
    expect(await outcome).toMatchObject({ exit: 8, stderr: expect.stringMatching(/cofferdam: stopped UPSTREAM_UNAVAILABLE\n$/) });
    expect(await world.report(id)).toMatchObject({ verdict: "stopped", leftBehind: [{ what: "container" }] });
    // Without an engine its book can still be read.
    expect((await world.cli(["job", "list"])).stdout).toContain(id);
    expect((await world.cli(world.words(world.newId(), { command: ["true"] }))).exit).toBe(8);
    await world.docker.restart();
    await nextStart();
    expect(await world.remains()).toEqual([]);
  });

  test("killed with our own process, and started again", async () => {
    const { id, caught } = await killedAt(
      world,
      { command: LONG, options: ["--workspace", world.folder()] },
      { name: "", reached: (row) => row?.state === "running" },
    );
    expect(caught).toBe(true);
    await world.docker.signal("SIGKILL");
    await world.docker.restart();
    await reconciled(id);
  });

  test("that does not answer any more: the time limit holds all the same, and the workload is ended", async () => {
    const id = world.newId();
    const child = world.start(world.words(id, { command: LONG, options: ["--timeout", "6s"] }));
    const outcome = outcomeOf(child);
    const log = join(world.state, "job-logs", `${id}.log`);
    await until(() => existsSync(log) && statSync(log).size > 0);
    const { State } = await world.engine.containers.inspect(`cofferdam-${id}`);
    await world.docker.signal("SIGSTOP");
    try {
      await expect.poll(() => existsSync(`/proc/${State.Pid}/exe`), { timeout: 30_000 }).toBe(false);
    } finally {
      await world.docker.signal("SIGCONT");
    }
    expect((await outcome).exit).toBe(124);
    await nextStart();
    expect(await world.remains()).toEqual([]);
  });
});

test("a full disk under the state directory: refused or stopped with its code, and whole again afterwards", async () => {
  const { state } = world;
  const copy = join(world.base, "copy");
  execFileSync("cp", ["-a", state, copy]);
  rmSync(state, { recursive: true });
  mkdirSync(state, { mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=600m,mode=0700", "tmpfs", state]);
  try {
    execFileSync("cp", ["-a", `${copy}/.`, state]);
    const fill = (left: number): void => {
      rmSync(join(state, "filler"), { force: true });
      const { bavail, bsize } = statfsSync(state);
      execFileSync("fallocate", ["-l", String(Math.max(1, bavail * bsize - left)), join(state, "filler")]);
    };
    const exits: number[] = [];
    for (const left of [0, 64, 256, 512, 1024, 2048]) {
      fill(left * 1024);
      const { exit, stderr } = await world.cli(world.words(world.newId(), { command: ["echo", "ran"], options: ["--workspace", world.folder({ a: "a" })] }));
      expect([left, exit, stderr]).toEqual([left, expect.toBeOneOf([0, 1, 5, 6, 7]), expect.not.stringContaining("unexpected")]);
      exits.push(exit);
      rmSync(join(state, "filler"));
      expect((await world.cli(world.words(world.newId(), { command: ["true"] }))).exit).toBe(0);
      expect((await world.remains()).filter((one) => one !== `mount ${state}`)).toEqual([]);
    }
    expect(exits[0]).not.toBe(0);
    expect(JSON.parse((await world.cli(["audit", "verify", "--json"])).stdout)).toMatchObject({ failed: 0 });
  } finally {
    execFileSync("umount", ["-l", state]);
  }
});

test("a log that cannot be written to its end does not end the job, and the report says so", async () => {
  const logs = join(world.state, "job-logs");
  mkdirSync(logs, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", logs]);
  try {
    const { exit, stdout, report } = await world.job({ command: ["sh", "-c", "yes 0123456 | head -c 4000000"] });
    expect([exit, stdout.length]).toEqual([0, 4_000_000]);
    expect(report.log).toMatchObject({ bytes: 4_000_000, truncated: true });
    expect(report.log.kept).toBe(readFileSync(join(logs, `${report.jobId}.log`)).length);
  } finally {
    execFileSync("umount", ["-l", logs]);
  }
});

/** What is done about a threat to a job that runs: by level, by this process and by another, and what is left of it. */
import { hash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { JobReport } from "../../src/jobs/index.ts";
import { cgroupOf, isFrozen } from "../../src/monitor/response/index.ts";
import type { Level } from "../../src/policy/index.ts";
import { useJobWorld } from "../world/job-hooks.ts";
import type { JobLibrary, JobWorld } from "../world/job-world.ts";
import { until } from "../world/script-world.ts";

let world: JobWorld;

useJobWorld((started) => {
  world = started;
});

const NEVER = new AbortController().signal;
const THREAT = { type: "reverse_shell", severity: "critical", details: { exe: "/bin/nc" } } as const;

/** A job of `library` that runs until it is ended. */
async function running({ orchestrator }: JobLibrary, id: string): Promise<{ readonly done: Promise<JobReport> }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const config = { repository: "acme/web", image: world.imageId, resources: { memory: "64MiB" } };
  const done = orchestrator.runJob(id, config, { command: ["sh", "-c", "echo up; sleep 1000 & sleep 1000"] }, NEVER, { onOutput: () => resolve() });
  await Promise.race([promise, done]);
  return { done };
}

async function stands(name: string): Promise<boolean> {
  const { Pid, Running } = (await world.engine.containers.inspect(name)).State;
  return Running && isFrozen(cgroupOf(Pid));
}

test.each([
  ["medium", ["record", "alert", "freeze", "evidence", "kill"]],
  ["high", ["record", "alert", "freeze", "evidence", "kill"]],
] as const)("level %s: a critical one is frozen, put on record and killed", async (level: Level, actions) => {
  await using library = await world.library({ level });
  await library.orchestrator.initialize();
  const id = world.newId();
  const { done } = await running(library, id);
  const { threat, outcomes } = await library.orchestrator.handleSecurityThreat({ ...THREAT, jobId: id });
  expect(outcomes.map(({ action, done: was }) => [action, was])).toEqual(actions.map((action) => [action, true]));
  const report = await done;
  expect(report).toMatchObject({ verdict: "stopped", stoppedBy: { code: "SECURITY_VIOLATION" }, threats: [{ id: threat.id, state: "open" }], leftBehind: [] });
  expect(report.score?.cap?.value).toBe(39);
  const [kept] = report.monitoring?.evidence ?? [];
  const [recorded] = await library.audit.search({ text: "EvidenceKept", sessionId: id });
  expect(recorded?.details).toMatchObject({ path: kept?.path, sha256: kept?.sha256 });
  const evidence = readFileSync(kept?.path ?? "");
  expect(hash("sha256", evidence)).toBe(kept?.sha256);
  expect(JSON.parse(evidence.toString())).toMatchObject({ frozen: true, job: id, threat: { id: threat.id } });
  expect(evidence.toString()).toContain('"sleep","1000"');
  const shown = await world.cli(["threats", "list"]);
  expect(shown.stdout).toContain(threat.id);
  expect((await world.cli(["threats", "resolve", threat.id])).exit).toBe(2);
  expect(await world.cli(["threats", "resolve", threat.id, "--note", "a test"])).toMatchObject({ exit: 0 });
  expect((await world.cli(["threats", "resolve", threat.id, "--note", "again"])).exit).toBe(2);
  expect((await world.cli(["threats", "list"])).stdout).not.toContain(threat.id);
  expect((await world.cli(["threats", "show", threat.id])).stdout).toContain("by uid 0: a test");
});

test("level paranoid: the job is stopped, its container stays frozen until somebody takes it away", async () => {
  await using library = await world.library({ level: "paranoid" });
  await library.orchestrator.initialize();
  const id = world.newId();
  const { done } = await running(library, id);
  const { outcomes } = await library.orchestrator.handleSecurityThreat({ ...THREAT, jobId: id });
  expect(outcomes.at(-1)).toMatchObject({ action: "stop-job", done: true });
  const report = await done;
  expect(report).toMatchObject({ verdict: "stopped", leftBehind: [{ what: expect.stringMatching(/^container [0-9a-f]{12}, frozen$/) }] });
  const name = `cofferdam-${id}`;
  expect(await stands(name)).toBe(true);
  // Nobody who starts later takes evidence away.
  expect((await world.job({ command: ["true"] })).exit).toBe(0);
  expect(await stands(name)).toBe(true);
  const { exit, stderr } = await world.cli(["job", "kill", id]);
  expect([exit, stderr]).toEqual([0, expect.stringContaining("was ended")]);
  expect((await world.cli(["job", "kill", id])).exit).toBe(2);
});

test("a job of another process is found by its container, and ended", async () => {
  const id = world.newId();
  const job = world.cli(world.words(id, { command: ["sh", "-c", "echo up; sleep 1000"] }));
  const log = join(world.state, "job-logs", `${id}.log`);
  await until(() => existsSync(log) && statSync(log).size > 0);
  const { Id } = await world.engine.containers.inspect(`cofferdam-${id}`);
  await using library = await world.library();
  await library.orchestrator.initialize();
  const { threat } = await library.orchestrator.handleSecurityThreat({ ...THREAT, containerId: Id.slice(0, 12) });
  expect(threat.jobId).toBe(id);
  expect(await job).toMatchObject({ exit: 3, stderr: expect.stringMatching(/cofferdam: stopped SECURITY_VIOLATION\n$/) });
  expect(await world.report(id)).toMatchObject({ verdict: "stopped", threats: [{ id: threat.id }] });
  await library.orchestrator.resolveThreat(threat.id, "uid 0", "");
});

test("a container that is none of a job's is left alone, whatever it says of itself", async () => {
  const HostConfig = { NetworkMode: "none" };
  const { Id } = await world.engine.containers.create({ Image: world.imageId, Cmd: ["sleep", "1000"], Labels: { "cofferdam.job": "t1" }, HostConfig });
  await world.engine.containers.start(Id);
  await using library = await world.library();
  await library.orchestrator.initialize();
  const { threat, outcomes } = await library.orchestrator.handleSecurityThreat({ ...THREAT, containerId: Id });
  expect(outcomes.map(({ done }) => done)).toEqual([true, true, false, false, false]);
  expect((await world.engine.containers.inspect(Id)).State).toMatchObject({ Running: true, Paused: false });
  await world.engine.containers.remove(Id, { force: true });
  await library.orchestrator.resolveThreat(threat.id, "uid 0", "");
});

test("mode observe: on record, and nothing else is done", async () => {
  world.policy("version: 1\nmode: observe\njobs: {unscanned: accept}\n");
  try {
    await using library = await world.library();
    await library.orchestrator.initialize();
    const id = world.newId();
    const { done } = await running(library, id);
    const { threat, outcomes } = await library.orchestrator.handleSecurityThreat({ ...THREAT, jobId: id });
    expect(outcomes.map(({ action }) => action)).toEqual(["record", "alert"]);
    await library.orchestrator.kill(id, "uid 0");
    expect(await done).toMatchObject({ verdict: "stopped", stoppedBy: { code: "CANCELLED" } });
    await library.orchestrator.resolveThreat(threat.id, "uid 0", "");
  } finally {
    world.policy("version: 1\njobs: {unscanned: accept}\n");
  }
});

test("a process that ends takes its jobs with it", async () => {
  const id = world.newId();
  {
    await using library = await world.library();
    await library.orchestrator.initialize();
    const { done } = await running(library, id);
    await library.orchestrator.close();
    expect(await done).toMatchObject({ verdict: "stopped", stoppedBy: { code: "CANCELLED", message: "the orchestrator was closed" } });
  }
  expect(await world.report(id)).toMatchObject({ verdict: "stopped" });
});

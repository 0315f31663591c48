/** A guarded job under the monitor, through the command line: what a quiet one says, and how one that does not behave ends. */
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { JobWorld } from "../world/job-world.ts";
import { has, requires } from "../world/needs.ts";

let world: JobWorld;

beforeAll(async () => {
  if (has("docker") && has("container") && has("sensor")) world = await JobWorld.start();
});
afterAll(async () => await world?.[Symbol.asyncDispose]());
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "container");
  requires(context, "sensor");
});
afterEach(async () => {
  if (world !== undefined) expect(await world.remains()).toEqual([]);
});

test("a quiet job: watched from its first program on, nothing lost, and proven in its score", async () => {
  const { exit, stderr, report } = await world.job({ command: ["sh", "-c", "ls / | wc -l"] });
  expect(exit).toBe(0);
  expect(report.monitoring).toMatchObject({ state: "watching", lost: 0, gaps: 0, evidence: [] });
  expect(report.monitoring?.programs).toBeGreaterThan(0);
  expect(report.threats).toEqual([]);
  expect(report.notCovered.map(({ what }) => what)).not.toContain("runtime monitor");
  expect(report.score?.lines.map(({ control }) => control)).not.toContain("job.monitored");
  expect(stderr).not.toContain("threat");
});

test("a critical act: the job stands still, is kept, and ends; who did it is told", async () => {
  const { exit, stderr, report } = await world.job({ command: ["sh", "-c", "echo x > /tmp/release_agent; echo went on; sleep 1000"] });
  expect(exit).toBe(3);
  expect(report).toMatchObject({ verdict: "stopped", stoppedBy: { code: "SECURITY_VIOLATION" } });
  const [threat] = report.threats;
  expect(threat).toMatchObject({ type: "escape-file", severity: "critical", source: "monitor", details: { file: "/tmp/release_agent" } });
  expect(JSON.stringify(threat?.evidence)).toContain("release_agent");
  const [kept] = report.monitoring?.evidence ?? [];
  const evidence = JSON.parse(readFileSync(kept?.path ?? "", "utf8"));
  expect(evidence).toMatchObject({ frozen: true, threat: { type: "escape-file" } });
  expect(evidence.changedFiles.files.map(({ path }: { path: string }) => path)).toContain("/tmp/release_agent");
  expect(stderr).toContain("threat   critical: escape-file");
  expect((await world.cli(["threats", "show", threat?.id ?? ""])).stdout).toContain("/tmp/release_agent");
});

test("turned off by the policy: said", async () => {
  world.policy("version: 1\njobs: {unscanned: accept, monitor: off}\n");
  try {
    const { report } = await world.job({ command: ["true"] });
    expect(report.monitoring).toMatchObject({ state: "off", why: "jobs.monitor is off", events: 0 });
    expect(report.notCovered).toContainEqual({ what: "runtime monitor", means: "nobody watched what its processes did: jobs.monitor is off" });
    expect(report.score?.lines.map(({ control }) => control)).toContain("job.monitored");
  } finally {
    world.policy("version: 1\njobs: {unscanned: accept}\n");
  }
});

/** A guarded job under the monitor, through the command line: what a quiet one says, and how one that does not behave ends. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useJobWorld } from "../world/job-hooks.ts";
import type { JobWorld } from "../world/job-world.ts";
import { outcomeOf } from "../world/project.ts";
import { until } from "../world/script-world.ts";

let world: JobWorld;

useJobWorld((started) => {
  world = started;
}, "sensor");

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

// Before there is an open threat: nothing is learnt while there is one.
test("a job is compared with those that its CI calls the same, whatever they run; the report says whose word that is", async () => {
  const named = await world.job({ options: ["--workflow", "CI", "--job", "test"], command: ["true"] });
  expect(named.report.monitoring?.baseline).toEqual({ workflow: "CI", job: "test", from: "--workflow, --job", runs: 0 });
  const env = { GITHUB_ACTIONS: "true", GITHUB_WORKFLOW: "CI", GITHUB_JOB: "test" };
  const claimed = await world.job({ env, command: ["sh", "-c", ":"] });
  expect(claimed.report.monitoring?.baseline).toEqual({ workflow: "CI", job: "test", from: "GITHUB_WORKFLOW, GITHUB_JOB", runs: 1 });
  expect((await world.cli(["job", "report", claimed.report.jobId])).stdout).toContain(
    "\nbaseline 1 run before it, by workflow CI, job test (GITHUB_WORKFLOW, GITHUB_JOB)\n",
  );
  const other = await world.job({ env: { ...env, GITHUB_JOB: "other" }, command: ["sh", "-c", ":"] });
  expect(other.report.monitoring?.baseline).toMatchObject({ job: "other", runs: 0 });
  const asked = JSON.parse((await world.cli(["audit", "search", "--action", "JobRequested", "--session", claimed.report.jobId, "--json"])).stdout);
  expect(JSON.stringify(asked)).toContain('"workflow":"CI"');
  const broken = await world.start(["job", "run", "--image", world.image, "--repo", "acme/web", "--job", "a\nb", "--", "true"]);
  expect(await outcomeOf(broken)).toMatchObject({ exit: 2, stderr: expect.stringContaining("no name has") });
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

test("monitor check and watch look at a job of another process; monitor rules and test need no engine", async () => {
  const id = world.newId();
  const job = world.cli(world.words(id, { command: ["sh", "-c", "echo up; while [ ! -e /tmp/enough ]; do nc -h 2> /dev/null; sleep 0.2; done"] }));
  const log = join(world.state, "job-logs", `${id}.log`);
  await until(() => existsSync(log) && statSync(log).size > 0);
  const checked = await world.cli(["monitor", "check", id, "--for", "2s", "--json"]);
  const { schema, status, threats } = JSON.parse(checked.stdout);
  expect([checked.exit, schema, status.state]).toEqual([3, "cofferdam/monitor-check/v1", "watching"]);
  expect(threats.map(({ type }: { type: string }) => type)).toContain("network-tool");
  const watching = world.start(["monitor", "watch", id]);
  let said = "";
  const watched = outcomeOf(watching);
  watching.stdout?.on("data", (bytes) => (said += String(bytes)));
  await until(() => /sleep 0\.2/.test(said) && /medium {3}network-tool: nc -h/.test(said));
  expect((await world.cli(["job", "kill", id])).exit).toBe(0);
  expect((await watched).exit).toBe(0);
  await job;
  expect((await world.cli(["monitor", "check", id])).exit).toBe(2);
  expect((await world.cli(["monitor", "rules"])).stdout).toMatch(/^critical shell-on-network/m);
  expect(await world.cli(["monitor", "test"])).toMatchObject({ exit: 0, stderr: expect.stringMatching(/(\d+) of \1 tests of rules passed/) });
});

test("a rule's own action raises what the level does, in the act itself, and the report says who asked for what", async () => {
  const file = join(world.base, "asking.yaml");
  const rule =
    "{id: our-word, title: ours, says: '{process.line}', severity: low, action: freeze, attack: [T1059], on: [exec], when: {process.args: word-of-ours}}";
  writeFileSync(file, `rules:\n  - ${rule}\n`);
  world.policy(`version: 1\njobs: {unscanned: accept, monitor-rules: [${file}]}\n`);
  try {
    expect((await world.cli(["monitor", "rules", "--config", world.policyFile])).stdout).toContain(
      "\n         action   freeze; at level medium: record, alert, freeze, evidence, kill\n",
    );
    const { exit, stderr, report } = await world.job({ command: ["sh", "-c", "/bin/echo word-of-ours; sleep 1000"] });
    const answer = "record, alert, freeze, evidence, kill: its rule asks for freeze, level medium for record";
    expect(exit).toBe(3);
    expect(report).toMatchObject({ verdict: "stopped", threats: [{ type: "our-word", severity: "low", action: "freeze", details: { answer } }] });
    expect(JSON.parse(readFileSync(report.monitoring?.evidence[0]?.path ?? "", "utf8"))).toMatchObject({ frozen: true, threat: { action: "freeze" } });
    expect(stderr).toContain(`\n         done: ${answer}\n`);
  } finally {
    world.policy("version: 1\njobs: {unscanned: accept}\n");
  }
});

test("rules of a user: read with their place in every complaint, tested, and in force in jobs", async () => {
  const file = join(world.base, "ours.yaml");
  const rule = "{id: our-marker, title: ours, says: '{process.line}', severity: critical, attack: [T1059], on: [exec], when: {process.args: marker-of-ours}}";
  writeFileSync(file, `rules:\n  - ${rule.replace("process.args", "process.arg")}\n`);
  expect(await world.cli(["monitor", "rules", "--rules", file])).toMatchObject({
    exit: 2,
    stderr: expect.stringMatching(/ours\.yaml: our-marker\.when\.process\.arg: no field process\.arg[\s\S]*process\.args/),
  });
  writeFileSync(file, `rules:\n  - ${rule}\n`);
  expect((await world.cli(["monitor", "test", file])).stdout).toBe("untested our-marker: no test finds it\n");
  writeFileSync(join(world.base, "ours.test.yaml"), "tests:\n  - {rule: our-marker, events: [{exec: /bin/echo, args: [echo, marker-of-ours]}]}\n");
  expect((await world.cli(["monitor", "test", file])).exit).toBe(0);
  world.policy(`version: 1\njobs: {unscanned: accept, monitor-rules: [${file}]}\n`);
  try {
    const { report } = await world.job({ command: ["sh", "-c", "/bin/echo marker-of-ours; sleep 1000"] });
    expect(report).toMatchObject({ verdict: "stopped", threats: [{ type: "our-marker" }] });
    writeFileSync(file, `${readFileSync(file, "utf8")}exceptions:\n  - {rule: our-marker, reason: a test, until: 2999-01-01}\n`);
    const spared = await world.job({ command: ["sh", "-c", "/bin/echo marker-of-ours"] });
    expect(spared.report).toMatchObject({ verdict: "passed", threats: [] });
    expect(spared.report.monitoring?.notes).toContainEqual({ rule: "our-marker", message: "/bin/echo marker-of-ours", times: 1, excepted: "a test" });
  } finally {
    world.policy("version: 1\njobs: {unscanned: accept}\n");
  }
});

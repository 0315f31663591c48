/** The Security Orchestrator samples of the API reference, as written but for imports, where things are, and an image. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { SecurityOrchestrator } from "../../src/index.ts";
import { type JobLibrary, JobWorld } from "../world/job-world.ts";
import { has, requires } from "../world/needs.ts";

let world: JobWorld;
let library: JobLibrary;
let securityOrchestrator: SecurityOrchestrator;

beforeAll(async () => {
  if (!has("docker") || !has("container")) return;
  world = await JobWorld.start();
  library = await world.library();
  securityOrchestrator = library.orchestrator;
});
afterAll(async () => {
  await library?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "container");
});

test("before initialize() nothing works, and after it everything does", async () => {
  await expect(securityOrchestrator.createJobSecurityContext("j", { repository: "org/repo" })).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
  const told: unknown[] = [];
  securityOrchestrator.events.on("initialized", (event) => told.push(event));
  await securityOrchestrator.initialize();
  await securityOrchestrator.initialize();
  expect(told).toEqual([{ reconciled: [] }]);
});

test("createJobSecurityContext, cleanupJobSecurity", async () => {
  const events: string[] = [];
  securityOrchestrator.events.on("securityContextCreated", ({ jobId }) => events.push(`created ${jobId}`));
  securityOrchestrator.events.on("jobBlocked", ({ jobId, reason }) => events.push(`blocked ${jobId}: ${reason}`));
  securityOrchestrator.events.once("securityContextCreated", () => {
    throw new Error("a listener's failure is its own");
  });
  const context = await securityOrchestrator.createJobSecurityContext("job123", {
    repository: "org/repo",
    userId: "user123",
    priority: "low",
    image: world.image,
  });
  expect(context).toMatchObject({
    jobId: "job123",
    state: "ready", // 'initializing', 'ready', 'blocked'
    checks: {
      authentication: true,
      authorization: true,
      // Nobody scans images in this version, and the policy accepts that: it is not said to have passed.
      scanning: false,
      resourceAllocation: true,
      networkIsolation: true,
    },
    network: { mode: "none" },
    resources: { state: "held", tier: "low" },
    threats: [],
    violations: [],
  });
  await expect(securityOrchestrator.createJobSecurityContext("job123", { repository: "org/repo" })).rejects.toMatchObject({ code: "CONFLICT" });

  const report = await securityOrchestrator.cleanupJobSecurity("job123");
  expect(report).toMatchObject({ jobId: "job123", repository: "org/repo", leftBehind: [], secretsUsed: [], auditTrail: { verified: true } });
  expect(await securityOrchestrator.cleanupJobSecurity("job123")).toEqual(report);
  await expect(securityOrchestrator.cleanupJobSecurity("nobody")).rejects.toMatchObject({ code: "NOT_FOUND" });

  const blocked = await securityOrchestrator.createJobSecurityContext("job124", { repository: "org/repo", image: "no/such" });
  expect(blocked).toMatchObject({ state: "blocked", reason: "the engine has no image no/such", checks: { authentication: true, resourceAllocation: false } });
  expect(await securityOrchestrator.cleanupJobSecurity("job124")).toMatchObject({ verdict: "blocked" });
  expect(events).toEqual(["created job123", "blocked job124: the engine has no image no/such"]);
  expect(await world.remains()).toEqual([]);
});

test("prepareSecureContainer", async () => {
  const events: string[] = [];
  securityOrchestrator.events.on("containerSecured", ({ jobId, containerId }) => events.push(`${jobId} ${containerId}`));
  await securityOrchestrator.createJobSecurityContext("job125", { repository: "org/repo", image: world.image, resources: { memory: "64MiB" } });
  const { Id: container123 } = await world.engine.containers.create({ Image: world.imageId, Cmd: ["sh", "-c", "exit 5"], HostConfig: { NetworkMode: "none" } });
  const secured = await securityOrchestrator.prepareSecureContainer(container123, "job125");
  expect(secured).toMatchObject({ secured: true, refused: [] });
  expect(secured.applied).toEqual(expect.arrayContaining(["capabilities", "seccomp"]));
  // Docker cannot change what a container is: it was made anew.
  expect(secured.containerId).not.toBe(container123);
  await expect(world.engine.containers.inspect(container123)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(events).toEqual([`job125 ${secured.containerId}`]);
  await securityOrchestrator.startContainer("job125");
  expect(await world.engine.containers.wait(secured.containerId)).toEqual({ exitCode: 5 });
  const report = await securityOrchestrator.cleanupJobSecurity("job125");
  expect(report).toMatchObject({ verdict: "failed", exit: 5, leftBehind: [] });
  expect(report.proof?.controls.filter(({ ok }) => !ok)).toEqual([]);

  await securityOrchestrator.createJobSecurityContext("job126", { repository: "org/repo", image: world.image, resources: { memory: "64MiB" } });
  const { Id: running } = await world.engine.containers.create({ Image: world.imageId, Cmd: ["sleep", "60"], HostConfig: { NetworkMode: "none" } });
  await world.engine.containers.start(running);
  await expect(securityOrchestrator.prepareSecureContainer(running, "job126")).rejects.toMatchObject({ code: "SECURITY_VIOLATION" });
  await expect(world.engine.containers.inspect(running)).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await securityOrchestrator.cleanupJobSecurity("job126")).toMatchObject({ verdict: "blocked", stoppedBy: { code: "SECURITY_VIOLATION" } });
  expect(await world.remains()).toEqual([]);
});

test("handleSecurityThreat", async () => {
  const handled: string[] = [];
  const alerts: string[] = [];
  securityOrchestrator.events.on("threatHandled", ({ threat }) => handled.push(threat.id));
  securityOrchestrator.events.on("securityAlert", ({ id }) => alerts.push(id));
  const { threat, outcomes } = await securityOrchestrator.handleSecurityThreat({
    type: "suspicious_process",
    severity: "high",
    containerId: "container123",
    details: {
      /* threat details */
    },
  });
  expect(outcomes.map(({ action, done }) => [action, done])).toEqual([
    ["record", true],
    ["alert", true],
    // container123 is none of a job of ours: nothing is done to it, and that is told.
    ["disconnect", false],
  ]);
  expect([handled, alerts]).toEqual([[threat.id], [threat.id]]);
  const before = await securityOrchestrator.getSecurityMetrics();
  expect(before.openThreats).toEqual({ critical: 0, high: 1, medium: 0, low: 0 });
  await securityOrchestrator.resolveThreat(threat.id, "user123", "a sample of the reference");
  const after = await securityOrchestrator.getSecurityMetrics();
  expect(after.openThreats.high).toBe(0);
  expect(after.score?.value).toBeGreaterThan(before.score?.value ?? 100);
});

test("getSecurityMetrics: what is measured, and what nobody measures yet", async () => {
  // As twenty-five wrong passwords leave them: the last five are one event.
  const wrong = { category: "identity", action: "login", userId: "user123", details: { reason: "wrong password" } } as const;
  await Promise.all(Array.from({ length: 25 }, () => library.audit.denied(wrong)));
  const metrics = await securityOrchestrator.getSecurityMetrics();
  expect(metrics).toMatchObject({
    score: { units: { job: 4, install: 0 } },
    jobs: { finished: 3, blocked: 1 },
    policyViolations: 1,
    failedAuthentications: 25,
    quotaViolations: 0,
    notMeasured: ["scan findings of images", "network violations"],
  });
  expect(metrics.auditEvents["jobs"]).toBeGreaterThan(10);
  // The trail was verified, so that nothing caps the score at 10.
  expect(metrics.score?.cap).toBeUndefined();
  expect(metrics.score?.lines.some(({ control }) => control === "install.integrity")).toBe(true);
});

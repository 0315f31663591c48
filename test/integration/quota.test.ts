/** Quotas of real containers: limits at create and live, proven; what goes over is told, and stopped where only watching holds it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type ContainerCreate, EngineClient, type HostConfig } from "../../src/engine/index.ts";
import { type QuotaViolation, ResourceQuotaManager, type ResourceQuotaOptions } from "../../src/quota/index.ts";
import { SqliteStore } from "../../src/store/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { busyboxImage } from "../world/images.ts";
import { has, requires } from "../world/needs.ts";

const MiB = 2 ** 20;
const small = { memory: "64MiB", pids: 30, cpu: 0.25, disk: "16MiB" } as const;
let docker: TestDocker;
let engine: EngineClient;
let image: string;
let folder: string;
let open: AsyncDisposable[];
let containers: string[];

beforeAll(async () => {
  if (!has("docker")) return;
  docker = await startDocker();
  engine = new EngineClient(docker.socketPath);
  image = await busyboxImage(engine);
});
afterAll(async () => {
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requires(context, "docker");
  folder = mkdtempSync(join(tmpdir(), "cofferdam-quota-docker-"));
  [open, containers] = [[], []];
});
afterEach(async () => {
  for (const id of containers) await engine.containers.remove(id, { force: true, volumes: true });
  for (const one of open.reverse()) await one[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

async function manager(options: ResourceQuotaOptions = {}): Promise<ResourceQuotaManager> {
  const store = new SqliteStore({ path: join(folder, "cofferdam.db") });
  const quota = new ResourceQuotaManager(engine, { store, slots: 4, monitoringInterval: 100, hostNetwork: `/proc/${docker.pid}/ns/net`, ...options });
  open.push(store, quota);
  await quota.initialize();
  return quota;
}

async function run(cmd: string, host: HostConfig = {}, more: Partial<ContainerCreate> = {}): Promise<string> {
  const body = { Image: image, Cmd: ["sh", "-c", cmd], ...more, HostConfig: { NetworkMode: "none", ...host } };
  const { Id: id } = await engine.containers.create(body);
  containers.push(id);
  await engine.containers.start(id);
  return id;
}

function violation(quota: ResourceQuotaManager, resource: string): Promise<QuotaViolation> {
  const { promise, resolve } = Promise.withResolvers<QuotaViolation>();
  quota.events.on("quotaViolation", (one) => one.resource === resource && resolve(one));
  return promise;
}

test("limits at create are in force, and what the container uses is seen, also from another process's manager", async () => {
  const quota = await manager();
  const allocation = await quota.allocateResources("job", { requestedResources: small });
  const id = await run("yes > /dev/null & dd if=/dev/zero of=/big bs=1M count=4; sleep 1000", quota.createLimits(allocation));
  const applied = await quota.applyResourceLimits(id, "job");
  expect(applied).toMatchObject({ applied: ["cpu", "memory", "swap", "pids"], watched: ["disk"], missing: [] });
  await quota.monitorResourceUsage("job");
  const throttled = await violation(quota, "cpu");
  expect(throttled).toMatchObject({ kind: "throttled", enforcement: "enforced" });
  const usage = await (await manager()).monitorResourceUsage("job");
  expect(usage.cpu).toBeGreaterThan(50);
  expect(usage.cpu).toBeLessThan(150);
  expect(usage.pids).toBeCloseTo(10, -1);
  expect(usage.disk).toBeGreaterThan(20);
  expect(usage.disk).toBeLessThan(60);
  expect(usage.notMeasured).toEqual([]);
  const released = await quota.releaseResources("job");
  expect(released?.usage?.raw.cpuTime).toBeGreaterThan(0);
});

test("a container made without limits gets them while it runs, block devices and both directions of the network too", async () => {
  const quota = await manager();
  const wanted = { ...small, readRate: "10MB/s", writeOps: 1000, download: "1MB/s", upload: "4Mbit/s" } as const;
  await quota.allocateResources("job", { requestedResources: wanted });
  const network = await engine.networks.create({ Name: "quota", Driver: "bridge" });
  const id = await run("sleep 1000", { NetworkMode: "quota" });
  expect(await quota.applyResourceLimits(id, "job")).toMatchObject({
    applied: ["cpu", "memory", "swap", "pids", "readRate", "writeOps", "download", "upload"],
    missing: [],
  });
  expect((await quota.monitorResourceUsage("job")).network).toBe(0);
  await engine.containers.remove(id, { force: true });
  containers = [];
  await engine.networks.remove(network);
});

test("what cannot be put in force is SECURITY_VIOLATION when hard, and only told when soft", async () => {
  const wanted = { ...small, upload: "4Mbit/s" } as const;
  const hard = await manager();
  await hard.allocateResources("job", { requestedResources: wanted });
  const id = await run("sleep 1000");
  await expect(hard.applyResourceLimits(id, "job")).rejects.toMatchObject({ code: "SECURITY_VIOLATION", details: { missing: [{ limit: "upload" }] } });
  const soft = await manager({ quotaEnforcement: "soft" });
  await soft.allocateResources("job2", { requestedResources: wanted });
  const other = await run("sleep 1000");
  expect(await soft.applyResourceLimits(other, "job2")).toMatchObject({ applied: ["memory", "pids"], missing: [{ limit: "upload" }] });
});

test("an out-of-memory kill is a violation, whether the container goes on or ends with it before anybody looks", async () => {
  const quota = await manager();
  const first = await quota.allocateResources("goes-on", { requestedResources: small });
  const told = violation(quota, "memory");
  const id = await run("sleep 0.3; dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 1000", quota.createLimits(first));
  await quota.applyResourceLimits(id, "goes-on");
  expect(await told).toMatchObject({ jobId: "goes-on", kind: "killed", enforcement: "enforced" });
  expect((await quota.monitorResourceUsage("goes-on")).peak.memory).toBeGreaterThan(60 * MiB);

  const late = await manager({ monitoringInterval: 3_600_000 });
  const second = await late.allocateResources("ends", { requestedResources: small });
  const ends = await run("read line; exec dd if=/dev/zero of=/dev/null bs=200M count=1", late.createLimits(second), { OpenStdin: true });
  await late.applyResourceLimits(ends, "ends");
  const attached = await engine.containers.attach(ends, { tty: false, stdin: true });
  attached.stdin.write("go\n");
  await engine.containers.wait(ends);
  attached.close();
  const { usage } = (await late.releaseResources("ends")) ?? {};
  expect(usage?.violations.oomKills).toBeGreaterThan(0);
  expect((await late.getQuotaStatus()).violations).toContainEqual(expect.objectContaining({ jobId: "ends", resource: "memory", kind: "killed" }));
});

test("a fork bomb meets its limit, and is told", async () => {
  const quota = await manager();
  const allocation = await quota.allocateResources("job", { requestedResources: small });
  const told = violation(quota, "pids");
  const id = await run("sleep 0.3; for i in $(seq 100); do (sleep 1000 &) ; done; sleep 1000", quota.createLimits(allocation));
  await quota.applyResourceLimits(id, "job");
  expect(await told).toMatchObject({ kind: "refused", enforcement: "enforced" });
  expect((await quota.monitorResourceUsage("job")).raw.pids).toBeLessThanOrEqual(30);
});

test("a disk that is only watched: over the limit, the container is stopped", async () => {
  const quota = await manager();
  const allocation = await quota.allocateResources("job", { requestedResources: small });
  const told = violation(quota, "disk");
  const id = await run("sleep 0.3; dd if=/dev/zero of=/big bs=1M count=40; sleep 1000", quota.createLimits(allocation));
  await quota.applyResourceLimits(id, "job");
  expect(await told).toMatchObject({ kind: "exceeded", enforcement: "watched" });
  expect(await engine.containers.wait(id)).toMatchObject({ exitCode: 137 });
});

test("a workspace of limited size, with a sealed root: enforced, and the job lives on", async () => {
  const quota = await manager({ workspaces: join(docker.mounts, "workspaces") });
  const allocation = await quota.allocateResources("job", { requestedResources: small });
  const workspace = await quota.createWorkspace("job", { uid: 0, gid: 0 });
  const told = violation(quota, "disk");
  const id = await run("dd if=/dev/zero of=/work/big bs=1M count=40 2>&1; echo over; sleep 1000", {
    ...quota.createLimits(allocation),
    ReadonlyRootfs: true,
    Binds: [`${workspace.path}:/work`],
  });
  expect((await quota.applyResourceLimits(id, "job")).applied).toContain("disk");
  const logs = await engine.containers.logs(id, { follow: true });
  let text = "";
  for await (const { bytes } of logs) {
    text += bytes.toString();
    if (text.includes("over\n")) break;
  }
  expect(text).toContain("No space left");
  expect(await told).toMatchObject({ kind: "exceeded", enforcement: "enforced" });
  expect((await engine.containers.inspect(id)).State.Running).toBe(true);
  await engine.containers.remove(id, { force: true });
  containers = [];
  expect(await quota.releaseResources("job")).toMatchObject({ workspace: { lingering: false } });
});

test("a container that does not run, is not there, or a job without resources", async () => {
  const quota = await manager();
  const id = await run("true");
  await engine.containers.wait(id);
  await expect(quota.applyResourceLimits(id, "job")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await quota.allocateResources("job", { requestedResources: small });
  await expect(quota.applyResourceLimits(id, "job")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  await expect(quota.applyResourceLimits("no-such-container", "job")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

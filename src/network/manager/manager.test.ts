/** The manager on a real engine and in real namespaces; upstream is a server of the test's own on loopback. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startDocker, type TestDocker } from "../../../test/world/docker.ts";
import { busyboxImage } from "../../../test/world/images.ts";
import { has, requires } from "../../../test/world/needs.ts";
import { EngineClient } from "../../engine/index.ts";
import { startOf, type TrailEvent } from "../../foundation/index.ts";
import { SqliteStore } from "../../store/index.ts";
import { NetworkIsolationManager } from "./manager.ts";
import type { NetworkIsolationOptions } from "./settings.ts";

let docker: TestDocker;
let engine: EngineClient;
let image: string;
let server: Server;
let manager: NetworkIsolationManager;
let folder: string;
let audited: TrailEvent[];

beforeAll(async () => {
  if (!has("docker") || !has("network")) return;
  docker = await startDocker();
  engine = new EngineClient(docker.socketPath);
  image = await busyboxImage(engine);
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(async () => {
  server?.close();
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
});

function open(options: NetworkIsolationOptions = {}): NetworkIsolationManager {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return new NetworkIsolationManager(engine, {
    connect: () => connect(port, "127.0.0.1"),
    audit: { log: async (event) => void audited.push(event) },
    ipv6: false,
    ...options,
  });
}

beforeEach(async (context) => {
  requires(context, "docker");
  requires(context, "network");
  audited = [];
  folder = mkdtempSync(join(tmpdir(), "cofferdam-networks-"));
  manager = open();
  await manager.initialize();
});
afterEach(async () => {
  await manager?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

async function container(networkMode: string, script: string): Promise<string> {
  const body = { Image: image, Entrypoint: ["/bin/sh", "-c"], Cmd: [script], HostConfig: { NetworkMode: networkMode } };
  return (await engine.containers.create(body)).Id;
}

/** What a busybox in the container's network says. */
async function inside(id: string, ...command: readonly string[]): Promise<string> {
  const { State } = await engine.containers.inspect(id);
  const child = spawn("nsenter", ["--net", "-t", String(State.Pid), "timeout", "3", "/bin/busybox", ...command], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(child, "close");
  return text.trim();
}

const get = (host: string): readonly string[] => ["wget", "-q", "-O", "-", `http://${host}/`];

describe("a job's network", () => {
  test("reaches what was allowed, by name or address, and nothing else; what it tried is on record; then nothing of it is left", async () => {
    const network = await manager.createIsolatedNetwork("job1", { allowedDomains: ["203.0.113.9"] });
    expect(network).toMatchObject({ mode: "moderate", subnet: "198.18.0.0/28", gateway: "198.18.0.1", subnetV6: undefined });
    const id = await container("none", "sleep 60");
    await engine.containers.start(id);
    expect(await manager.connectContainerToNetwork(id, "job1")).toMatchObject({ attached: "now", address: "198.18.0.2", detached: [] });
    expect(await inside(id, ...get("203.0.113.9"))).toBe("hello");
    const refused = once(manager.events, "networkViolation");
    expect(await inside(id, ...get("203.0.113.10"))).toMatch(/403/);
    expect((await refused)[0]).toMatchObject({ jobId: "job1", dst: "203.0.113.10", port: 80, reason: "not-allowed" });
    const traffic = await manager.monitorNetworkTraffic("job1");
    expect(traffic.connections.map(({ dst, verdict }) => `${dst} ${verdict}`).toSorted()).toEqual(["203.0.113.10 refused", "203.0.113.9 allowed"]);
    expect(traffic.sent.packets).toBeGreaterThan(8);
    expect(traffic).toMatchObject({ dropped: [] });
    expect(await manager.removeNetwork("job1")).toMatchObject({ jobId: "job1" });
    expect(await inside(id, "ip", "link")).not.toContain("eth0");
    expect(await manager.removeNetwork("job1")).toBeUndefined();
    await engine.containers.remove(id, { force: true });
    expect(audited.map(({ action }) => action)).toEqual(["NetworkCreated", "NetworkConnected", "NetworkViolation", "NetworkRemoved"]);
  });

  test("rules change at once: what is not allowed any more ends; a bad rule changes nothing", async () => {
    await manager.createIsolatedNetwork("job1", { allowedDomains: ["203.0.113.9:7000"] });
    const id = await container("none", "sleep 60");
    await engine.containers.start(id);
    await manager.connectContainerToNetwork(id, "job1");
    const { State } = await engine.containers.inspect(id);
    const open = spawn("nsenter", ["--net", "-t", String(State.Pid), "/bin/busybox", "nc", "203.0.113.9", "7000"], { stdio: ["pipe", "ignore", "ignore"] });
    await expect.poll(async () => (await manager.monitorNetworkTraffic("job1")).connections.length).toBe(1);
    await expect(manager.applyNetworkPolicies("job1", { egress: [{ to: "exa mple" }] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(manager.applyNetworkPolicies("job1", { ingress: [{ from: "github.com" }] })).rejects.toThrow(/listens on nothing/);
    expect(open.exitCode).toBeNull();
    const ended = once(open, "exit");
    expect(await manager.applyNetworkPolicies("job1", { egress: [{ to: "203.0.113.10", ports: [80] }] })).toMatchObject({ cut: 1 });
    await ended;
    expect(await inside(id, ...get("203.0.113.9"))).toMatch(/403/);
    expect(await inside(id, ...get("203.0.113.10"))).toBe("hello");
    await engine.containers.remove(id, { force: true });
  });

  test("a container that runs is taken out of its other networks; one that does not is moved when it starts", async () => {
    const other = await engine.networks.create({ Name: "other", IPAM: { Config: [{ Subnet: "10.77.0.0/24" }] } });
    await manager.createIsolatedNetwork("job1", { allowedDomains: ["203.0.113.9"] });
    const running = await container("other", "sleep 60");
    await engine.containers.start(running);
    expect(await inside(running, "ip", "address")).toContain("10.77.0.");
    expect(await manager.connectContainerToNetwork(running, "job1", { names: ["db"] })).toMatchObject({ detached: ["other"], attached: "now" });
    const later = await container("other", "sleep 60");
    expect(await manager.connectContainerToNetwork(later, "job1")).toMatchObject({ detached: ["other"], attached: "at-start" });
    await engine.containers.start(later);
    await expect.poll(() => inside(later, "ip", "address")).toContain("198.18.0.3/28");
    for (const id of [running, later]) expect(await inside(id, "ip", "address")).not.toContain("10.77.0.");
    expect(await inside(later, "nslookup", "db", "198.18.0.1")).toContain("198.18.0.2");
    // The engine's networks are closed whatever a rule says.
    await manager.applyNetworkPolicies("job1", { egress: [{ to: "10.77.0.0/24" }] });
    expect(await inside(later, ...get("10.77.0.1"))).toMatch(/403/);
    expect(await manager.disconnectContainer(later)).toBe(1);
    expect(await inside(later, "ip", "link")).not.toContain("eth0");
    for (const id of [running, later]) await engine.containers.remove(id, { force: true });
    await engine.networks.remove(other);
    const host = await container("host", "sleep 60");
    await expect(manager.connectContainerToNetwork(host, "job1")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await engine.containers.remove(host, { force: true });
  });
});

describe("many at once", () => {
  test("subnets are unique between managers of one store; ready networks are taken first, and made up for", async () => {
    const store = new SqliteStore({ path: join(folder, "networks.db") });
    await using one = open({ store, ready: 3, ranges: ["198.18.0.0/25"] });
    await using other = open({ store, ranges: ["198.18.0.0/25"] });
    await one.initialize();
    await one.ready();
    await other.initialize();
    const made = await Promise.all(["a", "b", "c", "d"].map((jobId, at) => (at % 2 === 0 ? one : other).createIsolatedNetwork(jobId)));
    await one.ready();
    expect(new Set(made.map(({ subnet }) => subnet)).size).toBe(4);
    await expect(one.createIsolatedNetwork("b")).rejects.toMatchObject({ code: "CONFLICT" });
    // Eight subnets in all: four jobs, three kept ready, one left.
    await other.createIsolatedNetwork("e");
    await expect(other.createIsolatedNetwork("f")).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    await other.removeNetwork("e");
    await other.createIsolatedNetwork("f");
    await one.close();
    await other.close();
    expect(await store.read((tx) => tx.all("SELECT * FROM networks"))).toEqual([]);
    await store.close();
  });

  test("what a killed process had is taken back, and named", async () => {
    const store = new SqliteStore({ path: join(folder, "networks.db") });
    await using first = open({ store });
    await first.initialize();
    const gone = JSON.stringify({ ...JSON.parse(String((await ownerOf(store, first)) ?? "{}")), pid: 2 ** 22 - 1 });
    await store.write((tx) => tx.run("INSERT INTO networks (first, job_id, owner, at) VALUES (?, ?, ?, ?)", [3_323_068_416 + 16, "left", gone, 0]));
    await using second = open({ store });
    expect(await second.initialize()).toEqual(["left"]);
    await second.close();
    await first.close();
    await store.close();
  });

  async function ownerOf(store: SqliteStore, of: NetworkIsolationManager): Promise<unknown> {
    await of.createIsolatedNetwork("mine");
    return (await store.read((tx) => tx.get("SELECT owner FROM networks")))?.["owner"];
  }
});

describe("what is not there, or goes wrong", () => {
  test("the helper dies: every job's network is gone and said to be; the next job has one", async () => {
    await manager.createIsolatedNetwork("job1", { allowedDomains: ["203.0.113.9"] });
    const id = await container("none", "sleep 60");
    await engine.containers.start(id);
    await manager.connectContainerToNetwork(id, "job1");
    const lost = once(manager.events, "networkLost");
    const [, helper] = /\/proc\/(\d+)\//.exec(manager.linksPath("job1")) ?? [];
    process.kill(Number(helper), "SIGKILL");
    expect((await lost)[0]).toMatchObject({ jobId: "job1" });
    await expect.poll(() => inside(id, "ip", "link")).not.toContain("eth0");
    await expect(manager.connectContainerToNetwork(id, "job1")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(await manager.removeNetwork("job1")).toMatchObject({ notMeasured: expect.any(String) });
    await manager.createIsolatedNetwork("job1", { allowedDomains: ["203.0.113.9"] });
    await manager.connectContainerToNetwork(id, "job1");
    expect(await inside(id, ...get("203.0.113.9"))).toBe("hello");
    await engine.containers.remove(id, { force: true });
  });

  test("options and jobs that contradict themselves, or are nothing", async () => {
    expect(() => new NetworkIsolationManager(engine, { enableDNSFiltering: false })).toThrow(/cannot be off/);
    expect(() => new NetworkIsolationManager(engine, { ranges: ["198.18.0.1/15"] })).toThrow(/after its prefix/);
    const misspelt = { isolationMode: "strict", allowedDomain: [] } as const;
    expect(() => new NetworkIsolationManager(engine, misspelt)).toThrow(/allowedDomains/);
    expect(() => new NetworkIsolationManager(engine, { customDNS: ["dns.example"] })).toThrow(/name server/);
    await expect(new NetworkIsolationManager(engine).createIsolatedNetwork("job1")).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
    await expect(manager.createIsolatedNetwork("job1", { allowInternet: true, isolationMode: "strict" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(manager.createIsolatedNetwork("../job1")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(manager.createIsolatedNetwork("job1", { allowedDomains: ["http://example.org/"] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(manager.connectContainerToNetwork("nothing", "job1")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await manager.createIsolatedNetwork("job1");
    await expect(manager.connectContainerToNetwork("nothing", "job1")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(manager.attachProcess("job1", { pid: process.pid, started: startOf(process.pid) ?? "" })).rejects.toThrow(/host's network/);
    await expect(manager.attachProcess("job1", { pid: 1, started: "0" }, { names: ["Db.example"] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(readFileSync("/proc/net/dev", "utf8")).not.toMatch(/\bp1:/);
  });
});

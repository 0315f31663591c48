/**
 * Networks of jobs against somebody inside who knows how they are made. Every attempt is first shown to work on a plain bridge
 * (its marker arrives), then tried from a job's network, where nothing of it may be seen on any wire but what was allowed.
 */
import type { ChildProcess } from "node:child_process";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineClient } from "../../src/engine/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { busyboxImage } from "../world/images.ts";
import { has, requires } from "../world/needs.ts";
import { ALLOWED, ATTACKS, type Attack, type Seat } from "./network/attacks.ts";
import { HOST, macAt, PLAIN, type Sniffer, Spaces } from "./network/spaces.ts";

const PROGRAM = fileURLToPath(new URL("network/manager-process.ts", import.meta.url));
const RULES = ["allowed.example", "*.wild.example", "good.wild.example:123/udp"];

/** A manager in the host's namespace. */
class Manager {
  readonly child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: ((line: { answer?: unknown; error?: string; left?: readonly string[]; lost?: unknown }) => void)[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    if (child.stdout === null) throw new Error("no output");
    this.#lines = createInterface({ input: child.stdout });
    this.#lines.on("line", (line) => {
      const said = JSON.parse(line);
      if (!("lost" in said)) this.#waiting.shift()?.(said);
    });
  }

  static async start(database: string, options: object = {}): Promise<Manager & { readonly left: readonly string[] }> {
    const words = [process.execPath, PROGRAM, docker.socketPath, database, JSON.stringify({ customDNS: ["203.0.113.53"], ...options })];
    const manager = new Manager(await spaces.inHost(words));
    const { left = [] } = await new Promise<{ left?: readonly string[] }>((resolve) => manager.#waiting.push(resolve));
    return Object.assign(manager, { left });
  }

  async call<T>(call: string, ...args: readonly unknown[]): Promise<T> {
    const answer = new Promise<{ answer?: unknown; error?: string }>((resolve) => this.#waiting.push(resolve));
    this.child.stdin?.write(`${JSON.stringify({ call, args })}\n`);
    const { answer: found, error } = await answer;
    if (error !== undefined) throw new Error(error);
    return found as T;
  }

  async kill(): Promise<void> {
    const exit = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await exit;
  }
}

let docker: TestDocker;
let engine: EngineClient;
let spaces: Spaces;
let folder: string;
let image: string;
let wires: { readonly internet: Sniffer; readonly host: Sniffer };
const able = has("docker") && has("network");

beforeAll(async () => {
  if (!able) return;
  folder = mkdtempSync(join(tmpdir(), "cofferdam-network-"));
  docker = await startDocker();
  engine = new EngineClient(docker.socketPath);
  spaces = await Spaces.open(folder);
  image = await busyboxImage(engine, { files: { attacker: readFileSync(spaces.attacker) } });
  wires = await spaces.serve();
});
afterAll(async () => {
  await spaces?.[Symbol.asyncDispose]();
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

const CAPABILITIES: Readonly<Record<"plain" | NonNullable<Attack["as"]>, readonly string[]>> = { plain: [], raw: ["NET_RAW"], admin: ["NET_ADMIN", "NET_RAW"] };

async function container(kind: keyof typeof CAPABILITIES): Promise<{ readonly id: string; readonly pid: number }> {
  const HostConfig = { NetworkMode: "none", CapDrop: ["ALL"], CapAdd: CAPABILITIES[kind] };
  const { Id } = await engine.containers.create({ Image: image, Entrypoint: ["/bin/sleep"], Cmd: ["900"], HostConfig });
  await engine.containers.start(Id);
  return { id: Id, pid: (await engine.containers.inspect(Id)).State.Pid };
}

/** Runs the attacker inside a container. @returns what it said, by number. */
async function inside(id: string, lines: readonly string[]): Promise<ReadonlyMap<number, string>> {
  const exec = await engine.execs.create(id, { Cmd: ["/attacker", "run", lines.join("\n")], AttachStdout: true, AttachStderr: true });
  const attachment = await engine.execs.start(exec, { tty: false });
  let text = "";
  for await (const { bytes } of attachment.output) text += bytes.toString();
  return new Map(text.split("\n").flatMap((line) => (/^\d+ /.test(line) ? [[Number.parseInt(line, 10), line.replace(/^\d+ /, "")] as const] : [])));
}

/** Numbers of attacks and of seats, so that no marker is used twice. */
function markerOf(attack: number, seat: number): string {
  return `MRK${seat}${String(attack).padStart(2, "0")}`;
}

/** All attacks of a kind of container, each once; NET_ADMIN's change the network for those that follow, so that they are last. */
async function attackFrom(id: string, kind: keyof typeof CAPABILITIES, seat: Seat, number: number): Promise<void> {
  const lines = ATTACKS.flatMap((attack, at) =>
    (attack.as ?? "plain") === kind ? attack.lines(seat, markerOf(at, number)).map((line, part) => `${at * 10 + part} ${line}`) : [],
  );
  await inside(id, lines);
}

/** What must not have been seen anywhere. */
function escaped(number: number, sniffers: readonly Sniffer[]): string[] {
  return ATTACKS.flatMap(({ what, toAllowed }, at) => {
    const places = sniffers.flatMap(({ seen }) => [...(seen.get(markerOf(at, number).slice(3)) ?? [])]);
    const bad = places.filter((place) => !(toAllowed === true && place === ALLOWED));
    return bad.length === 0 ? [] : [`${what}: seen on the way to ${[...new Set(bad)].join(", ")}`];
  });
}

test.skipIf(!able)("at least 35 attempts, one with NET_RAW and one with NET_ADMIN among them", () => {
  expect(ATTACKS.length).toBeGreaterThanOrEqual(35);
  for (const kind of ["raw", "admin"]) expect(ATTACKS.some(({ as }) => as === kind)).toBe(true);
});

describe("somebody inside", () => {
  test("on a plain bridge every attempt arrives", async (context) => {
    requires(context, "network");
    requires(context, "docker");
    const other = await container("plain");
    spaces.plug(other.pid, 40);
    await spaces.listen(other.pid, 7000);
    const otherWire = await spaces.sniff(other.pid);
    const seats: { readonly id: string; readonly kind: keyof typeof CAPABILITIES; readonly seat: Seat }[] = [];
    for (const [at, kind] of (["plain", "raw", "admin"] as const).entries()) {
      const { id, pid } = await container(kind);
      spaces.plug(pid, 10 + at);
      const seat = {
        ...{ address: `${PLAIN.prefix}${10 + at}`, mac: macAt(10 + at), gateway: PLAIN.gateway, gatewayMac: PLAIN.mac, dns: "203.0.113.53" },
        other: { address: `${PLAIN.prefix}40`, mac: macAt(40), gateway: PLAIN.gateway },
      };
      seats.push({ id, kind, seat });
    }
    const wire = { internet: wires.internet, host: wires.host, other: otherWire };
    const missing = (): string[] =>
      ATTACKS.flatMap(({ what, where }, at) => (wire[where].seen.has(markerOf(at, 1).slice(3)) ? [] : [`${what}: not seen at ${where}`]));
    // A busy machine may miss one: that it can arrive is what counts.
    const attack = async (): Promise<readonly string[]> => {
      for (const { id, kind, seat } of seats) await attackFrom(id, kind, seat, 1);
      return missing();
    };
    await expect.poll(attack, { timeout: 60_000, interval: 1000 }).toEqual([]);
  });

  test.each(["moderate", "strict"] as const)("in a job's network (%s) nothing arrives but what was allowed, and it is on record", async (mode) => {
    if (!able) return;
    const number = mode === "moderate" ? 2 : 3;
    const manager = await Manager.start(join(folder, `${mode}.db`), { isolationMode: mode });
    const other = await container("plain");
    await manager.call("createIsolatedNetwork", "other", {});
    await manager.call("connectContainerToNetwork", other.id, "other");
    await spaces.listen(other.pid, 7000);
    const sniffers = [wires.internet, wires.host, await spaces.sniff(other.pid)];
    const network = await manager.call<{ gateway: string }>("createIsolatedNetwork", "job", { allowedDomains: RULES });
    const otherNetwork = await manager.call<{ mode: string }>("monitorNetworkTraffic", "other");
    expect(otherNetwork).toMatchObject({ jobId: "other" });
    for (const kind of ["plain", "raw", "admin"] as const) {
      const { id } = await container(kind);
      const { address } = await manager.call<{ address: string }>("connectContainerToNetwork", id, "job");
      const mac = `02:00:${address
        .split(".")
        .map((part) => Number(part).toString(16).padStart(2, "0"))
        .join(":")}`;
      const seat = {
        ...{ address, mac, gateway: network.gateway, dns: network.gateway },
        gatewayMac: `02:00:${network.gateway
          .split(".")
          .map((part) => Number(part).toString(16).padStart(2, "0"))
          .join(":")}`,
        other: { address: "198.18.0.2", mac: "02:00:c6:12:00:02", gateway: "198.18.0.1" },
      };
      // That the way is open for what is allowed, and that the wires are looked at.
      const said = await inside(id, [
        `1 tcp 4 203.0.113.200 80 ${Buffer.from(`GET /MRK${number}99 HTTP/1.1\r\nHost: allowed.example\r\n\r\n`).toString("hex")}`,
      ]);
      expect(said.get(1)).toBe("HTTP/1.1 200 OK");
      await attackFrom(id, kind, seat, number);
    }
    await expect.poll(() => [...(wires.internet.seen.get(`${number}99`) ?? [])]).toEqual([ALLOWED]);
    // Those that may go to the allowed server did: what is refused is not refused by accident.
    for (const [at, { toAllowed }] of ATTACKS.entries())
      if (toAllowed === true) expect([...(wires.internet.seen.get(markerOf(at, number).slice(3)) ?? [])]).toEqual([ALLOWED]);
    expect(escaped(number, sniffers)).toEqual([]);
    const { connections, dns, dropped } = await manager.call<{
      connections: { dst: string; verdict: string; rule: string }[];
      dns: { verdict: string }[];
      dropped: { kind: string }[];
    }>("monitorNetworkTraffic", "job");
    const refused = connections.filter(({ verdict }) => verdict === "refused");
    expect(refused.some(({ dst, rule }) => dst === "169.254.169.254" && rule === "metadata")).toBe(true);
    expect(refused.some(({ dst, rule }) => dst === HOST && rule === "host")).toBe(true);
    expect(dns.some(({ verdict }) => verdict === "refused")).toBe(true);
    expect(dropped.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["source", "arp", "frame", "icmp", "protocol", "multicast"]));
    for (const { Id } of await engine.containers.list({ all: true })) await engine.containers.remove(Id, { force: true });
    await manager.kill();
  });
});

describe("what dies, and what else happens on the host", () => {
  const asked = (marker: string): string =>
    `1 tcp 4 203.0.113.200 80 ${Buffer.from(`GET /${marker} HTTP/1.1\r\nHost: allowed.example\r\n\r\n`).toString("hex")}`;

  test("kill -9 of the manager: its jobs reach nothing, nothing of theirs is left, the next one says whose it was", async (context) => {
    requires(context, "network");
    requires(context, "docker");
    const database = join(folder, "killed.db");
    const first = await Manager.start(database, { ready: 2 });
    await first.call("createIsolatedNetwork", "job", { allowedDomains: RULES });
    const { id, pid } = await container("plain");
    await first.call("connectContainerToNetwork", id, "job");
    expect((await inside(id, [asked("MRK400")])).get(1)).toBe("HTTP/1.1 200 OK");
    const before = execFileSync("nsenter", [`--net=${spaces.hostPath}`, "nft", "list", "ruleset"], { encoding: "utf8" });
    expect(before).toBe("");
    await first.kill();
    await expect.poll(() => readFileSync(`/proc/${pid}/net/dev`, "utf8")).not.toContain("eth0");
    expect((await inside(id, [asked("MRK401")])).get(1)).toBe("Network is unreachable");
    expect(wires.internet.seen.has("401")).toBe(false);
    const second = await Manager.start(database);
    expect(second.left).toEqual(["job"]);
    await second.call("createIsolatedNetwork", "job", { allowedDomains: RULES });
    await second.call("connectContainerToNetwork", id, "job");
    expect((await inside(id, [asked("MRK402")])).get(1)).toBe("HTTP/1.1 200 OK");
    await second.kill();
  });

  test("the engine is killed and starts again, the host's tables are flushed: the job has what it had, and no more", async (context) => {
    requires(context, "network");
    requires(context, "docker");
    const manager = await Manager.start(join(folder, "restart.db"));
    await manager.call("createIsolatedNetwork", "job", { allowedDomains: RULES });
    const { id, pid } = await container("plain");
    await manager.call("connectContainerToNetwork", id, "job");
    const say = (marker: string, host: string): string => {
      const line = `1 tcp 4 203.0.113.200 80 ${Buffer.from(`GET /${marker} HTTP/1.1\r\nHost: ${host}\r\n\r\n`).toString("hex")}`;
      return execFileSync("nsenter", ["--net", "-t", String(pid), spaces.attacker, "run", line], { encoding: "utf8" });
    };
    await docker.signal("SIGKILL");
    execFileSync("nsenter", [`--net=${spaces.hostPath}`, "nft", "flush", "ruleset"]);
    expect(say("MRK410", "allowed.example")).toContain("200 OK");
    expect(say("MRK411", "evil.example")).toContain("403");
    // An engine without live-restore ends what ran when it starts again; the network of the job outlives that.
    await docker.restart();
    const next = await container("plain");
    await manager.call("connectContainerToNetwork", next.id, "job");
    expect((await inside(next.id, [asked("MRK412")])).get(1)).toBe("HTTP/1.1 200 OK");
    expect((await inside(next.id, [asked("MRK413").replace(Buffer.from("allowed").toString("hex"), Buffer.from("refused").toString("hex"))])).get(1)).toContain(
      "403",
    );
    expect(wires.internet.seen.has("411") || wires.internet.seen.has("413")).toBe(false);
    await manager.kill();
  });

  test("10,000 rules: in force at once, and changed while it runs", async (context) => {
    requires(context, "network");
    requires(context, "docker");
    const manager = await Manager.start(join(folder, "rules.db"));
    const many = Array.from({ length: 9_999 }, (_, at) => `host-${at}.example`);
    await manager.call("createIsolatedNetwork", "job", { allowedDomains: many });
    const { id } = await container("plain");
    await manager.call("connectContainerToNetwork", id, "job");
    expect((await inside(id, [asked("MRK420")])).get(1)).toBe("HTTP/1.1 403 Forbidden");
    await manager.call("applyNetworkPolicies", "job", { egress: [...many, "allowed.example"].map((to) => ({ to })) });
    expect((await inside(id, [asked("MRK421")])).get(1)).toBe("HTTP/1.1 200 OK");
    await manager.call("applyNetworkPolicies", "job", { egress: many.map((to) => ({ to })) });
    expect((await inside(id, [asked("MRK422")])).get(1)).toBe("HTTP/1.1 403 Forbidden");
    expect([wires.internet.seen.has("420"), wires.internet.seen.has("422")]).toEqual([false, false]);
    await manager.kill();
  });
});

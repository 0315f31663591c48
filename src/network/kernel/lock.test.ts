/** Real namespaces: what a process in a job's network can do, and what it finds at the other end. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import type { Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import { startOf } from "../../foundation/index.ts";
import { Hands } from "./hands.ts";
import { Lock, type ProcessPlace } from "./lock.ts";
import { rangeOf, subnetOf, subnetRange } from "./plan.ts";

const RANGES = [rangeOf("198.18.0.0/15")];
let hands: Hands;
let lock: Lock;
const jobs: ChildProcess[] = [];

/** A process in a network namespace without anything in it. */
async function bareProcess(): Promise<ProcessPlace> {
  const child = spawn("unshare", ["--net", "sh", "-c", "echo ready; exec sleep 600"], { stdio: ["ignore", "pipe", "inherit"] });
  jobs.push(child);
  await once(child.stdout, "data");
  const pid = child.pid ?? 0;
  return { pid, started: startOf(pid) ?? "" };
}

/** What a program in there writes, and its exit. */
async function inside({ pid }: ProcessPlace, ...command: readonly string[]): Promise<string> {
  const child = spawn("nsenter", [`--net=/proc/${pid}/ns/net`, ...command], { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const [code] = await once(child, "close");
  return `${text.trim()} (${String(code)})`;
}

/** Node programs: no tool of the system is needed inside. */
async function node(place: ProcessPlace, program: string): Promise<string> {
  return await inside(place, process.execPath, "-e", program);
}

function connect(host: string, port: number): string {
  return `const c=require("net").connect(${port},"${host}");c.setTimeout(1500,()=>{console.log("timeout");process.exit()});c.on("error",e=>console.log(e.code));c.on("data",d=>process.stdout.write(d))`;
}

/** Answers every connection with where it was meant to go. */
function answerAll(): void {
  for (const server of lock.sockets.tcp)
    server.on("connection", (socket: Socket) => {
      socket.on("error", () => undefined);
      socket.end(`to ${socket.localAddress} ${socket.localPort} from ${socket.remoteAddress}`);
    });
}

async function closeLock(which: Lock): Promise<void> {
  for (const server of which.sockets.tcp) server.close();
  for (const socket of which.sockets.dns) socket.close();
  await which.close();
}

beforeEach(async (context) => {
  requires(context, "network");
  hands = await Hands.start();
  lock = await Lock.open(hands, 0, subnetOf(subnetRange(RANGES, 0), 0, "fd12:3456:789a"));
});
afterEach(async () => {
  await closeLock(lock).catch(() => undefined);
  await hands.end();
  for (const job of jobs.splice(0)) job.kill("SIGKILL");
});

describe("what a job sends ends here, wherever it was addressed to", () => {
  test("TCP: any address, any port, the gateway's own, IPv6; not what is not there", async () => {
    answerAll();
    const job = await bareProcess();
    const { v4, v6 } = await lock.attach(job);
    expect([v4, v6]).toEqual(["198.18.0.2", "fd12:3456:789a::2"]);
    expect(await node(job, connect("203.0.113.9", 443))).toBe("to 203.0.113.9 443 from 198.18.0.2 (0)");
    expect(await node(job, connect("169.254.169.254", 80))).toBe("to 169.254.169.254 80 from 198.18.0.2 (0)");
    expect(await node(job, connect("198.18.0.1", 22))).toBe("to 198.18.0.1 22 from 198.18.0.2 (0)");
    expect(await node(job, connect("198.18.0.1", 61_000))).toBe("to 198.18.0.1 61000 from 198.18.0.2 (0)");
    expect(await node(job, connect("2001:db8::9", 65_535))).toBe("to 2001:db8::9 65535 from fd12:3456:789a::2 (0)");
    expect(await node(job, connect("127.0.0.1", 443))).toBe("ECONNREFUSED (0)");
    // Another address of its own subnet, where no container is: nobody is asked who has it.
    expect(await node(job, connect("198.18.0.5", 443))).toBe("timeout (0)");
  });

  test("datagrams: a flow is told once, answered from where it was sent to, and goes on in its own socket", async () => {
    const job = await bareProcess();
    await lock.attach(job);
    lock.sockets.onUdpFlow((flow) => {
      if (flow.destination.port !== 123) return;
      void flow.accept().then((socket) => {
        socket.on("message", (bytes) => socket.send(`again ${bytes.toString()}`));
        socket.send(`first ${flow.first.toString()} to ${flow.destination.address}`);
      });
    });
    const talk = (port: number): string =>
      `const s=require("dgram").createSocket("udp4");let n=0;s.on("message",(m,r)=>{console.log(m.toString(),r.address,r.port);if(n++)process.exit();s.send("b",${port},"203.0.113.9")});s.send("a",${port},"203.0.113.9");setTimeout(()=>{console.log("nothing");process.exit()},700)`;
    expect(await node(job, talk(123))).toBe("first a to 203.0.113.9 203.0.113.9 123\nagain b 203.0.113.9 123 (0)");
    expect(await node(job, talk(443))).toBe("nothing (0)");
  });

  test("names: port 53 of the gateway is a socket of ours; port 53 elsewhere is a flow like others", async () => {
    const job = await bareProcess();
    await lock.attach(job);
    const flows: string[] = [];
    lock.sockets.onUdpFlow(({ destination }) => void flows.push(`${destination.address} ${destination.port}`));
    const [dns] = lock.sockets.dns;
    dns?.on("message", (bytes, from) => dns.send(`asked ${bytes.toString()}`, from.port, from.address));
    const ask = (host: string): string =>
      `const s=require("dgram").createSocket("udp4");s.on("message",(m,r)=>{console.log(m.toString(),r.address,r.port);process.exit()});s.send("a",53,"${host}");setTimeout(()=>{console.log("nothing");process.exit()},700)`;
    expect(await node(job, ask("198.18.0.1"))).toBe("asked a 198.18.0.1 53 (0)");
    expect(await node(job, ask("192.0.2.53"))).toBe("nothing (0)");
    expect(flows).toEqual(["192.0.2.53 53"]);
  });
});

describe("what is not let in", () => {
  test("a quiet job has nothing dropped; echo requests and others' addresses are counted", async () => {
    answerAll();
    const job = await bareProcess();
    await lock.attach(job);
    await node(job, connect("203.0.113.9", 443));
    const { sent, received, dropped } = await lock.counters();
    expect(sent.packets).toBeGreaterThan(3);
    expect(received.bytes).toBeGreaterThan(100);
    expect(dropped).toEqual({
      ...{ source: { packets: 0, bytes: 0 }, arp: { packets: 0, bytes: 0 }, frame: { packets: 0, bytes: 0 } },
      ...{ icmp: { packets: 0, bytes: 0 }, protocol: { packets: 0, bytes: 0 }, multicast: { packets: 0, bytes: 0 } },
    });
    // As root of its namespace: what a container with NET_ADMIN may do.
    await inside(job, "ip", "address", "add", "198.18.0.3/28", "dev", "eth0");
    const from = `{host:"203.0.113.9",port:80,localAddress:"198.18.0.3"}`;
    expect(await node(job, connect("203.0.113.9", 80).replace('80,"203.0.113.9"', from))).toBe("timeout (0)");
    const spoofed = (await lock.counters()).dropped;
    expect(spoofed.source.packets).toBeGreaterThan(0);
    await inside(job, "ip", "link", "set", "eth0", "address", "02:00:00:00:00:99");
    await inside(job, "ip", "neigh", "replace", "198.18.0.1", "lladdr", "02:00:c6:12:00:01", "dev", "eth0");
    expect(await node(job, connect("203.0.113.9", 80))).toBe("timeout (0)");
    expect((await lock.counters()).dropped.source.packets).toBeGreaterThan(spoofed.source.packets);
    // Without a neighbour that is set, its kernel asks: nobody hears it.
    await inside(job, "ip", "neigh", "del", "198.18.0.1", "dev", "eth0");
    await node(job, connect("203.0.113.9", 80));
    expect((await lock.counters()).dropped.arp.packets).toBeGreaterThan(0);
  });

  test("only the network of that very process, and only one without interfaces", async () => {
    const job = await bareProcess();
    await expect(lock.attach({ ...job, started: "1" })).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await expect(lock.attach({ pid: process.pid, started: startOf(process.pid) ?? "" })).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    execFileSync("nsenter", [`--net=/proc/${job.pid}/ns/net`, "ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1"]);
    await expect(lock.attach(job)).rejects.toThrow(/other[01]/);
    expect(lock.links).toEqual([]);
  });
});

describe("containers of one job", () => {
  test("see each other, by their addresses alone; cut is cut for good", async () => {
    const [one, two] = [await bareProcess(), await bareProcess()];
    const [first, second] = [await lock.attach(one), await lock.attach(two)];
    expect([first.v4, second.v4]).toEqual(["198.18.0.2", "198.18.0.3"]);
    const server = spawn(
      "nsenter",
      [`--net=/proc/${two.pid}/ns/net`, process.execPath, "-e", 'require("net").createServer(c=>c.end("it is me")).listen(5432,()=>console.log("up"))'],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    jobs.push(server);
    await once(server.stdout, "data");
    expect(await node(one, connect("198.18.0.3", 5432))).toBe("it is me (0)");
    await lock.cut(second.port);
    expect(await node(one, connect("198.18.0.3", 5432))).toBe("timeout (0)");
    expect(await inside(two, "ip", "-brief", "link")).toMatch(/^lo\b[^\n]*$/);
    // The place is free again.
    expect((await lock.attach(two)).v4).toBe("198.18.0.3");
    expect(await node(one, connect("198.18.0.3", 5432))).toBe("it is me (0)");
  });

  test("as many as the subnet has addresses, and no more", async () => {
    for (let at = 0; at < 13; at++) await lock.attach(await bareProcess());
    await expect(lock.attach(await bareProcess())).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  });
});

describe("nothing stays", () => {
  test("the hands die: all networks go, what was attached has no interface, and everybody is told", async () => {
    const job = await bareProcess();
    await lock.attach(job);
    const gone = once(hands.events, "gone");
    process.kill(hands.pid, "SIGKILL");
    expect(String((await gone)[0])).toContain("cofferdam-net ended");
    for (const server of lock.sockets.tcp) server.close();
    for (const socket of lock.sockets.dns) socket.close();
    await expect.poll(() => inside(job, "ip", "-brief", "link")).toMatch(/^lo\b[^\n]*$/);
    await expect(lock.counters()).rejects.toThrow();
    await expect(lock.attach(job)).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
  });

  test("networks are made and removed again and again; no namespace of theirs is left", async () => {
    const own = readlinkSync("/proc/self/ns/net");
    for (let at = 1; at <= 20; at++) {
      const other = await Lock.open(hands, at, subnetOf(subnetRange(RANGES, at), at));
      expect(other.addresses).toMatchObject({ v4: `198.18.${Math.floor(at / 16)}.${(at % 16) * 16 + 1}`, v6: undefined });
      await closeLock(other);
    }
    const spaces = readdirSync(`/proc/${hands.pid}/fd`).flatMap((fd) => {
      try {
        return readlinkSync(`/proc/${hands.pid}/fd/${fd}`);
      } catch {
        return [];
      }
    });
    expect(spaces.filter((target) => target.startsWith("net:") && target !== own)).toHaveLength(1);
    await expect(hands.close(7)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  });
});

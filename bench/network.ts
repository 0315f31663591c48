/**
 * Networks of jobs. Traffic: a client in a job's network against one on a plain bridge of the same host, both to one origin in
 * another namespace (a page of 11 bytes, 256 MB in one answer; 16 connections where they are kept). Making and removing: against
 * the engine's own calls. Rules: while 500 networks are alive.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { EngineClient } from "../dist/engine/index.js";
import { startOf } from "../dist/foundation/index.js";
import { NetworkIsolationManager } from "../dist/network/index.js";
import { Spaces } from "../test/faults/network/spaces.ts";
import { startDocker } from "../test/world/docker.ts";
import { interleaved, median, print, printLimit, timed } from "./measure.ts";

const BULK = 256_000_000;
const ALIVE = 500;
const program = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-network-"));
const children: ChildProcess[] = [];

await using world = await startDocker();
await using engine = new EngineClient(world.socketPath);
await using spaces = await Spaces.open(folder);
try {
  await lives();
  await rules();
  await traffic();
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true });
}

async function lives(): Promise<void> {
  await using manager = new NetworkIsolationManager(engine, { ready: 16 });
  await manager.initialize();
  await manager.ready();
  let count = 0;
  const ours = async (): Promise<number> => {
    // What is made up for in the background is not part of a job's own time, and must not disturb the peer's.
    await manager.ready();
    return await timed(async () => {
      const id = `life${count++}`;
      await manager.createIsolatedNetwork(id, { allowedDomains: ["allowed.example"] });
      await manager.removeNetwork(id);
    });
  };
  const plain = async (): Promise<number> =>
    await timed(
      async () => await engine.networks.remove(await engine.networks.create({ Name: `life${count++}`, IPAM: { Config: [{ Subnet: "10.88.0.0/28" }] } })),
    );
  const [life = 0, peer = 0] = await interleaved(
    [
      { name: "ours", run: ours },
      { name: "engine", run: plain },
    ],
    15,
  );
  print({ name: "network made and removed, one ready, against the engine's calls", ours: life, peer, unit: "ms", goal: { kind: "at-most", ratio: 0.5 } });
}

async function rules(): Promise<void> {
  await using manager = new NetworkIsolationManager(engine);
  await manager.initialize();
  const took = await timed(async () => {
    for (let at = 0; at < ALIVE; at++) await manager.createIsolatedNetwork(`alive${at}`);
  });
  printLimit({ name: `network ${ALIVE} made, each`, ours: took / ALIVE, unit: "ms", most: 50 });
  const egress = Array.from({ length: 20 }, (_, at) => ({ to: `host-${at}.example`, ports: [443] }));
  const times: number[] = [];
  for (let at = 0; at < 100; at++) times.push(await timed(async () => await manager.applyNetworkPolicies(`alive${at * 5}`, { egress })));
  printLimit({ name: `network rules changed, ${ALIVE} alive, p50`, ours: median(times), unit: "ms", most: 15 });
}

async function traffic(): Promise<void> {
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=allowed.example", "-days", "2"];
  execFileSync("openssl", [...request, "-keyout", key, "-out", cert], { stdio: "ignore" });
  await spaces.serveWith([process.execPath, program("network-origin.ts"), key, cert]);
  const plain = await bare();
  spaces.plug(plain, 10);
  const job = await bare();
  const words = [
    process.execPath,
    program("../test/faults/network/manager-process.ts"),
    world.socketPath,
    join(folder, "networks.db"),
    '{"customDNS":["203.0.113.53"]}',
  ];
  const manager = await spaces.inHost(words);
  if (manager.stdout === null || manager.stdin === null) throw new Error("no pipes");
  const lines = createInterface({ input: manager.stdout });
  await once(lines, "line");
  const call = async (name: string, ...args: readonly unknown[]): Promise<string> => {
    const answer = once(lines, "line");
    manager.stdin?.write(`${JSON.stringify({ call: name, args })}\n`);
    return String((await answer)[0]);
  };
  const made = await call("createIsolatedNetwork", "job", { allowedDomains: ["allowed.example"] });
  const gateway = /"gateway":"([\d.]+)"/.exec(made)?.[1] ?? "";
  await call("attachProcess", "job", { pid: job, started: startOf(job) ?? "" });
  const figure =
    (pid: number, dns: string, what: string, amount: number): (() => Promise<number>) =>
    async () => {
      const { stdout } = await run("nsenter", [`--net=/proc/${pid}/ns/net`, process.execPath, program("network-client.ts"), what, dns, String(amount)]);
      return Number(stdout);
    };
  const compare = async (
    name: string,
    what: string,
    amount: number,
    unit: string,
    goal: { readonly kind: "at-most" | "at-least"; readonly ratio: number },
  ): Promise<void> => {
    const contenders = [
      { name: "ours", run: figure(job, gateway, what, amount) },
      { name: "plain", run: figure(plain, "203.0.113.53", what, amount) },
    ];
    for (const contender of contenders) await contender.run();
    const [ours = 0, peer = 0] = await interleaved(contenders, 5);
    print({ name: `network ${name}, against a plain bridge`, ours, peer, unit, goal });
  };
  await compare("new HTTPS request, p50 with its lookup", "new", 60, "ms", { kind: "at-most", ratio: 1.5 });
  await compare("bulk HTTP", "bulk", BULK, "MB/s", { kind: "at-least", ratio: 0.5 });
  await compare("bulk TLS", "bulk-tls", BULK, "MB/s", { kind: "at-least", ratio: 0.65 });
  await compare("requests on kept connections", "kept", 4000, "/s", { kind: "at-least", ratio: 0.85 });
  manager.kill("SIGKILL");
}

/** A process in a network without anything. */
async function bare(): Promise<number> {
  const child = spawn("unshare", ["--net", "sh", "-c", "echo up; exec sleep 900"], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  await once(child.stdout, "data");
  return child.pid ?? 0;
}

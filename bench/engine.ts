/**
 * A container's whole life - create, wait, start, exit, remove - through our client, dockerode, bare node:http and the docker
 * command, on a dockerd of the benchmark's own; then what one call costs. The engine's work is the same for all.
 */
import { execFile } from "node:child_process";
import { request } from "node:http";
import { promisify } from "node:util";
import Docker from "dockerode";
import { EngineClient } from "../dist/engine/index.js";
import { startDocker } from "../test/world/docker.ts";
import { busyboxImage } from "../test/world/images.ts";
import { interleaved, median, print, printLimit, timed } from "./measure.ts";

const LIVES = 20;
const CALLS = 200;
const run = promisify(execFile);

await using world = await startDocker();
const { socketPath } = world;
await using engine = new EngineClient(socketPath);
const dockerode = new Docker({ socketPath });
const Image = await busyboxImage(engine, { reference: "bench:1" });
const body = { Image, Cmd: ["true"], HostConfig: { NetworkMode: "none" } };

/** What a program does that has only Node: JSON out, JSON back. */
function bare(method: string, path: string, json?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const bytes = Buffer.from(json === undefined ? "" : JSON.stringify(json));
    const call = request(
      { socketPath, method, path: `/v1.41${path}`, headers: { "content-type": "application/json", "content-length": bytes.length } },
      (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece));
        response.on("end", () => {
          const text = Buffer.concat(pieces).toString("utf8");
          if ((response.statusCode ?? 500) >= 400) reject(new Error(text));
          else resolve(text === "" ? undefined : JSON.parse(text));
        });
      },
    );
    call.on("error", reject);
    call.end(bytes);
  });
}

function idOf(answer: unknown): string {
  if (typeof answer === "object" && answer !== null && "Id" in answer && typeof answer.Id === "string") return answer.Id;
  throw new Error("no id");
}

async function ourLife(): Promise<void> {
  const { Id } = await engine.containers.create(body);
  const { exit } = await engine.containers.startWait(Id, { condition: "next-exit" });
  await engine.containers.start(Id);
  await exit;
  await engine.containers.remove(Id);
}

async function bareLife(): Promise<void> {
  const id = idOf(await bare("POST", "/containers/create", body));
  const exit = bare("POST", `/containers/${id}/wait?condition=next-exit`);
  await bare("POST", `/containers/${id}/start`);
  await exit;
  await bare("DELETE", `/containers/${id}`);
}

async function dockerodeLife(): Promise<void> {
  const container = await dockerode.createContainer(body);
  const exit = container.wait({ condition: "next-exit" });
  await container.start();
  await exit;
  await container.remove();
}

const cli = (): Promise<unknown> => run("docker", ["--host", `unix://${socketPath}`, "run", "--rm", "--network", "none", "bench:1", "true"]);

const [ours = 0, floor = 0, peer = 0, command = 0] = await interleaved(
  [
    { name: "ours", run: () => timed(ourLife) },
    { name: "node:http", run: () => timed(bareLife) },
    { name: "dockerode", run: () => timed(dockerodeLife) },
    { name: "docker run", run: () => timed(cli) },
  ],
  LIVES,
);
print({ name: "engine life vs bare node:http", ours, peer: floor, unit: "ms", goal: { kind: "at-most", ratio: 1.1 } });
print({ name: "engine life vs dockerode", ours, peer, unit: "ms", goal: { kind: "at-most", ratio: 1.1 } });
print({ name: "engine life vs docker run", ours, peer: command, unit: "ms" });

const { Id } = await engine.containers.create(body);
async function cpuOf(call: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < CALLS; i++) await call();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
}
const samples: Record<"ours" | "bare" | "peer", number[]> = { ours: [], bare: [], peer: [] };
for (let round = 0; round < 7; round++) {
  samples.ours.push(await cpuOf(() => engine.containers.inspect(Id)));
  samples.bare.push(await cpuOf(() => bare("GET", `/containers/${Id}/json`)));
  samples.peer.push(await cpuOf(() => dockerode.getContainer(Id).inspect()));
}
print({ name: "engine inspect, cpu, vs bare node:http", ours: median(samples.ours), peer: median(samples.bare), unit: "us" });
print({ name: "engine inspect, cpu, vs dockerode", ours: median(samples.ours), peer: median(samples.peer), unit: "us" });

// A job that prints much is read at this rate; the log driver is off, so that it is the stream that is measured.
const MIB = 128;
const chatty = await engine.containers.create({
  Image,
  Cmd: ["sh", "-c", `dd if=/dev/zero bs=1M count=${MIB} 2>/dev/null`],
  HostConfig: { NetworkMode: "none", LogConfig: { Type: "none" } },
});
const attached = await engine.containers.attach(chatty.Id, { tty: false });
await engine.containers.start(chatty.Id);
let bytes = 0;
const ms = await timed(async () => {
  for await (const chunk of attached.output) bytes += chunk.bytes.length;
});
if (bytes !== MIB * 2 ** 20) throw new Error(`read ${bytes} bytes`);
printLimit({ name: `engine attach, ${MIB} MiB of output`, ours: ms, unit: "ms", most: 5000 });

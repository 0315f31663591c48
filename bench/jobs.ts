/**
 * A guarded job's whole life - context, network, create, attach, start, proof, watch, exit, remove, report - through the orchestrator
 * of one process, against the same steps of a plain container as raw engine calls, and against what people use for it: without any
 * network, and with one of its own, which plain calls make of a bridge of the engine. The dockerd is the
 * benchmark's own; the state directory lies on the disk of the temporary folder, with its syncs.
 */
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { EngineClient } from "../dist/engine/index.js";
import { SecurityOrchestrator } from "../dist/jobs/index.js";
import { loadPolicy } from "../dist/policy/index.js";
import { SecretManagementSystem } from "../dist/secrets/index.js";
import { startDocker } from "../test/world/docker.ts";
import { busyboxImage } from "../test/world/images.ts";
import { interleaved, print, printLimit, timed } from "./measure.ts";

const LIVES = 20;
const WARM = 3;
const run = promisify(execFile);
const NEVER = new AbortController().signal;

await using world = await startDocker();
const { socketPath } = world;
await using engine = new EngineClient(socketPath);
const dockerode = new Docker({ socketPath });
const Image = await busyboxImage(engine, { reference: "bench:1" });
const folder = join(world.mounts, "bench");
mkdirSync(folder, { mode: 0o700 });
const NETLESS = join(folder, "netless");
mkdirSync(NETLESS);
writeFileSync(join(NETLESS, "cofferdam.yaml"), "version: 1\njobs: {network: none}\n");
let secrets: SecretManagementSystem | undefined;
let count = 0;

type Secrets = { readonly files: Readonly<Record<string, string>> };

/** Jobs of one orchestrator, by the policy of a folder. */
async function guard(cwd: string): Promise<AsyncDisposable & { run(secrets?: Secrets): Promise<void> }> {
  const orchestrator = new SecurityOrchestrator(engine, {
    ...{ stateDir: join(cwd, "state"), policy: await loadPolicy({ cwd, env: {}, flags: { level: "low" } }) },
    secrets: ({ jobs }) => {
      secrets = new SecretManagementSystem({ backend: "memory", jobs });
      return secrets;
    },
  });
  await orchestrator.initialize();
  await secrets?.initialize();
  await secrets?.storeSecret("bench/token", "a value of thirty-two characters", { owner: "bench" });
  return {
    async run(given) {
      const job = { repository: "bench/jobs", image: Image, resources: { memory: "64MiB" } };
      const spec = { command: ["true"], ...(given === undefined ? {} : { secrets: given }) };
      const { verdict, leftBehind } = await orchestrator.runJob(`b${count++}`, job, spec, NEVER);
      if (verdict !== "passed" || leftBehind.length > 0) throw new Error(`a job of the benchmark is ${verdict}`);
    },
    [Symbol.asyncDispose]: async () => await orchestrator[Symbol.asyncDispose](),
  };
}

await using netless = await guard(NETLESS);
await using networked = await guard(folder);

const body = { Image, Cmd: ["true"], AttachStdout: true, AttachStderr: true, HostConfig: { NetworkMode: "none", Memory: 64 * 2 ** 20 } };

/** The same calls without a guard: nothing is decided, proven, watched, recorded or kept. */
async function raw(NetworkMode = "none"): Promise<void> {
  await engine.images.inspect(Image);
  const { Id } = await engine.containers.create({ ...body, HostConfig: { ...body.HostConfig, NetworkMode } });
  const { exit } = await engine.containers.startWait(Id, { condition: "next-exit" });
  const { output } = await engine.containers.attach(Id, { tty: false });
  await engine.containers.start(Id);
  await engine.containers.inspect(Id);
  for await (const _ of output);
  await exit;
  await engine.containers.remove(Id, { force: true, volumes: true });
}

async function rawWithNetwork(): Promise<void> {
  const id = await engine.networks.create({ Name: `bench${count++}`, IPAM: { Config: [{ Subnet: "10.88.0.0/28" }] } });
  await raw(id);
  await engine.networks.remove(id);
}

async function withDockerode(): Promise<void> {
  const container = await dockerode.createContainer(body);
  const stream = await container.attach({ stream: true, stdout: true, stderr: true });
  const wait = container.wait({ condition: "next-exit" });
  await container.start();
  stream.resume();
  await wait;
  await container.remove({ force: true, v: true });
}

async function withDocker(): Promise<void> {
  await run("docker", ["--host", `unix://${socketPath}`, "run", "--rm", "--network", "none", "--memory", "64m", "bench:1", "true"]);
}

const LIFE = {
  ours: async () => await netless.run(),
  secret: async () => await netless.run({ files: { TOKEN: "bench/token" } }),
  network: async () => await networked.run(),
  raw: async () => await raw(),
  rawWithNetwork,
  withDockerode,
  withDocker,
};
for (let i = 0; i < WARM; i++) for (const life of Object.values(LIFE)) await life();
const lives = Object.entries(LIFE).map(([name, life]) => ({ name, run: async () => await timed(life) }));
const [ours = 0, secret = 0, network = 0, plain = 0, plainNetwork = 0, node = 0, docker = 0] = await interleaved(lives, LIVES);
print({ name: "jobs a guarded job without network against raw engine calls", ours, peer: plain, unit: "ms", goal: { kind: "at-most", ratio: 1.1 } });
print({
  name: "jobs with a network of its own against raw engine calls",
  ours: network,
  peer: plainNetwork,
  unit: "ms",
  goal: { kind: "at-most", ratio: 0.75 },
});
printLimit({ name: "jobs a secret adds to a job", ours: secret - ours, unit: "ms", most: 15 });
print({ name: "jobs a guarded job against dockerode", ours, peer: node, unit: "ms" });
print({ name: "jobs a guarded job against docker run --rm", ours, peer: docker, unit: "ms" });

/**
 * Attacks from inside a container, on a real dockerd. Each is first shown to work in a plain container of the same image, else
 * it proves nothing; then the same program runs in a job's container and must fail. What this kernel lacks is skipped and said.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ContainerCreate, EngineClient } from "../../src/engine/index.ts";
import { containerProfile, HardenedContainer, type JobContainer, judgeCreateBody, makeJobFolder } from "../../src/jobs/container/index.ts";
import type { Level } from "../../src/policy/index.ts";
import { startDocker, type TestDocker } from "../world/docker.ts";
import { busyboxImage } from "../world/images.ts";
import { has, requires } from "../world/needs.ts";
import { ATTACKS, type ContainerAttack } from "./container/attacks.ts";

const LEVELS: readonly Level[] = ["low", "medium", "high", "paranoid"];
const NEVER = new AbortController().signal;
const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "x64";
const MEMORY = 64 * 2 ** 20;

let docker: TestDocker;
let engine: EngineClient;
let image: string;
let network: string;
let count = 0;

beforeAll(async () => {
  if (!has("docker") || !has("container")) return;
  docker = await startDocker();
  engine = new EngineClient({ socketPath: docker.socketPath });
  const program = compile();
  image = await busyboxImage(engine, {
    entries: [
      { path: "bin/attack", body: program, mode: 0o755 },
      { path: "bin/suid", body: program, mode: 0o4755 },
      { path: "run/", type: "5", mode: 0o777 },
    ],
  });
  network = await engine.networks.create({ Name: "attack-net", Internal: true });
});
afterAll(async () => {
  if (network !== undefined) await engine.networks.remove(network);
  await engine?.close();
  await docker?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "container");
});

function compile(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-attack-"));
  try {
    const source = fileURLToPath(new URL("container/attack.c", import.meta.url));
    execFileSync("cc", ["-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-o", join(folder, "attack"), source]);
    return readFileSync(join(folder, "attack"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function logs(id: string): Promise<string> {
  let text = "";
  for await (const { bytes } of await engine.containers.logs(id)) text += bytes.toString();
  return text;
}

async function plainly({ name, without }: ContainerAttack): Promise<string> {
  const body: ContainerCreate = { Image: image, Cmd: ["attack", name], HostConfig: { NetworkMode: "none" }, ...without };
  const { Id } = await engine.containers.create(body);
  try {
    const { exit } = await engine.containers.startWait(Id, { condition: "next-exit" });
    await engine.containers.start(Id);
    await exit;
    return await logs(Id);
  } finally {
    await engine.containers.remove(Id, { force: true, volumes: true });
  }
}

async function guarded(name: string, level: Level, change: Partial<JobContainer> = {}): Promise<string> {
  const container = await HardenedContainer.create(
    engine,
    {
      container: {
        jobId: name,
        imageId: image,
        command: ["attack", name],
        env: {},
        tty: false,
        stdin: false,
        limits: { Memory: MEMORY, MemorySwap: MEMORY },
        mounts: [],
        scratch: [],
        ...change,
      },
      profile: containerProfile(level, "build", ARCHITECTURE),
      folder: makeJobFolder(join(docker.mounts, "jobs"), `j${count++}`),
    },
    NEVER,
  );
  try {
    await container.start(NEVER);
    await container.go({ TOKEN: "secret" }, NEVER);
    await container.exit();
    return await logs(container.id);
  } finally {
    await container.remove();
  }
}

describe.each([...new Set(ATTACKS.map(({ group }) => group))])("%s", (group) => {
  test.for(ATTACKS.filter((attack) => attack.group === group))("$name", { timeout: 60_000 }, async (attack, context) => {
    const before = await plainly(attack);
    if (/^LACKS$/m.test(before)) context.skip(`optional: this kernel has none: ${before.split("\n")[1] ?? ""}`);
    expect(before).toMatch(/^WON$/m);
    const change = attack.name === "become_root" ? { user: { uid: 1000, gid: 1000 } } : {};
    for (const level of [attack.from, "high"] as const) {
      if (LEVELS.indexOf(level) < LEVELS.indexOf(attack.from)) continue;
      const after = await guarded(attack.name, level, change);
      expect(after, level).not.toMatch(/^(WON|no such attack)$/m);
    }
  });
});

test("the engine's socket: it works where it is mounted, and no way of asking for it gets it mounted", async () => {
  const HostConfig = { NetworkMode: "none", Mounts: [{ Type: "bind", Source: docker.socketPath, Target: "/engine.sock" }] } as const;
  expect(await plainly({ name: "engine_socket", group: "reach", from: "low", without: { HostConfig } })).toMatch(/^WON$/m);
  const judged = judgeCreateBody(JSON.stringify({ Image: image, HostConfig }), containerProfile("low", "build", ARCHITECTURE));
  expect(judged.refused).toEqual([{ control: "engine socket", why: expect.any(String) }]);
  await expect(guarded("engine_socket", "low", { mounts: [{ source: docker.socketPath, target: "/engine.sock", readOnly: true }] })).rejects.toThrow(
    /mount refused/,
  );
});

test("the gate: once the workload runs, its socket is gone and its folder cannot be written, even by root", async () => {
  const out = await guarded("gate", "medium", {
    command: ["sh", "-c", "exec 2>&1; ls /.cofferdam; rm -f /.cofferdam/shim; echo x > /.cofferdam/new; kill -9 1; umount /.cofferdam; echo still here"],
  });
  expect(out).toMatch(/^hostname\nhosts\nresolv.conf\nshim\n/);
  expect(out).toContain("rm: can't remove '/.cofferdam/shim': Read-only file system");
  expect(out).toContain("can't create /.cofferdam/new: Read-only file system");
  expect(out).toMatch(/umount: can't unmount \/\.cofferdam: Operation not permitted\nstill here\n$/);
});

/** The tests' own dockerd leaves nothing on the machine, however the test ends. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { EngineClient } from "../../src/engine/index.ts";
import { startDocker } from "../world/docker.ts";
import { busyboxImage } from "../world/images.ts";
import { requires } from "../world/needs.ts";

beforeEach((context) => requires(context, "docker"));

const factsSchema = z.object({ folder: z.string(), dockerd: z.number(), container: z.number() });

function cgroupOf(pid: number): string {
  return (
    /^\d+:pids:\/([^/\n]+)|^0::\/([^/\n]+)/m
      .exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))
      ?.slice(1)
      .find(Boolean) ?? "none"
  );
}

function cgroupsNamed(name: string): string[] {
  return readdirSync("/sys/fs/cgroup")
    .flatMap((one) => [name, `${one}/${name}`])
    .filter((path) => existsSync(join("/sys/fs/cgroup", path)));
}

test("a test that is killed: its daemon, containers, mounts, cgroups and files are gone", async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL("../world/docker-process.ts", import.meta.url))], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const { folder, dockerd, container } = factsSchema.parse(JSON.parse(String(line)));
  const cgroup = cgroupOf(dockerd);
  expect(cgroup).toMatch(/^cofferdam-docker-/);
  expect(cgroupsNamed(cgroup)).not.toEqual([]);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).toContain(`${folder}/mounts/tmpfs`);
  child.kill("SIGKILL");
  await expect.poll(() => existsSync(folder), { timeout: 20_000 }).toBe(false);
  expect([dockerd, container].filter((pid) => existsSync(`/proc/${pid}/exe`))).toEqual([]);
  expect(cgroupsNamed(cgroup)).toEqual([]);
  expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(folder);
});

test("a mount that the test makes below `mounts` is what the container sees, and files behind it outlive the daemon", async () => {
  const outside = execFileSync("mktemp", ["-d"]).toString().trim();
  writeFileSync(join(outside, "kept"), "yes");
  {
    await using docker = await startDocker();
    await using engine = new EngineClient(docker.socketPath);
    const place = join(docker.mounts, "work");
    mkdirSync(place);
    execFileSync("mount", ["--bind", outside, place]);
    const { Id } = await engine.containers.create({
      Image: await busyboxImage(engine),
      Cmd: ["sh", "-c", "test $(cat /work/kept) = yes && echo written > /work/new"],
      HostConfig: { NetworkMode: "none", Mounts: [{ Type: "bind", Source: place, Target: "/work" }] },
    });
    const { exit } = await engine.containers.startWait(Id, { condition: "next-exit" });
    await engine.containers.start(Id);
    expect(await exit).toEqual({ exitCode: 0 });
  }
  expect(readdirSync(outside).sort()).toEqual(["kept", "new"]);
  execFileSync("rm", ["-r", outside]);
});

test("two daemons at once do not meet", async () => {
  await using one = await startDocker();
  await using other = await startDocker();
  await using first = new EngineClient(one.socketPath);
  await using second = new EngineClient(other.socketPath);
  await busyboxImage(first);
  await Promise.all([first.networks.create({ Name: "same" }), second.networks.create({ Name: "same" })]);
  expect([(await first.images.list()).length, (await second.images.list()).length]).toEqual([1, 0]);
});

/** Secrets of a job whose process is killed: gone with the next start, from memory and from everywhere else. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { JobWorld } from "../world/job-world.ts";
import { has, requires } from "../world/needs.ts";
import { filesWith } from "../world/secret-search.ts";

let world: JobWorld;
const PROGRAM = fileURLToPath(new URL("../world/secret-job-process.ts", import.meta.url));

beforeAll(async () => {
  if (!has("docker") || !has("container")) return;
  world = await JobWorld.start();
  world.policy("version: 1\njobs: {unscanned: accept, secret-variables: accept}\n");
  expect((await world.job({ command: ["true"] })).exit).toBe(0);
});
afterAll(async () => await world?.[Symbol.asyncDispose]());
beforeEach((context) => {
  requires(context, "docker");
  requires(context, "container");
});

interface Killed {
  readonly id: string;
  readonly value: string;
  readonly folder: string;
}

/** Its process is gone when this returns. */
async function killedWhen(reached: (folder: string, output: string) => boolean): Promise<Killed> {
  const [id, value] = [world.newId(), `s3cret-${randomBytes(18).toString("base64url")}`];
  const folder = join(world.state, "jobs", id, "secrets");
  const child = spawn(process.execPath, [PROGRAM, world.docker.socketPath, world.state, world.policyFile, id, world.image, value], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = new Promise<string | null>((resolve) => child.once("close", (_, signal) => resolve(signal)));
  let output = "";
  child.stdout.on("data", (text: Buffer) => {
    output += text.toString();
  });
  while (child.exitCode === null && !reached(folder, output)) await delay(1);
  child.kill("SIGKILL");
  expect(await closed).toBe("SIGKILL");
  expect(output).not.toContain(value);
  return { id, value, folder };
}

const isMounted = (folder: string): boolean => readFileSync("/proc/self/mountinfo", "utf8").includes(` ${folder} `);

describe("kill -9 of the process that runs a job with secrets", () => {
  test.each<[string, (folder: string, output: string) => boolean, boolean]>([
    ["its folder is there", (folder) => existsSync(folder), false],
    ["memory is mounted", (folder) => isMounted(folder), false],
    ["the secret is written", (folder) => existsSync(join(folder, "A")), true],
    ["the gate was reached", (folder) => existsSync(join(folder, "A")) && !existsSync(join(folder, "../gate/gate")), true],
    ["the workload has read it", (_, output) => output.includes("***"), true],
  ])("when %s: no mount and no byte of it after the next start", async (_, reached, there) => {
    const { id, value, folder } = await killedWhen(reached);
    if (there) expect(readFileSync(join(folder, "A"), "utf8")).toBe(value);
    expect(await filesWith(world.docker.folder, value)).toEqual([]);
    await using library = await world.library({ clock: { now: () => Date.now() + 600_000, monotonic: () => performance.now() } });
    const [report] = await library.orchestrator.initialize();
    expect(report).toMatchObject({ jobId: id, verdict: "aborted", leftBehind: [] });
    expect(await world.remains()).toEqual([]);
    expect([isMounted(folder), existsSync(folder)]).toEqual([false, false]);
    expect(await filesWith(world.docker.folder, value)).toEqual([]);
    for (const name of readdirSync(join(world.state, "job-logs"))) expect(readFileSync(join(world.state, "job-logs", name), "utf8")).not.toContain(value);
  });
});

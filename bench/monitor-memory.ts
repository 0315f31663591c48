/**
 * What watching takes of memory: the whole process resident (VmRSS), after 10,000 events a second for five seconds and a quiet
 * minute, as `cofferdam monitor watch` runs, and as a program that does nothing else with the library. A Node that does nothing has
 * 45 MiB. Needs a container engine besides.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EngineClient } from "../dist/engine/index.js";
import { startDocker } from "../test/world/docker.ts";
import { busyboxImage } from "../test/world/images.ts";
import { printLimit } from "./measure.ts";

const QUIET_MS = 60_000;
/** 80 MB. */
const MOST_MIB = 76.3;

const root = fileURLToPath(new URL("..", import.meta.url));
const moduleOf = (room: string): string => JSON.stringify(new URL(`../dist/${room}/index.js`, import.meta.url).href);
const LIBRARY = `
  const { RuntimeSecurityMonitor } = await import(${moduleOf("monitor")});
  const { EngineClient } = await import(${moduleOf("engine")});
  const [, engine, container] = process.argv;
  const monitor = new RuntimeSecurityMonitor(new EngineClient(engine), { log: async () => undefined });
  await monitor.initialize();
  await monitor.startContainerMonitoring(container, "job");
  console.error("watched by " + monitor.status.source);
  setInterval(() => undefined, 1000);`;

/** @param program a static one that makes the events, and ends after `ms`. */
export async function memory(program: string, ms: number): Promise<void> {
  await using docker = await startDocker();
  await using engine = new EngineClient(docker.socketPath);
  const Image = await busyboxImage(engine);
  const Source = join(docker.mounts, "rate");
  copyFileSync(program, Source);

  const watched = async (name: string, words: (container: string) => readonly string[]): Promise<void> => {
    const { Id } = await engine.containers.create({
      ...{ Image, Cmd: ["sh", "-c", "read line; /rate; read line"], OpenStdin: true },
      HostConfig: { NetworkMode: "none", Mounts: [{ Type: "bind", Source, Target: "/rate", ReadOnly: true }] },
    });
    const job = await engine.containers.attach(Id, { tty: false, stdin: true });
    await engine.containers.start(Id);
    const watcher = spawn(process.execPath, words(Id), { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env["PATH"], HOME: "/nonexistent" } });
    await watches(watcher);
    const before = residentOf(watcher.pid);
    job.stdin.write("go\n");
    await delay(ms + 2000);
    const after = residentOf(watcher.pid);
    await delay(QUIET_MS);
    const quiet = residentOf(watcher.pid);
    printLimit({ name: `monitor, memory of ${name}, a quiet minute after 10,000 events a second`, ours: quiet, unit: "MiB", most: MOST_MIB });
    process.stdout.write(`      ${before.toFixed(1)} MiB before them, ${after.toFixed(1)} MiB right after them\n`);
    watcher.kill();
    await engine.containers.remove(Id, { force: true });
    if (watcher.exitCode === null && watcher.signalCode === null) await once(watcher, "exit");
  };

  await watched("cofferdam monitor watch", (id) => [join(root, "bin", "cofferdam.js"), "monitor", "watch", id, "--engine", docker.socketPath]);
  await watched("a program with RuntimeSecurityMonitor", (id) => ["--input-type=module", "-e", LIBRARY, docker.socketPath, id]);
}

/** Until it says that it watches everything. Its lines are read and dropped. */
async function watches({ stdout, stderr }: ChildProcessByStdio<null, Readable, Readable>): Promise<void> {
  stdout.resume();
  let said = "";
  await new Promise<void>((resolve, reject) => {
    stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString();
      if (said.includes("watched by ebpf")) resolve();
    });
    stderr.once("end", () => reject(new Error(`it does not watch: ${said}`)));
  });
}

/** MiB */
function residentOf(pid: number | undefined): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) / 1024;
}

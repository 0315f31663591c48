/**
 * What watching costs and how soon it sees: from the kernel's clock to the listener, a real build watched and not watched in
 * turn, a fixed rate of events, and the memory of a process that does nothing else. Needs root and a kernel that takes the
 * program.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { KernelSensor, type LossEvent, type ProcessEvent } from "../dist/monitor/index.js";
import { WatchedShell } from "../test/world/watched-shell.ts";
import { interleaved, median, print, printLimit, timed } from "./measure.ts";
import { memory } from "./monitor-memory.ts";

const ROUNDS = 10;
const LATENCIES = 500;
const RATE = 10_000;
const SECONDS = 5;

const native = fileURLToPath(new URL("../native", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-"));
await using sensor = new KernelSensor();
const status = await sensor.initialize();
if (status.state !== "watching") throw new Error(`the sensor does not watch here: ${status.why}`);
// Another container under watch, so that no round attaches the program to the kernel, which takes some milliseconds.
await using standing = await WatchedShell.start("read -r line");
await using _standing = await sensor.watch({ job: "standing", pid: standing.pid });
const losses: LossEvent[] = [];
sensor.on("loss", (loss) => losses.push(loss));

try {
  await latency();
  await rate();
  await memory(rateProgram(), SECONDS * 1000);
  await build();
  await loop();
} finally {
  rmSync(folder, { recursive: true });
}

async function latency(): Promise<void> {
  const late: number[] = [];
  const hear = (event: ProcessEvent): void => void (event.kind === "exec" ? late.push(performance.timeOrigin + performance.now() - event.time) : undefined);
  sensor.on("event", hear);
  await watched(`i=0; while [ $i -lt ${LATENCIES} ]; do /bin/true; sleep 0.003; i=$((i+1)); done`);
  sensor.off("event", hear);
  late.sort((a, b) => a - b);
  printLimit({ name: "monitor, an exec told, p50", ours: median(late), unit: "ms", most: 2 });
  printLimit({ name: "monitor, an exec told, p95", ours: late[Math.floor(late.length * 0.95)] ?? Number.NaN, unit: "ms", most: 50 });
}

async function rate(): Promise<void> {
  const program = rateProgram();
  let told = 0;
  const hear = (event: ProcessEvent): void => {
    if (event.kind === "open") told++;
  };
  sensor.on("event", hear);
  losses.length = 0;
  const cpu = process.cpuUsage();
  await watched(`exec ${program}`);
  const used = process.cpuUsage(cpu);
  sensor.off("event", hear);
  const counted = losses.reduce((sum, { count }) => sum + count, 0);
  printLimit({ name: `monitor, lost of ${RATE} events a second`, ours: RATE * SECONDS - told, unit: "events", most: 0 });
  printLimit({ name: "monitor, of these not reported", ours: RATE * SECONDS - told - counted, unit: "events", most: 0 });
  printLimit({ name: "monitor, processor time of Node meanwhile", ours: (used.user + used.system) / 1e4 / SECONDS, unit: "% of a core", most: 50 });
}

/** This project's own C programs, file by file, as make would do it. */
async function build(): Promise<void> {
  const sources = ["jail", "place", "shim"].flatMap((name) =>
    readdirSync(join(native, name))
      .filter((file) => file.endsWith(".c"))
      .map((file) => join(native, name, file)),
  );
  const script = `for f in ${sources.join(" ")}; do gcc -std=gnu17 -O2 -c -o ${folder}/x.o "$f"; done`;
  const [ours = 0, peer = 0] = await interleaved(
    [
      { name: "watched", run: () => timed(() => watched(script)) },
      { name: "not watched", run: () => timed(() => alone(script)) },
    ],
    ROUNDS,
  );
  print({ name: `monitor, a build of ${sources.length} C files watched vs not`, ours, peer, unit: "ms", goal: { kind: "at-most", ratio: 1.05 } });
}

/** The worst case: a program that does nothing but open files to write. */
async function loop(): Promise<void> {
  const program = compile(
    "loop",
    `#include <fcntl.h>
     #include <unistd.h>
     int main(void) { for (int i = 0; i < 15000; i++) close(open("${folder}/file", O_WRONLY | O_CREAT, 0600)); }`,
  );
  const [ours = 0, peer = 0] = await interleaved(
    [
      { name: "watched", run: () => timed(() => watched(`exec ${program}`)) },
      { name: "not watched", run: () => timed(() => alone(`exec ${program}`)) },
    ],
    ROUNDS,
  );
  print({ name: "monitor, 15,000 opens to write and nothing else, watched vs not", ours, peer, unit: "ms" });
}

async function watched(script: string): Promise<void> {
  await using shell = await WatchedShell.start(script);
  await using _watch = await sensor.watch({ job: "bench", pid: shell.pid });
  await shell.go();
}

async function alone(script: string): Promise<void> {
  await using shell = await WatchedShell.start(script);
  await shell.go();
}

/** Opens at a fixed rate, each of which is an event. */
function rateProgram(): string {
  return compile(
    "rate",
    `#include <fcntl.h>
     #include <time.h>
     #include <unistd.h>
     static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
     int main(void) {
       double start = now();
       for (int i = 0; i < ${RATE * SECONDS}; i++) {
         close(open("/dev/zero", O_WRONLY));
         while (now() < start + (double)i / ${RATE}) usleep(200);
       }
     }`,
  );
}

function compile(name: string, source: string): string {
  const path = join(folder, name);
  execFileSync("cc", ["-O2", "-static", "-D_GNU_SOURCE", "-x", "c", "-o", path, "-"], { input: source });
  return path;
}

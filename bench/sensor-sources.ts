/**
 * What each source of the sensor shows of the same work, and what it costs: begins and ends, programs of processes that live for so long, a
 * small build. Needs root, and a kernel that takes the source; the others are left out.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KernelSensor, type LossEvent, type ProcessEvent, type SensorSource } from "../dist/monitor/index.js";
import { WatchedShell } from "../test/world/watched-shell.ts";
import { interleaved, print, timed } from "./measure.ts";

const ROUNDS = 5;
const FORKS = 400;
const PROGRAMS = 200;
const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-"));
for (const name of ["one", "two"]) writeFileSync(join(folder, `${name}.c`), `#include <stdio.h>\nint ${name}(void) { return puts("${name}"); }\n`);
writeFileSync(join(folder, "main.c"), "int one(void);\nint two(void);\nint main(void) { return one() + two() < 0; }\n");
const BUILD = `cd ${folder}; for f in one two main; do gcc -O2 -c $f.c; done; gcc -o program one.o two.o main.o; ./program`;

try {
  let programsOfBuild = Number.NaN;
  for (const source of ["ebpf", "audit", "connector"] as const) {
    await using sensor = new KernelSensor({ sources: [source] });
    const { state, why } = await sensor.initialize();
    if (state === "absent") {
      process.stdout.write(`bench sensor by ${source}: not here: ${why}\n`);
      continue;
    }
    programsOfBuild = await measure(sensor, source, programsOfBuild);
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** @param programs of the build, as the first source told them. @returns the same. */
async function measure(sensor: KernelSensor, source: SensorSource, programs: number): Promise<number> {
  const name = (what: string): string => `sensor by ${source}, ${what}`;
  const forks = await told(sensor, `i=0; while [ $i -lt ${FORKS} ]; do (:); i=$((i+1)); done`);
  // The shell's end, and unshare's.
  print({ name: name("begins told of those that were"), ours: count(forks, "fork"), peer: FORKS, unit: "forks" });
  print({ name: name("ends told of those that were"), ours: count(forks, "exit"), peer: FORKS + 2, unit: "exits" });
  for (const [ms, program] of [
    [1, "/bin/true"],
    [5, "sleep 0.004"],
    [50, "sleep 0.049"],
  ] as const) {
    const events = await told(sensor, `i=0; while [ $i -lt ${PROGRAMS} ]; do ${program}; i=$((i+1)); done`);
    print({ name: name(`programs told of processes that live ${ms} ms`), ours: count(events, "exec"), peer: PROGRAMS, unit: "programs" });
  }
  const found = count(await told(sensor, BUILD), "exec");
  const peer = Number.isNaN(programs) ? found : programs;
  print({ name: name("programs told of a small build"), ours: found, peer, unit: "programs" });
  const builds = `for round in 1 2 3 4 5; do (${BUILD}); done`;
  const [ours = 0, alone = 0] = await interleaved(
    [
      { name: "watched", run: () => besideAnother(sensor, () => told(sensor, builds)) },
      { name: "not watched", run: () => timed(() => run(builds)) },
    ],
    ROUNDS,
  );
  print({ name: name("five such builds watched vs not"), ours, peer: alone, unit: "ms" });
  return peer;
}

/** While another container is under watch: what a first watch sets up is no part of it. */
async function besideAnother(sensor: KernelSensor, work: () => Promise<unknown>): Promise<number> {
  await using shell = await WatchedShell.start("read -r line");
  await using _watch = await sensor.watch({ job: "standing", pid: shell.pid });
  return await timed(work);
}

async function told(sensor: KernelSensor, script: string): Promise<readonly (ProcessEvent | LossEvent)[]> {
  const events: (ProcessEvent | LossEvent)[] = [];
  const hear = (event: ProcessEvent | LossEvent): void => void events.push(event);
  sensor.on("event", hear).on("loss", hear);
  await using shell = await WatchedShell.start(script);
  await using watch = await sensor.watch({ job: "bench", pid: shell.pid });
  await shell.go();
  await watch.close();
  sensor.off("event", hear).off("loss", hear);
  const lost = events.reduce((sum, event) => sum + (event.kind === "loss" ? event.count : 0), 0);
  if (lost > 0) process.stdout.write(`  ${lost} told as lost\n`);
  return events;
}

async function run(script: string): Promise<void> {
  await using shell = await WatchedShell.start(script);
  await shell.go();
}

function count(events: readonly (ProcessEvent | LossEvent)[], kind: ProcessEvent["kind"]): number {
  return events.filter((event) => event.kind === kind).length;
}

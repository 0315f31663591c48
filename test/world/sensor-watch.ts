/** What a test waits for of a sensor: a status, a program that ran, the process itself. */
import { readdirSync, readFileSync } from "node:fs";
import type { KernelSensor, ProcessEvent, SensorStatus } from "../../src/monitor/index.ts";
import { WatchedShell } from "./watched-shell.ts";

/** The next status of that kind. */
export async function statusTold(sensor: KernelSensor, state: SensorStatus["state"]): Promise<SensorStatus> {
  return await new Promise((resolve) => {
    const hear = (found: SensorStatus): void => {
      if (found.state !== state) return;
      sensor.off("status", hear);
      resolve(found);
    };
    sensor.on("status", hear);
  });
}

/** Everything that a script does, in order, once it ended. @param more as {@link WatchedShell.start} has it. */
export async function eventsOfScript(
  sensor: KernelSensor,
  script: string,
  args: readonly string[] = [],
  more: readonly string[] = [],
): Promise<ProcessEvent[]> {
  await using shell = await WatchedShell.start(script, args, [], more);
  const events: ProcessEvent[] = [];
  const hear = (event: ProcessEvent): void => void events.push(event);
  sensor.on("event", hear);
  await using watch = await sensor.watch({ job: "job", container: "box", pid: shell.pid });
  await shell.go();
  await watch.close();
  sensor.off("event", hear);
  return events;
}

/** The exec that has this argument. */
export async function argumentSeen(sensor: KernelSensor, text: string): Promise<Extract<ProcessEvent, { kind: "exec" }>> {
  return await new Promise((resolve) => {
    const hear = (event: ProcessEvent): void => {
      if (event.kind !== "exec" || !event.args.includes(text)) return;
      sensor.off("event", hear);
      resolve(event);
    };
    sensor.on("event", hear);
  });
}

/** The one child of a process that is a sensor and runs: of one that nobody waited for, only the number is left. */
export function sensorPid(of: number | undefined = process.pid): number {
  const pids = readdirSync(`/proc/${of}/task`).flatMap((task) => readFileSync(`/proc/${of}/task/${task}/children`, "utf8").trim().split(" "));
  const found = pids.filter((pid) => pid !== "" && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("/cofferdam-sensor-"));
  if (found.length !== 1) throw new Error(`${found.length} sensors`);
  return Number(found[0]);
}

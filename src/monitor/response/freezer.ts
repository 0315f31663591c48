/**
 * Stops every process of a container where it is, by one write into its control group: 0.5 ms, where an engine's pause takes 44.
 * A stopped process runs no handler and sees nothing of it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CofferdamError, messageOf } from "../../foundation/index.ts";
import type { ContainerCgroup } from "./container-cgroup.ts";

const LOOK_MS = 1;
/** Processes that wait for a disk stop when it has answered. */
const LIMIT_MS = 5000;

/** The order alone; they stop at their next return from the kernel. Throws ENVIRONMENT_UNFIT where nothing can be stopped. */
export function orderFreeze({ folder, freezer }: ContainerCgroup): void {
  if (freezer === "none") throw new CofferdamError("ENVIRONMENT_UNFIT", "this host has no freezer for control groups");
  write(join(folder, freezer === "v1" ? "freezer.state" : "cgroup.freeze"), freezer === "v1" ? "FROZEN" : "1");
}

/**
 * Returns when every process stands. Throws DEADLINE_EXCEEDED, ENVIRONMENT_UNFIT, NOT_FOUND for a container that is gone. @param
 * signal ends it without an order more.
 */
export async function freeze(cgroup: ContainerCgroup, signal?: AbortSignal): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  for (orderFreeze(cgroup); !isFrozen(cgroup); await delay(LOOK_MS)) {
    if (performance.now() > end) throw new CofferdamError("DEADLINE_EXCEEDED", `not every process stood still within ${LIMIT_MS} ms`);
    if (signal?.aborted === true) return;
    // Version 1 forgets a process that was made while it was freezing; the order is repeated until all stand.
    orderFreeze(cgroup);
  }
}

export function isFrozen({ folder, freezer }: ContainerCgroup): boolean {
  if (freezer === "none") return false;
  if (freezer === "v1") return read(join(folder, "freezer.state")).trim() === "FROZEN";
  return /^frozen 1$/m.test(read(join(folder, "cgroup.events")));
}

export function thaw({ folder, freezer }: ContainerCgroup): void {
  if (freezer !== "none") write(join(folder, freezer === "v1" ? "freezer.state" : "cgroup.freeze"), freezer === "v1" ? "THAWED" : "0");
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new CofferdamError("NOT_FOUND", `the container's control group is gone: ${messageOf(error)}`, { cause: error });
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CofferdamError("NOT_FOUND", `the container's control group is gone: ${messageOf(error)}`, { cause: error });
  }
}

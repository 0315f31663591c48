/**
 * Where a cgroup for a jail can be made in the unified hierarchy (v2). A cgroup that holds processes hands no controllers
 * down (Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint"), and the caller's own holds at least the
 * caller. So the jail's is made beside it, below the nearest one above that hands memory down already: systemd's slices do,
 * and a user owns those of the user's own manager. Where nothing above is ours (a service with User= and Delegate=yes, a
 * container), our own is rearranged: its processes move to a leaf below it, if all of them run as us.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../foundation/index.ts";

export type Controller = "memory" | "pids" | "cpu";
export const CONTROLLERS: readonly Controller[] = ["memory", "pids", "cpu"];

/** Holds who called, once our own cgroup was rearranged. Callers that start later are born in it, and find a place beside it. */
const LEAF = "cofferdam-callers";
const TRIES = 10;

export interface UnifiedPlace {
  readonly folder: string;
  readonly controllers: readonly Controller[];
  /** The caller's cgroups below it. What bounds them bounds the jail too, although it is made beside them. */
  readonly beside: readonly string[];
}

/**
 * @param mount where the hierarchy is.
 * @param path the caller's own cgroup, as /proc/self/cgroup says.
 * @param needed controllers; a place that lacks some of them is taken when none has all, but never one without memory.
 */
export function unifiedPlace(mount: string, path: string, needed: readonly Controller[]): UnifiedPlace | undefined {
  // Outside of our cgroup namespace.
  if (path.startsWith("/..")) return undefined;
  const levels = levelsOf(mount, path);
  const places = levels.flatMap((folder, index) => (canUse(folder) ? [{ folder, controllers: handedDown(folder), beside: levels.slice(0, index) }] : []));
  const ready =
    places.find(({ controllers }) => needed.every((name) => controllers.includes(name))) ?? places.find(({ controllers }) => controllers.includes("memory"));
  if (ready !== undefined) return ready;
  for (const place of places) {
    const controllers = rearrange(place.folder);
    if (controllers.includes("memory")) return { ...place, controllers };
  }
  return undefined;
}

/** The caller's own cgroup first, the root of the hierarchy last. */
function levelsOf(mount: string, path: string): string[] {
  const names = path.split("/").filter((name) => name !== "");
  return names.map((_, index) => join(mount, ...names.slice(0, names.length - index))).concat(mount);
}

/** A cgroup can be made in it, and a process of ours moved there: that takes the right to write where both have in common. */
function canUse(folder: string): boolean {
  try {
    for (const path of [folder, join(folder, "cgroup.procs")]) accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function handedDown(folder: string): readonly Controller[] {
  return known(join(folder, "cgroup.subtree_control"));
}

function known(file: string): readonly Controller[] {
  try {
    const names = readFileSync(file, "utf8").trim().split(" ");
    return CONTROLLERS.filter((name) => names.includes(name));
  } catch {
    return [];
  }
}

/** Makes it hand down what it has. The root of all may do so as it is, any other one only without processes. */
function rearrange(folder: string): readonly Controller[] {
  const available = known(join(folder, "cgroup.controllers"));
  if (!available.includes("memory")) return [];
  const file = join(folder, "cgroup.subtree_control");
  try {
    handDownMemory(folder, file);
  } catch {
    // Read-only, somebody else's process in it, or more new ones than we can follow.
    return handedDown(folder);
  }
  for (const name of available) {
    try {
      writeFileSync(file, `+${name}`);
    } catch {
      // What is handed down after all is asked below.
    }
  }
  return handedDown(folder);
}

function handDownMemory(folder: string, file: string): void {
  for (let tries = 0; ; tries++) {
    try {
      writeFileSync(file, "+memory");
      return;
    } catch (error) {
      if (errnoOf(error) !== "EBUSY" || tries === TRIES) throw error;
    }
    const text = readFileSync(join(folder, "cgroup.procs"), "utf8");
    const pids = text.split("\n").filter((line) => line !== "");
    if (!pids.every(isOurs)) return;
    const leaf = join(folder, LEAF);
    if (!existsSync(leaf)) mkdirSync(leaf);
    for (const pid of pids) move(pid, leaf);
  }
}

function move(pid: string, leaf: string): void {
  try {
    writeFileSync(join(leaf, "cgroup.procs"), pid);
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

/** Runs as us, or is gone. Pid 0 is one that our pid namespace does not show. */
function isOurs(pid: string): boolean {
  if (pid === "0") return false;
  try {
    return statSync(`/proc/${pid}`).uid === process.geteuid?.();
  } catch (error) {
    return errnoOf(error) === "ENOENT";
  }
}

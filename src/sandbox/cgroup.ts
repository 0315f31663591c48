/**
 * A cgroup for one jail: memory, processes and CPU share bounded by the kernel for the whole tree, whatever it forks. Both
 * hierarchies: v1 (a folder per controller) and v2 (one folder). Sources: Documentation/admin-guide/cgroup-v1/, cgroup-v2.rst.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { errnoOf } from "../foundation/index.ts";
import { CONTROLLERS, type Controller, unifiedPlace } from "./unified.ts";

export interface CgroupLimits {
  readonly memory: number;
  readonly pids: number;
  readonly cpus: number | undefined;
}

const CPU_PERIOD = 100_000;
/** `cofferdam-`, the caller's pid namespace, its pid there, when it started, and a number. */
const NAME = /^(cofferdam-\d+-)(\d+)-(\d+)-\d+$/;

interface Place {
  readonly controllers: readonly Controller[];
  readonly folder: string;
  readonly v2: boolean;
  /** v2: cgroups whose limits hold for it as well. */
  readonly beside: readonly string[];
}

export class Cgroup {
  readonly #places: readonly Place[];

  private constructor(places: readonly Place[]) {
    this.#places = places;
  }

  /**
   * Makes one below or beside the caller's own, and removes those of callers that are gone. @returns undefined where the
   * caller may not (no delegation), which is not an error: the caller decides whether it can go on.
   */
  static create(limits: CgroupLimits): Cgroup | undefined {
    const made: Place[] = [];
    try {
      const name = newName();
      for (const parent of parents(limits)) {
        removeForgotten(parent.folder);
        const place: Place = { ...parent, folder: join(parent.folder, name) };
        mkdirSync(place.folder);
        made.push(place);
        setLimits(place, limits);
      }
      if (made.some((place) => place.controllers.includes("memory"))) return new Cgroup(made);
    } catch {
      // Not delegated, read-only, or a controller that refuses: what was made goes, and the answer is "none".
    }
    for (const { folder } of made) removeFolder(folder);
    return undefined;
  }

  /**
   * Files that take the pid of a process that joins. On v1 by thread, and who joins has one: a whole process would first wait
   * until no process forks anywhere (an RCU grace period, 10 ms and more on an idle machine). On v2 threads cannot join alone.
   */
  get joins(): readonly string[] {
    return this.#places.map(({ folder, v2 }) => join(folder, v2 ? "cgroup.procs" : "tasks"));
  }

  /** Those in force. Looked up each time: who manages the cgroup above can take one away, and its files go with it. */
  get controllers(): readonly Controller[] {
    return this.#places.flatMap(({ folder, controllers, v2 }) => controllers.filter((name) => !v2 || existsSync(join(folder, `${name}.max`))));
  }

  /** True when the kernel killed something in it for memory. */
  get oomKilled(): boolean {
    return this.#count("memory", "memory.events", "memory.oom_control", "oom_kill") > 0;
  }

  /** True when a fork was refused for the number of processes. */
  get pidsExhausted(): boolean {
    return this.#count("pids", "pids.events", "pids.events", "max") > 0;
  }

  /** Largest use of memory, bytes; 0 when the kernel does not say. */
  get peakMemory(): number {
    const place = this.#placeOf("memory");
    return place === undefined ? 0 : Number(read(join(place.folder, place.v2 ? "memory.peak" : "memory.max_usage_in_bytes")) ?? 0);
  }

  /** Kills what is in it until it is empty, and removes it. Never throws: a leftover folder is removed by the next run. */
  async remove(): Promise<void> {
    for (let tries = 0; tries < 50; tries++) {
      if (this.#places.every(({ folder }) => removeFolder(folder))) return;
      for (const { folder } of this.#places) killAll(folder);
      await delay(10);
    }
  }

  #placeOf(controller: Controller): Place | undefined {
    return this.#places.find((place) => place.controllers.includes(controller));
  }

  #count(controller: Controller, v2File: string, v1File: string, key: string): number {
    const place = this.#placeOf(controller);
    const text = place === undefined ? undefined : read(join(place.folder, place.v2 ? v2File : v1File));
    return Number(new RegExp(`^${key} (\\d+)$`, "m").exec(text ?? "")?.[1] ?? 0);
  }
}

function setLimits({ folder, controllers, v2, beside }: Place, limits: CgroupLimits): void {
  const { memory, pids, cpus } = beside.reduce(within, limits);
  const set = (file: string, value: string): void => writeFileSync(join(folder, file), value);
  if (controllers.includes("memory")) {
    set(v2 ? "memory.max" : "memory.limit_in_bytes", String(memory));
    // Without swap accounting these files are missing: then there is no limit on swap to set.
    try {
      set(v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes", v2 ? "0" : String(memory));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" && errnoOf(error) !== "EACCES") throw error;
    }
  }
  if (controllers.includes("pids")) set("pids.max", String(pids));
  if (controllers.includes("cpu") && cpus !== undefined) {
    const quota = Math.max(1000, Math.round(cpus * CPU_PERIOD));
    if (v2) set("cpu.max", `${quota} ${CPU_PERIOD}`);
    else {
      set("cpu.cfs_period_us", String(CPU_PERIOD));
      set("cpu.cfs_quota_us", String(quota));
    }
  }
}

/** The limits, or those of a v2 cgroup where they are lower. */
function within(limits: CgroupLimits, folder: string): CgroupLimits {
  const numbers = (file: string): number[] =>
    (read(join(folder, file)) ?? "")
      .split(/\s+/)
      .filter((word) => /^\d+$/.test(word))
      .map(Number);
  const [memory = limits.memory] = numbers("memory.max");
  const [pids = limits.pids] = numbers("pids.max");
  const [quota, period] = numbers("cpu.max");
  // "max PERIOD" is one number.
  const cpus = quota === undefined || period === undefined ? limits.cpus : Math.min(quota / period, limits.cpus ?? Number.POSITIVE_INFINITY);
  return { memory: Math.min(memory, limits.memory), pids: Math.min(pids, limits.pids), cpus };
}

/** Where one is made: in the caller's own v1 folders where the controller is mounted there, and where v2 has a place for it. */
function parents({ cpus }: CgroupLimits): Place[] {
  const mounts = cgroupMounts();
  const places: Place[] = [];
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined) continue;
    const v2 = names === "";
    const mount = mounts.find((one) => (v2 ? one.v2 : names.split(",").every((name) => one.controllers.includes(name)) && !one.v2));
    if (mount === undefined) continue;
    if (v2) {
      const place = unifiedPlace(mount.path, path, cpus === undefined ? ["memory", "pids"] : CONTROLLERS);
      if (place !== undefined) places.push({ ...place, v2 });
    } else {
      const available = names.split(",");
      const controllers = CONTROLLERS.filter((name) => available.includes(name));
      if (controllers.length > 0) places.push({ folder: join(mount.path, path), controllers, v2, beside: [] });
    }
  }
  return places;
}

interface Mount {
  readonly path: string;
  readonly controllers: readonly string[];
  readonly v2: boolean;
}

/** Mount points of cgroup file systems whose root is the root we see; see proc_pid_mountinfo(5). */
function cgroupMounts(): Mount[] {
  return (read("/proc/self/mountinfo") ?? "").split("\n").flatMap((line) => {
    const match = /^\d+ \d+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)$/.exec(line);
    const [, root, path, type, options] = match ?? [];
    return root !== "/" || path === undefined ? [] : [{ path, controllers: (options ?? "").split(","), v2: type === "cgroup2" }];
  });
}

let made = 0;
function newName(): string {
  return `${ownPrefix()}${process.pid}-${startOf("self") ?? "0"}-${made++}`;
}

function ownPrefix(): string {
  return `cofferdam-${/\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0"}-`;
}

/** Clock ticks since boot, the 22nd field of /proc/PID/stat; the second is a name in parentheses that may hold anything. */
function startOf(pid: string): string | undefined {
  const text = read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

/** What a caller left that was killed. Only those of our own pid namespace: of another one we cannot know who is alive. */
function removeForgotten(parent: string): void {
  const ours = ownPrefix();
  for (const name of readdirSync(parent)) {
    const [, prefix, pid, started] = NAME.exec(name) ?? [];
    if (prefix !== ours || pid === undefined || startOf(pid) === started) continue;
    const folder = join(parent, name);
    if (!removeFolder(folder)) killAll(folder);
  }
}

/** Removes the folder and any that something inside made. @returns true when it is gone. */
function removeFolder(folder: string): boolean {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeFolder(join(folder, entry.name));
    rmdirSync(folder);
    return true;
  } catch (error) {
    return errnoOf(error) === "ENOENT";
  }
}

function killAll(folder: string): void {
  try {
    writeFileSync(join(folder, "cgroup.kill"), "1");
    return;
  } catch {
    // v1, or before Linux 5.14: one by one.
  }
  for (const pid of (read(join(folder, "cgroup.procs")) ?? "").split("\n").filter((line) => line !== "")) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // Gone already.
    }
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

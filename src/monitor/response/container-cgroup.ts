/** Where a container's processes are grouped by the kernel: what stops them all at once, and says who they are. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CofferdamError, errnoOf } from "../../foundation/index.ts";

export interface ContainerCgroup {
  /** Folder with `cgroup.procs`: in a hierarchy of version 1 the freezer's where there is one. */
  readonly folder: string;
  readonly freezer: "v1" | "v2" | "none";
}

/** Processes that are listed of one container. */
const MAX_PROCESSES = 10_000;

/**
 * Of a process, by its number on this host. Throws NOT_FOUND when it is gone, FAILED_PRECONDITION when it is in a group with
 * this process: whoever stops that stops itself.
 */
export function cgroupOf(pid: number): ContainerCgroup {
  const groups = groupsOf(pid);
  const mounts = cgroupMounts();
  const freezer = mounts.find(({ type, options }) => type === "cgroup" && options.has("freezer"));
  const unified = mounts.find(({ type }) => type === "cgroup2");
  const of = (controllers: string, mount: string): string => {
    const path = groups.get(controllers) ?? "/";
    if (path === "/" || path === groupsOf("self").get(controllers))
      throw new CofferdamError("FAILED_PRECONDITION", `process ${pid} is in the control group ${path}, which is not a container's own`);
    return join(mount, path);
  };
  if (freezer !== undefined && groups.has("freezer")) return { folder: of("freezer", freezer.path), freezer: "v1" };
  if (unified === undefined) throw new CofferdamError("ENVIRONMENT_UNFIT", "control groups are not mounted");
  const folder = of("", unified.path);
  return { folder, freezer: exists(join(folder, "cgroup.freeze")) ? "v2" : "none" };
}

/** Every process in it and below it, by number on this host; those of a container that is gone are none. */
export function processesOf({ folder }: ContainerCgroup): readonly number[] {
  const found: number[] = [];
  const look = (place: string, depth: number): void => {
    let listed: string;
    try {
      listed = readFileSync(join(place, "cgroup.procs"), "utf8");
      for (const { name } of depth === 0 ? [] : readdirSync(place, { withFileTypes: true }).filter((entry) => entry.isDirectory()))
        look(join(place, name), depth - 1);
    } catch (error) {
      if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENODEV") return;
      throw error;
    }
    for (const line of listed.split("\n")) if (line !== "" && found.length < MAX_PROCESSES) found.push(Number(line));
  };
  look(folder, 8);
  return [...new Set(found)];
}

/** By controllers; "" is version 2. */
function groupsOf(pid: number | "self"): ReadonlyMap<string, string> {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/cgroup`, "utf8");
  } catch (error) {
    throw new CofferdamError("NOT_FOUND", `there is no process ${pid}`, { cause: error });
  }
  return new Map(
    text.split("\n").flatMap((line) => [...line.matchAll(/^\d+:([^:]*):(\/.*)$/g)].map(([, names = "", path = "/"]): [string, string] => [names, path])),
  );
}

function cgroupMounts(): readonly { readonly path: string; readonly type: string; readonly options: ReadonlySet<string> }[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.flatMap((line) => {
    const [, path = "", type = "", options = ""] = /^\S+ \S+ \S+ \S+ (\S+) .*? - (cgroup2?) \S+ (\S+)/.exec(line) ?? [];
    return path === "" ? [] : [{ path, type, options: new Set(options.split(",")) }];
  });
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

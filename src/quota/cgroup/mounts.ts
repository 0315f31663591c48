/** Where the cgroup hierarchies are mounted, and which cgroup a process is in. Source: cgroups(7), proc_pid_mountinfo(5). */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type Controller = "memory" | "cpu" | "cpuacct" | "pids" | "blkio";

/** Folders of one cgroup, by controller; with v2 they are all the same. */
export interface CgroupFolders {
  readonly version: 1 | 2;
  readonly folders: Readonly<Partial<Record<Controller, string>>>;
}

interface Mount {
  readonly path: string;
  /** Which folder of the hierarchy is mounted there. */
  readonly root: string;
  readonly controllers: readonly string[];
  readonly v2: boolean;
}

const CONTROLLERS: readonly Controller[] = ["memory", "cpu", "cpuacct", "pids", "blkio"];

/** The cgroup of a process, or undefined when it is gone or is in none that can be seen from here. */
export function cgroupOf(pid: number | "self"): CgroupFolders | undefined {
  const membership = read(`/proc/${pid}/cgroup`);
  const mounts = read("/proc/self/mountinfo");
  return membership === undefined || mounts === undefined ? undefined : foldersOf(membership, mounts);
}

/** @param membership text of /proc/PID/cgroup. @param mountinfo text of /proc/self/mountinfo. */
export function foldersOf(membership: string, mountinfo: string): CgroupFolders | undefined {
  const mounts = parseMounts(mountinfo);
  const folders: Partial<Record<Controller, string>> = {};
  let unified: string | undefined;
  for (const line of membership.split("\n")) {
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined) continue;
    const wanted = names.split(",");
    const mount = mounts.find((one) => (names === "" ? one.v2 : !one.v2 && wanted.every((name) => one.controllers.includes(name))));
    const folder = mount === undefined ? undefined : below(mount, path);
    if (folder === undefined) continue;
    if (names === "") unified = folder;
    else for (const name of CONTROLLERS) if (wanted.includes(name)) folders[name] = folder;
  }
  if (Object.keys(folders).length > 0) return { version: 1, folders };
  if (unified === undefined) return undefined;
  return { version: 2, folders: { memory: unified, cpu: unified, cpuacct: unified, pids: unified, blkio: unified } };
}

/** A path of the hierarchy as a path here. `/..` is outside of our cgroup namespace. */
function below(mount: Mount, path: string): string | undefined {
  if (path.split("/").includes("..")) return undefined;
  if (mount.root === "/") return join(mount.path, path);
  if (path !== mount.root && !path.startsWith(`${mount.root}/`)) return undefined;
  return join(mount.path, path.slice(mount.root.length));
}

function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split("\n").flatMap((line) => {
    const [, root, path, type, options] = /^\d+ \d+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)$/.exec(line) ?? [];
    if (root === undefined || path === undefined) return [];
    return [{ root, path, controllers: (options ?? "").split(","), v2: type === "cgroup2" }];
  });
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

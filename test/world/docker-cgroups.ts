/**
 * The cgroups of one test engine: a folder of its own in every hierarchy. The daemon stands in `daemon/`, its containers beside
 * it, so that everything which came of it can be found, ended and removed, whoever was killed in between.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** Pids mean something in their own namespace only: another's folders are left alone. */
const PREFIX = `cofferdam-docker-${/\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? ""}-`;
const ROOT = "/sys/fs/cgroup";

/** Names the folder after its keeper, so that one whose keeper is gone is known to be left over. */
export function cgroupName(keeper: number): string {
  return `${PREFIX}${keeper}-${startTime(keeper) ?? "0"}`;
}

/** Mounts what a bare chroot lacks. For a mount namespace of our own only. */
export function hierarchiesToMount(): readonly { readonly folder: string; readonly type: "cgroup" | "cgroup2"; readonly options: string }[] {
  if (mountsOf().length > 0) return [];
  return readFileSync("/proc/self/cgroup", "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [number, controllers = ""] = line.split(":");
      // Controllers that are mounted together elsewhere can only be mounted together.
      if (number === "0") return { folder: "unified", type: "cgroup2", options: "rw" } as const;
      return {
        folder: controllers.replace(/^name=/, ""),
        type: "cgroup",
        options: controllers.startsWith("name=") ? `none,${controllers}` : controllers,
      } as const;
    });
}

/** @returns the files that the daemon writes its pid to before it is one. */
export function makeCgroup(name: string): string[] {
  return mountsOf().flatMap((mount) => {
    mkdirSync(join(mount, name), { recursive: true });
    // v1's cpuset and the like only take processes once they are set up: one hierarchy that tracks is enough.
    if (!existsSync(join(mount, name, "pids.max")) && !existsSync(join(mount, name, "cgroup.events"))) return [];
    mkdirSync(join(mount, name, "daemon"), { recursive: true });
    return [join(mount, name, "daemon", "cgroup.procs")];
  });
}

/** Ends every process below and removes the folders. Throws when some stay. */
export async function removeCgroup(name: string): Promise<void> {
  for (let round = 0; ; round++) {
    const left = mountsOf().flatMap((mount) => processesBelow(join(mount, name)));
    if (left.length === 0) break;
    if (round > 500) throw new Error(`processes of ${name} do not end: ${left.join(" ")}`);
    for (const mount of mountsOf()) endBelow(join(mount, name));
    for (const pid of new Set(left)) signal(pid);
    await pause(10);
  }
  // A cgroup is busy for a moment after its last process.
  for (const mount of mountsOf()) {
    for (let round = 0; !removeFolders(join(mount, name)); round++) {
      if (round > 200) throw new Error(`${join(mount, name)} stays`);
      await pause(10);
    }
  }
}

/** Folders of keepers that are gone, each of them removed. */
export async function sweepCgroups(): Promise<void> {
  const names = new Set(mountsOf().flatMap((mount) => readdirSync(mount).filter((name) => name.startsWith(PREFIX))));
  for (const name of names) {
    const [pid, start] = name.slice(PREFIX.length).split("-");
    if (startTime(Number(pid)) !== start) await removeCgroup(name);
  }
}

function mountsOf(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => {
      const [left = "", right = ""] = line.split(" - ");
      const place = left.split(" ")[4] ?? "";
      return /^cgroup2? /.test(right) && place.startsWith(ROOT) ? [place] : [];
    });
}

/** Ticks since boot at which a process began; a pid that is used again has another. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

function foldersBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const children = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...children.flatMap((entry) => foldersBelow(join(folder, entry.name))), folder];
}

function processesBelow(folder: string): number[] {
  return foldersBelow(folder).flatMap((one) => {
    try {
      return readFileSync(join(one, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
    } catch {
      return [];
    }
  });
}

/** What a fork bomb needs: v2 kills all at once, v1 allows no new process, and what is frozen must thaw to die. */
function endBelow(folder: string): void {
  for (const one of foldersBelow(folder)) {
    for (const [file, text] of [
      ["cgroup.kill", "1"],
      ["pids.max", "0"],
      ["freezer.state", "THAWED"],
    ] as const) {
      if (!existsSync(join(one, file))) continue;
      try {
        writeFileSync(join(one, file), text);
      } catch {
        // Gone meanwhile, or the root of a hierarchy: the signals do it.
      }
    }
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone meanwhile.
  }
}

function removeFolders(folder: string): boolean {
  try {
    for (const one of foldersBelow(folder)) rmdirSync(one);
    return true;
  } catch {
    return false;
  }
}

/** Where a job runs, as counters can be read of it: a process's cgroup and network, and the trees that it fills. */
import { startOf } from "../../foundation/index.ts";
import type { Allocation } from "../allocation.ts";
import { readCounters } from "../cgroup/counters.ts";
import { type CgroupFolders, type Controller, cgroupOf } from "../cgroup/mounts.ts";
import type { DiskUse } from "../disk/disk-use.ts";
import { sizeOfTree } from "../disk/walk.ts";
import type { Workspaces } from "../disk/workspaces.ts";
import { networkCounters } from "../network/counters.ts";
import type { CounterSource } from "./job-watch.ts";

export interface WatchTarget {
  readonly pid: number;
  /** When that process started (foundation/process-identity.ts). */
  readonly started: string;
  /** Trees besides the workspace that count as its disk: a container's own layer, its log. */
  readonly trees: readonly string[];
  /** The workspace is the only place that it can write to. */
  readonly sealed: boolean;
}

/** Undefined when the process is gone, or has no cgroup of its own: ours would be measured. */
export function ownCgroup(pid: number, started: string): CgroupFolders | undefined {
  const found = cgroupOf(pid);
  const ours = cgroupOf("self");
  // Asked after the look: so it was of the same process.
  if (found === undefined || startOf(pid) !== started) return undefined;
  const names = Object.keys(found.folders).filter(isController);
  const folders = Object.fromEntries(names.filter((name) => found.folders[name] !== ours?.folders[name]).map((name) => [name, found.folders[name]]));
  return Object.keys(folders).length === 0 ? undefined : { version: found.version, folders };
}

export function sourceOf(target: WatchTarget, place: CgroupFolders, allocation: Allocation, workspaces: Workspaces | undefined): CounterSource {
  return {
    cgroup: () => readCounters(place),
    network: () => (startOf(target.pid) === target.started ? networkCounters(target.pid) : undefined),
    disk: () => diskUse(target, allocation, workspaces),
  };
}

async function diskUse({ trees, sealed }: WatchTarget, { jobId, limits }: Allocation, workspaces: Workspaces | undefined): Promise<DiskUse | undefined> {
  const workspace = await workspaces?.usage(jobId);
  if (workspace === undefined && trees.length === 0) return undefined;
  const sizes = [];
  for (const tree of trees) sizes.push(await sizeOfTree(tree));
  const beside = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const limit = limits.disk ?? workspace?.limit;
  if (limit === undefined) return undefined;
  const complete = (workspace?.complete ?? true) && sizes.every((size) => size.complete);
  if (workspace?.enforcement === "enforced" && sealed) return { used: workspace.used, limit: workspace.limit, enforcement: "enforced", complete };
  return { used: (workspace?.used ?? 0) + beside, limit, enforcement: "watched", complete };
}

const CONTROLLERS: readonly Controller[] = ["memory", "cpu", "cpuacct", "pids", "blkio"];

function isController(name: string): name is Controller {
  return CONTROLLERS.some((one) => one === name);
}

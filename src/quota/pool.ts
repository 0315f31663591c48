/**
 * What there is to give: a share of what this process may use of the host. A process in a container or a service with limits
 * has less than the host, so the cgroups above it count.
 */
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { cgroupOf } from "./cgroup/mounts.ts";

/** Cores and bytes. */
export interface Capacity {
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

export interface PoolSettings {
  /** Share of the host, 0.01 to 1. */
  readonly share: number;
  readonly overcommit: boolean;
  readonly overcommitRatio: number;
  /** Memory too; overcommitted memory ends in the kernel killing somebody. */
  readonly overcommitMemory: boolean;
}

/** What the machine has for us. `disk` is what is free in `folder` and what is in use of it for jobs already. */
export function hostCapacity(folder: string, usedForJobs = 0): Capacity {
  const limits = cgroupLimits();
  const { bavail, bsize } = statfsSync(existing(folder));
  return { cpu: Math.min(availableParallelism(), limits.cpu), memory: Math.min(totalmem(), limits.memory), disk: bavail * bsize + usedForJobs };
}

/** What jobs are given of it. */
export function poolOf(capacity: Capacity, { share, overcommit, overcommitRatio, overcommitMemory }: PoolSettings): Capacity {
  const ratio = overcommit ? overcommitRatio : 1;
  return {
    cpu: Math.floor(capacity.cpu * share * ratio * 1000) / 1000,
    memory: Math.floor(capacity.memory * share * (overcommitMemory ? ratio : 1)),
    // A disk that is full breaks every job at once.
    disk: Math.floor(capacity.disk * share),
  };
}

/** The narrowest of the cgroups that this process is in, up to the root. */
function cgroupLimits(): { readonly cpu: number; readonly memory: number } {
  const none = { cpu: Number.POSITIVE_INFINITY, memory: Number.POSITIVE_INFINITY };
  const own = cgroupOf("self");
  if (own === undefined) return none;
  const { cpu, memory } = own.folders;
  return {
    memory:
      memory === undefined ? none.memory : narrowest(memory, (folder) => number(join(folder, own.version === 1 ? "memory.limit_in_bytes" : "memory.max"))),
    cpu: cpu === undefined ? none.cpu : narrowest(cpu, (folder) => (own.version === 1 ? quotaV1(folder) : quotaV2(folder))),
  };
}

function narrowest(folder: string, limit: (folder: string) => number | undefined): number {
  let least = Number.POSITIVE_INFINITY;
  for (let at = folder; at !== "/" && at !== "/sys/fs"; at = dirname(at)) least = Math.min(least, limit(at) ?? Number.POSITIVE_INFINITY);
  return least;
}

function quotaV1(folder: string): number | undefined {
  const quota = number(join(folder, "cpu.cfs_quota_us"));
  const period = number(join(folder, "cpu.cfs_period_us"));
  return quota === undefined || period === undefined || quota <= 0 || period <= 0 ? undefined : quota / period;
}

function quotaV2(folder: string): number | undefined {
  // "max PERIOD" for none.
  const [, quota, period] = /^(\d+) (\d+)$/.exec(read(join(folder, "cpu.max"))) ?? [];
  return quota === undefined || period === undefined ? undefined : Number(quota) / Number(period);
}

function number(path: string): number | undefined {
  const text = read(path);
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

/** The folder, or the nearest one above it that is there already. */
function existing(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    try {
      statfsSync(at);
      return at;
    } catch {
      if (dirname(at) === at) return at;
    }
  }
}

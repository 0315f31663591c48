/**
 * What a cgroup has used, from the kernel's own counters, in one form for both versions. Counters only grow, so what happens
 * between two looks is not lost. Sources: Documentation/admin-guide/cgroup-v1/{memory,cpuacct,pids,blkio-controller}.rst,
 * cgroup-v2.rst, Documentation/scheduler/sched-bwc.rst.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CgroupFolders, Controller } from "./mounts.ts";

/** Each part is absent when its controller does not say. */
export interface CgroupCounters {
  readonly cpu?:
    | {
        /** CPU time, ns. On v1 another controller tells it than the one that throttles. */
        readonly usage?: number | undefined;
        /** Periods in which the quota ran out, and how long tasks waited for the next one, ns. */
        readonly throttledPeriods: number;
        readonly throttledTime: number;
      }
    | undefined;
  readonly memory?:
    | {
        /** Bytes, page cache included. */
        readonly current: number;
        /** Without page cache that can be dropped at once. */
        readonly workingSet: number;
        /** Highest `current`; absent before Linux 5.19 on v2. */
        readonly peak?: number | undefined;
        readonly oomKills: number;
      }
    | undefined;
  readonly pids?: { readonly current: number; readonly peak?: number | undefined /** Forks refused. */; readonly refused: number } | undefined;
  /** Of block devices. On v1, writes that the kernel did later (not O_DIRECT, not sync) are nobody's and not in it. */
  readonly io?: { readonly readBytes: number; readonly writeBytes: number; readonly readOps: number; readonly writeOps: number } | undefined;
}

/** Text of a controller's file, or undefined when it cannot be read. */
export type CgroupReader = (controller: Controller, file: string) => string | undefined;

/** Undefined when the cgroup is gone. */
export function readCounters(place: CgroupFolders): CgroupCounters | undefined {
  const read = readerOf(place);
  const counters = place.version === 1 ? countersV1(read) : countersV2(read);
  return Object.values(counters).every((part) => part === undefined) ? undefined : counters;
}

export function readerOf({ folders }: CgroupFolders): CgroupReader {
  return (controller, file) => {
    const folder = folders[controller];
    if (folder === undefined) return undefined;
    try {
      return readFileSync(join(folder, file), "utf8");
    } catch {
      return undefined;
    }
  };
}

export function countersV1(read: CgroupReader): CgroupCounters {
  const usage = numberIn(read("cpuacct", "cpuacct.usage"));
  const bandwidth = read("cpu", "cpu.stat");
  const current = numberIn(read("memory", "memory.usage_in_bytes"));
  const pids = numberIn(read("pids", "pids.current"));
  const bytes = read("blkio", "blkio.throttle.io_service_bytes_recursive") ?? read("blkio", "blkio.throttle.io_service_bytes");
  const ops = read("blkio", "blkio.throttle.io_serviced_recursive") ?? read("blkio", "blkio.throttle.io_serviced");
  return {
    cpu:
      usage === undefined && bandwidth === undefined
        ? undefined
        : { usage, throttledPeriods: keyed(bandwidth, "nr_throttled"), throttledTime: keyed(bandwidth, "throttled_time") },
    memory:
      current === undefined
        ? undefined
        : {
            current,
            workingSet: Math.max(0, current - keyed(read("memory", "memory.stat"), "total_inactive_file")),
            peak: numberIn(read("memory", "memory.max_usage_in_bytes")),
            oomKills: keyed(read("memory", "memory.oom_control"), "oom_kill"),
          },
    pids: pids === undefined ? undefined : { current: pids, refused: keyed(read("pids", "pids.events"), "max") },
    io:
      bytes === undefined
        ? undefined
        : { readBytes: devices(bytes, "Read"), writeBytes: devices(bytes, "Write"), readOps: devices(ops, "Read"), writeOps: devices(ops, "Write") },
  };
}

export function countersV2(read: CgroupReader): CgroupCounters {
  const cpu = read("cpu", "cpu.stat");
  const current = numberIn(read("memory", "memory.current"));
  const pids = numberIn(read("pids", "pids.current"));
  const io = read("blkio", "io.stat");
  return {
    cpu:
      cpu === undefined
        ? undefined
        : { usage: keyed(cpu, "usage_usec") * 1000, throttledPeriods: keyed(cpu, "nr_throttled"), throttledTime: keyed(cpu, "throttled_usec") * 1000 },
    memory:
      current === undefined
        ? undefined
        : {
            current,
            workingSet: Math.max(0, current - keyed(read("memory", "memory.stat"), "inactive_file")),
            peak: numberIn(read("memory", "memory.peak")),
            oomKills: keyed(read("memory", "memory.events"), "oom_kill"),
          },
    pids: pids === undefined ? undefined : { current: pids, peak: numberIn(read("pids", "pids.peak")), refused: keyed(read("pids", "pids.events"), "max") },
    io:
      io === undefined
        ? undefined
        : { readBytes: named(io, "rbytes"), writeBytes: named(io, "wbytes"), readOps: named(io, "rios"), writeOps: named(io, "wios") },
  };
}

function numberIn(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  return /^\d{1,19}$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** `key 12` on a line of its own. */
function keyed(text: string | undefined, key: string): number {
  return Number(new RegExp(`^${key} (\\d+)$`, "m").exec(text ?? "")?.[1] ?? 0);
}

/** v1: the sum of `8:0 Read 12` over devices. */
function devices(text: string | undefined, kind: string): number {
  return sum(text, new RegExp(`^\\d+:\\d+ ${kind} (\\d+)$`, "gm"));
}

/** v2: the sum of `rbytes=12` over devices. */
function named(text: string, key: string): number {
  return sum(text, new RegExp(`(?<= )${key}=(\\d+)`, "g"));
}

function sum(text: string | undefined, pattern: RegExp): number {
  return [...(text ?? "").matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
}

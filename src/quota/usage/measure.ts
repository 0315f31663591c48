/** What a job uses, in percent of its quota and in raw numbers, from two samples of counters. Pure. */
import type { Allocation } from "../allocation.ts";
import type { CgroupCounters } from "../cgroup/counters.ts";
import type { DiskUse } from "../disk/disk-use.ts";
import type { NetworkCounters } from "../network/counters.ts";

/** Counters at one moment; each part is absent when it cannot be read. */
export interface Sample {
  /** Monotonic, ms. */
  readonly at: number;
  readonly cgroup?: CgroupCounters | undefined;
  readonly network?: NetworkCounters | undefined;
  readonly disk?: DiskUse | undefined;
}

export interface RawUsage {
  /** CPU time since the start, ns, and how long the job was held back by its quota, ns. */
  readonly cpuTime: number;
  readonly throttledTime: number;
  /** Cores in use between the last two samples. */
  readonly cores: number;
  /** Bytes; the second without page cache that can be dropped at once. */
  readonly memory: number;
  readonly workingSet: number;
  readonly pids: number;
  readonly disk: number;
  /** Bytes since the start, and bytes a second between the last two samples. */
  readonly received: number;
  readonly sent: number;
  readonly downloadRate: number;
  readonly uploadRate: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly readRate: number;
  readonly writeRate: number;
}

export type Measured = "cpu" | "memory" | "disk" | "network" | "pids" | "io";
export const MEASURED: readonly Measured[] = ["cpu", "memory", "disk", "network", "pids", "io"];

/**
 * Percent of the quota; may pass 100. Undefined where there is no limit to be a percent of, or nothing to measure: `raw` and
 * `notMeasured` tell which. cpu without a limit is in percent of what was reserved.
 */
export type UsagePercent = { readonly [K in Measured]: number | undefined };

export interface UsageNow {
  readonly percent: UsagePercent;
  readonly raw: RawUsage;
  /** Of these the machine says nothing. */
  readonly notMeasured: readonly Measured[];
}

export function measure({ limits, reserved }: Pick<Allocation, "limits" | "reserved">, before: Sample | undefined, now: Sample): UsageNow {
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000;
  /** Growth a second; a counter that went back belongs to something new. */
  const rate = (of: (sample: Sample) => number | undefined): number => {
    const [was, is] = [before === undefined ? undefined : of(before), of(now)];
    return was === undefined || is === undefined || seconds <= 0 ? 0 : Math.max(0, (is - was) / seconds);
  };
  const { cgroup, network, disk } = now;
  const raw: RawUsage = {
    cpuTime: cgroup?.cpu?.usage ?? 0,
    throttledTime: cgroup?.cpu?.throttledTime ?? 0,
    cores: rate((sample) => sample.cgroup?.cpu?.usage) / 1e9,
    memory: cgroup?.memory?.current ?? 0,
    workingSet: cgroup?.memory?.workingSet ?? 0,
    pids: cgroup?.pids?.current ?? 0,
    disk: disk?.used ?? 0,
    received: network?.received ?? 0,
    sent: network?.sent ?? 0,
    downloadRate: rate((sample) => sample.network?.received),
    uploadRate: rate((sample) => sample.network?.sent),
    readBytes: cgroup?.io?.readBytes ?? 0,
    writeBytes: cgroup?.io?.writeBytes ?? 0,
    readRate: rate((sample) => sample.cgroup?.io?.readBytes),
    writeRate: rate((sample) => sample.cgroup?.io?.writeBytes),
  };
  const readOps = rate((sample) => sample.cgroup?.io?.readOps);
  const writeOps = rate((sample) => sample.cgroup?.io?.writeOps);
  const known = { cpu: cgroup?.cpu?.usage, memory: cgroup?.memory, pids: cgroup?.pids, io: cgroup?.io, network, disk };
  const percents: UsagePercent = {
    cpu: percent([raw.cores, limits.cpu ?? reserved.cpu]),
    memory: percent([raw.workingSet, limits.memory]),
    disk: percent([raw.disk, disk?.limit ?? limits.disk]),
    network: percent([raw.downloadRate, limits.download], [raw.uploadRate, limits.upload]),
    pids: percent([raw.pids, limits.pids]),
    io: percent([raw.readRate, limits.readRate], [raw.writeRate, limits.writeRate], [readOps, limits.readOps], [writeOps, limits.writeOps]),
  };
  const notMeasured = MEASURED.filter((name) => known[name] === undefined);
  const shown = Object.fromEntries(MEASURED.map((name) => [name, known[name] === undefined ? undefined : percents[name]]));
  return { percent: { ...percents, ...shown }, raw, notMeasured };
}

/** The highest of what is limited, with a tenth of a percent. */
function percent(...pairs: readonly (readonly [used: number, limit: number | undefined])[]): number | undefined {
  const parts = pairs.flatMap(([used, limit]) => (limit === undefined || limit === 0 ? [] : [Math.round((used / limit) * 1000) / 10]));
  return parts.length === 0 ? undefined : Math.max(...parts);
}

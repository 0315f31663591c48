/**
 * Are the limits in force? An engine answers 200 to an update and ignores some of it, so the kernel's files are asked.
 * Sources: as in counters.ts.
 */
import { readFileSync } from "node:fs";
import type { Enforcement } from "../allocation.ts";
import type { LimitName, ResourceLimits } from "../limits.ts";
import type { CgroupReader } from "./counters.ts";

export interface LimitProof {
  readonly applied: readonly LimitName[];
  readonly missing: readonly { readonly limit: LimitName; readonly wanted: string; readonly found: string }[];
}

interface ProofRequest {
  readonly limits: ResourceLimits;
  readonly enforcement: Enforcement;
  /** Block devices that io limits are for, as `8:0`. */
  readonly devices: readonly string[];
}

/** Rounding of quotas to microseconds and of memory to pages. */
const CPU_SLACK = 0.005;
const PAGE = 65_536;
const IO_FILES = {
  readRate: { v1: "blkio.throttle.read_bps_device", v2: "rbps" },
  writeRate: { v1: "blkio.throttle.write_bps_device", v2: "wbps" },
  readOps: { v1: "blkio.throttle.read_iops_device", v2: "riops" },
  writeOps: { v1: "blkio.throttle.write_iops_device", v2: "wiops" },
} as const;
export type IoLimitName = keyof typeof IO_FILES;
export const IO_LIMITS: readonly IoLimitName[] = ["readRate", "writeRate", "readOps", "writeOps"];

/** Of cpu, memory, swap, pids and io; network and disk are proven elsewhere. */
export function proveLimits(version: 1 | 2, read: CgroupReader, request: ProofRequest): LimitProof {
  const applied: LimitName[] = [];
  const missing: { limit: LimitName; wanted: string; found: string }[] = [];
  const check = (limit: LimitName, wanted: number | undefined, found: number | undefined, slack: number): void => {
    if (wanted === undefined) return;
    if (found !== undefined && Math.abs(found - wanted) <= slack) applied.push(limit);
    else
      missing.push({
        limit,
        wanted: String(wanted),
        found: found === undefined ? "no such file" : found === Number.POSITIVE_INFINITY ? "none" : String(found),
      });
  };
  const { limits, enforcement } = request;
  const { cpu, memory, swap, pids } = limits;
  if (enforcement === "hard") {
    check("cpu", cpu, cpuLimit(version, read), (cpu ?? 0) * CPU_SLACK);
    check("memory", memory, limitIn(read("memory", version === 1 ? "memory.limit_in_bytes" : "memory.max")), PAGE);
    if (memory !== undefined) checkSwap(memory, swap ?? 0);
  } else {
    check("memory", memory, limitIn(read("memory", version === 1 ? "memory.soft_limit_in_bytes" : "memory.low")), PAGE);
  }
  check("pids", pids, limitIn(read("pids", "pids.max")), 0);
  for (const limit of IO_LIMITS) {
    if (limits[limit] === undefined) continue;
    if (request.devices.length === 0) missing.push({ limit, wanted: String(limits[limit]), found: "no block device to limit" });
    const found = request.devices.map((device) => ioLimit(version, read, limit, device));
    if (found.length > 0) check(limit, limits[limit], found.every((one) => one === found[0]) ? found[0] : Number.POSITIVE_INFINITY, 0);
  }
  return { applied, missing };

  function checkSwap(memoryBytes: number, swapBytes: number): void {
    const text = read("memory", version === 1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max");
    // Without swap accounting there is no file; without swap there is nothing to account.
    if (text === undefined && !hasSwap()) return;
    check("swap", version === 1 ? memoryBytes + swapBytes : swapBytes, limitIn(text), PAGE);
  }
}

function cpuLimit(version: 1 | 2, read: CgroupReader): number | undefined {
  const [quota, period] =
    version === 1 ? [read("cpu", "cpu.cfs_quota_us")?.trim(), read("cpu", "cpu.cfs_period_us")?.trim()] : (read("cpu", "cpu.max")?.trim().split(" ") ?? []);
  if (quota === undefined || period === undefined) return undefined;
  return quota === "max" || quota === "-1" ? Number.POSITIVE_INFINITY : Number(quota) / Number(period);
}

function limitIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return text.trim() === "max" ? Number.POSITIVE_INFINITY : Number(text);
}

function ioLimit(version: 1 | 2, read: CgroupReader, limit: IoLimitName, device: string): number {
  const { v1, v2 } = IO_FILES[limit];
  const lines = (read("blkio", version === 1 ? v1 : "io.max") ?? "").split("\n").map((line) => line.split(" "));
  const words = lines.find(([name]) => name === device)?.slice(1) ?? [];
  const value = version === 1 ? words[0] : words.find((word) => word.startsWith(`${v2}=`))?.slice(v2.length + 1);
  return value === undefined || value === "max" ? Number.POSITIVE_INFINITY : Number(value);
}

/** What to write where, so that io limits hold for a live cgroup: engines have no call for that. */
export function ioWrites(version: 1 | 2, limits: ResourceLimits, devices: readonly string[]): readonly { readonly file: string; readonly text: string }[] {
  return IO_LIMITS.flatMap((limit) => {
    const value = limits[limit];
    const { v1, v2 } = IO_FILES[limit];
    if (value === undefined) return [];
    return devices.map((device) => (version === 1 ? { file: v1, text: `${device} ${value}` } : { file: "io.max", text: `${device} ${v2}=${value}` }));
  });
}

function hasSwap(): boolean {
  try {
    return readFileSync("/proc/swaps", "utf8").trim().split("\n").length > 1;
  } catch {
    return true;
  }
}

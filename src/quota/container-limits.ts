/**
 * An allocation as the limits of a container's create or update, in the engine's spelling. Pure: nothing is looked up, so
 * whoever shows a plan shows what will be sent.
 */
import type { Allocation } from "./allocation.ts";
import { LEAST_MEMORY } from "./limits.ts";

interface DeviceRate {
  readonly Path: string;
  readonly Rate: number;
}

/** Parts of HostConfig (Docker Engine API 1.41, ContainerCreate). */
export interface ContainerLimits {
  /** Billionths of a cpu. Absent: by weight. */
  readonly NanoCpus?: number;
  readonly CpuShares: number;
  readonly Memory?: number;
  readonly MemoryReservation?: number;
  /** Memory and swap together. */
  readonly MemorySwap?: number;
  readonly PidsLimit?: number;
  readonly BlkioDeviceReadBps?: readonly DeviceRate[];
  readonly BlkioDeviceWriteBps?: readonly DeviceRate[];
  readonly BlkioDeviceReadIOps?: readonly DeviceRate[];
  readonly BlkioDeviceWriteIOps?: readonly DeviceRate[];
  readonly Ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly StorageOpt?: { readonly size: string };
}

export interface LimitsTarget {
  /** Block devices that io limits are for: whole disks, `/dev/vda`. Without them there is nothing to limit. */
  readonly devices?: readonly string[] | undefined;
  /** The engine's storage driver can limit a container's own layer (see disk/storage-opt.ts). */
  readonly storageOpt?: boolean | undefined;
}

/** cgroup v1's default for one cpu; what an engine makes of it on v2 keeps the proportion. */
const SHARES_PER_CPU = 1024;

export function createLimits({ limits, reserved, enforcement }: Allocation, { devices = [], storageOpt = false }: LimitsTarget = {}): ContainerLimits {
  const hard = enforcement === "hard";
  const { cpu, memory, swap = 0, pids, disk, readRate, writeRate, readOps, writeOps } = limits;
  const rates = (rate: number | undefined): readonly DeviceRate[] | undefined =>
    rate === undefined || devices.length === 0 ? undefined : devices.map((Path) => ({ Path, Rate: rate }));
  const [readRates, writeRates, readCounts, writeCounts] = [rates(readRate), rates(writeRate), rates(readOps), rates(writeOps)];
  return {
    // Two is the least that the kernel takes.
    CpuShares: Math.max(2, Math.min(262_144, Math.round(reserved.cpu * SHARES_PER_CPU))),
    ...(hard && cpu !== undefined && { NanoCpus: Math.round(cpu * 1e9) }),
    ...(memory !== undefined && (hard ? { Memory: memory, MemorySwap: memory + swap } : { MemoryReservation: Math.max(memory, LEAST_MEMORY) })),
    // Also when soft: a fork bomb takes the whole host with it, and there is no weight for processes.
    ...(pids !== undefined && { PidsLimit: pids }),
    ...(readRates && { BlkioDeviceReadBps: readRates }),
    ...(writeRates && { BlkioDeviceWriteBps: writeRates }),
    ...(readCounts && { BlkioDeviceReadIOps: readCounts }),
    ...(writeCounts && { BlkioDeviceWriteIOps: writeCounts }),
    // Core dumps would fill the workspace, or go where the host's core_pattern says. Open files are left alone: an engine
    // that may not raise its own limit (no CAP_SYS_RESOURCE) could not start the container.
    Ulimits: [{ Name: "core", Soft: 0, Hard: 0 }],
    ...(hard && storageOpt && disk !== undefined && { StorageOpt: { size: String(disk) } }),
  };
}

/** What the pool looks like now: what there is, who has it, who waits, and what went over. */
import type { Allocation, Reservation } from "./allocation.ts";
import type { Capacity } from "./pool.ts";
import type { RecordedViolation } from "./violations.ts";

export interface QuotaStatus {
  /** What this process may use of the machine. */
  readonly capacity: Capacity;
  /** What of it jobs get, overcommit included. */
  readonly pool: Capacity;
  readonly reserved: Reservation;
  /** Below nothing when soft enforcement let in more than there is. */
  readonly free: Reservation;
  readonly held: readonly Allocation[];
  /** In the order in which they will get it. */
  readonly waiting: readonly Allocation[];
  /** Newest first, at most 20. */
  readonly violations: readonly RecordedViolation[];
}

export function statusOf(capacity: Capacity, pool: Capacity, jobs: readonly Allocation[], violations: readonly RecordedViolation[]): QuotaStatus {
  const held = jobs.filter(({ state }) => state === "held");
  const sum = (name: keyof Reservation): number => held.reduce((total, { reserved }) => total + reserved[name], 0);
  const reserved = { cpu: rounded(sum("cpu")), memory: sum("memory"), disk: sum("disk") };
  const free = { cpu: rounded(pool.cpu - reserved.cpu), memory: pool.memory - reserved.memory, disk: pool.disk - reserved.disk };
  return { capacity, pool, reserved, free, held, waiting: jobs.filter(({ state }) => state === "waiting"), violations };
}

/** To thousandths of a cpu. */
function rounded(cpu: number): number {
  return Math.round(cpu * 1000) / 1000;
}

/** What the kernel's side counted of one watch: struct counters_part of native/sensor/record.h. */
import { broken } from "../reader/record.ts";

const CLASSES = 8;
const SIZE = 144;

/** Since the watch began. */
export interface WatchCounters {
  readonly budget: number;
  readonly ring: number;
  readonly untracked: number;
}

export function readCounters(content: Buffer): WatchCounters {
  if (content.length < SIZE) throw broken(`counters of ${content.length} bytes`);
  const sum = (from: number): number => Array.from({ length: CLASSES }, (_, i) => Number(content.readBigUInt64LE(from + 8 * i))).reduce((a, b) => a + b, 0);
  return { budget: sum(8), ring: sum(72), untracked: Number(content.readBigUInt64LE(136)) };
}

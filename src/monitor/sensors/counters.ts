/** What the kernel's side counted of one watch: struct counters_part of native/sensor/record.h. */
import { broken } from "../reader/record.ts";

const CLASSES = 4;
const SIZE = 112;

export interface WatchCounters {
  readonly sent: number;
  readonly budget: number;
  readonly ring: number;
  readonly untracked: number;
}

export function readCounters(content: Buffer): WatchCounters {
  if (content.length < SIZE) throw broken(`counters of ${content.length} bytes`);
  const sum = (from: number): number => Array.from({ length: CLASSES }, (_, i) => Number(content.readBigUInt64LE(from + 8 * i))).reduce((a, b) => a + b, 0);
  return { sent: sum(8), budget: sum(40), ring: sum(72), untracked: Number(content.readBigUInt64LE(104)) };
}

/** CLONE_NEW* bits (clone(2)) by the names of what they make. */
import type { Namespace } from "../event.ts";

const BITS: readonly (readonly [number, Namespace])[] = [
  [0x80, "time"],
  [0x20000, "mount"],
  [0x2000000, "cgroup"],
  [0x4000000, "uts"],
  [0x8000000, "ipc"],
  [0x10000000, "user"],
  [0x20000000, "pid"],
  [0x40000000, "network"],
];

export function namespacesOf(flags: number): Namespace[] {
  return BITS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}

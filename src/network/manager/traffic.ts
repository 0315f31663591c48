/** What monitorNetworkTraffic tells: what our sockets saw, and what the kernel counted and dropped. */
import type { TrafficSnapshot } from "../contract.ts";
import type { Counter, LockCounters } from "../kernel/lock.ts";
import { DROPPED, type DroppedName } from "../kernel/ruleset.ts";

/** Nothing of it comes from inside a container. */
export interface NetworkTraffic extends TrafficSnapshot {
  readonly jobId: string;
  /** On the wire, headers included: from the job's containers, and to them. */
  readonly sent: Counter;
  readonly received: Counter;
  /** Packets that were dropped before any socket, by what they were; only those that there were. */
  readonly dropped: readonly DroppedPackets[];
  /** The counters of the kernel could not be read: the network is gone, or nft is. */
  readonly notMeasured?: string | undefined;
}

export interface DroppedPackets extends Counter {
  readonly kind: DroppedName | "datagrams";
  readonly means: string;
}

const NONE: Counter = { packets: 0, bytes: 0 };

export function trafficOf(jobId: string, seen: TrafficSnapshot, counted: LockCounters | string): NetworkTraffic {
  if (typeof counted === "string") return { ...seen, jobId, sent: NONE, received: NONE, dropped: [], notMeasured: counted };
  const { sent, received, dropped, untold } = counted;
  const kinds: readonly DroppedName[] = ["source", "arp", "frame", "icmp", "protocol", "multicast"];
  const packets = kinds.map((kind): DroppedPackets => ({ kind, means: DROPPED[kind], ...dropped[kind] }));
  const datagrams: DroppedPackets = { kind: "datagrams", means: "UDP, too much of it at once to look at each", packets: untold, bytes: 0 };
  return { ...seen, jobId, sent, received, dropped: [...packets, datagrams].filter((one) => one.packets > 0) };
}

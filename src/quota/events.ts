/** What a quota manager tells: names and contents of its events. */
import type { EventEmitter } from "node:events";
import type { Allocation } from "./allocation.ts";
import type { LimitName } from "./limits.ts";

export type WatchedResource = "cpu" | "memory" | "pids" | "disk" | "network" | "io";

export interface UsageAlert {
  readonly jobId: string;
  readonly resource: WatchedResource;
  /** Percent of the quota. */
  readonly percent: number;
  readonly threshold: number;
}

/** `killed`: the kernel's out-of-memory killer. `refused`: a fork past the limit. `throttled`: the job was made to wait. `exceeded`: more than the limit is in use. */
export type ViolationKind = "killed" | "refused" | "throttled" | "exceeded";

export interface QuotaViolation {
  readonly jobId: string;
  readonly resource: WatchedResource;
  readonly kind: ViolationKind;
  /** Since the last event of this kind. */
  readonly times: number;
  readonly total: number;
  /** `enforced` by the kernel, or `watched`: found by looking, after it happened. */
  readonly enforcement: "enforced" | "watched";
}

export interface AppliedLimits {
  readonly jobId: string;
  readonly containerId: string;
  /** Proven from the kernel's own files. */
  readonly applied: readonly LimitName[];
  /** Not held by the kernel: looked at, and the job is stopped when it is over. */
  readonly watched: readonly LimitName[];
  /** Asked for, and not in force. */
  readonly missing: readonly { readonly limit: LimitName; readonly wanted: string; readonly found: string }[];
}

/** Events by name, as EventEmitter wants them. */
export interface QuotaEvents {
  resourcesAllocated: [Allocation];
  resourcesQueued: [{ readonly jobId: string; readonly before: number }];
  resourcesReleased: [Allocation];
  /** Its owner is gone. */
  allocationReclaimed: [Allocation];
  /** Another process took this one for gone; what it held is on nobody's books. */
  allocationsLost: [{ readonly jobIds: readonly string[] }];
  limitsApplied: [AppliedLimits];
  quotaAlert: [UsageAlert];
  quotaViolation: [QuotaViolation];
  /** A job's counters could not be read, or a stop did not work: it is not watched as it should be. */
  monitorFault: [{ readonly jobId: string; readonly message: string }];
}

/** Tells every listener. The raw ones: only they take a listener of once() off again. */
export function tell<K extends keyof QuotaEvents>(emitter: EventEmitter<QuotaEvents>, name: K, ...args: QuotaEvents[K]): void {
  for (const listener of emitter.rawListeners(name)) {
    try {
      Promise.resolve(Reflect.apply(listener, emitter, args)).catch(() => undefined);
    } catch {
      // A listener's failure, here or in its promise, is its own.
    }
  }
}

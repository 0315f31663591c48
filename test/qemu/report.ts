/** What the guest measures, printed as one line of JSON. The test outside decides what is right. */

export interface Run {
  /** Code and words of the error when the jail did not run; then all but `left` is missing. */
  readonly error?: string;
  readonly message?: string;
  readonly exit?: number;
  readonly killedBy?: string;
  readonly cgroup?: readonly string[];
  readonly memory?: "kernel" | "watched";
  readonly landlock?: number;
  /** Limits that were reached. */
  readonly limits?: readonly string[];
  readonly notes?: readonly string[];
  /** Bytes. */
  readonly peak?: number;
  /** CPU time by wall time. */
  readonly share?: number;
  /** The jail's cgroup while it ran, from the root of the hierarchy. */
  readonly where?: string;
  /** Jails' cgroups that were there when it had ended. */
  readonly left?: readonly string[];
}

export interface Scenario {
  readonly name: string;
  /** Why there are no runs. */
  readonly failed?: string;
  readonly runs: Readonly<Record<string, Run>>;
  /** The caller's cgroup before and after. */
  readonly before: string;
  readonly after: string;
}

/** What the quota manager says of a job that passed every limit once. */
export interface QuotaFacts {
  readonly version: 1 | 2;
  readonly applied: readonly string[];
  readonly missing: readonly string[];
  readonly usage: {
    readonly raw: { readonly cpuTime: number };
    readonly peak: { readonly memory: number };
    readonly notMeasured: readonly string[];
    readonly violations: { readonly oomKills: number; readonly forksRefused: number; readonly throttledPeriods: number };
  };
  readonly violations: readonly { readonly resource: string; readonly kind: string }[];
}

/** What the monitor's freezer does to processes that make others all the time. */
export interface FreezerFacts {
  readonly freezer: "v1" | "v2" | "none";
  /** They were at work before. */
  readonly ran: boolean;
  readonly processes: number;
  /** Until all of them stood. */
  readonly ms: number;
  readonly frozen: boolean;
  readonly stoodStill: boolean;
  readonly wentOn: boolean;
  readonly thawed: boolean;
  /** Their first one died while it was stopped. */
  readonly killedFrozen: boolean;
  readonly left: number;
}

export interface Report {
  readonly kernel: string;
  /** Or why there is none. */
  readonly freezer: FreezerFacts | string;
  /** Or why there is none. */
  readonly quota: QuotaFacts | string;
  readonly scenarios: readonly Scenario[];
}

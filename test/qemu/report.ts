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

export interface Report {
  readonly kernel: string;
  readonly scenarios: readonly Scenario[];
}

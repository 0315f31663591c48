/** One install as it is remembered: what it left on the disk, and what scripts did on the way. */
import type { Decision } from "../install/result.ts";

export interface InstalledVersion {
  readonly name: string;
  readonly version: string;
  /** As the lockfile names it; undefined where it names none. */
  readonly integrity: string | undefined;
}

export interface RememberedScript {
  readonly name: string;
  /** Empty where it is not known. */
  readonly version: string;
  /** `postinstall`. */
  readonly event: string;
  /** False: it was skipped, for the reason in `why`. */
  readonly ran: boolean;
  readonly why: string;
  /** Exit code; undefined when it was skipped or killed. */
  readonly exit: number | undefined;
  readonly killedBy: string | undefined;
  /** The first of what it was refused, `network telemetry.example:443`, and how much it was. */
  readonly refused: readonly string[];
  readonly refusedCount: number;
  /** Granted names that it reached, `host:port`. */
  readonly reached: readonly string[];
}

export interface Install {
  readonly runId: string;
  /** The project's real path. */
  readonly project: string;
  /** Wall time, ms since the epoch. */
  readonly at: number;
  /** `npm ci`. */
  readonly command: string;
  readonly level: string;
  readonly decision: Decision;
  /** Why the decision is not `allowed`. */
  readonly code: string | undefined;
  /** False when it was stopped before anything was installed, or its tree was moved aside: the packages were only asked for. */
  readonly onDisk: boolean;
  readonly policyDigest: string;
  /** First and last number of its events in the audit trail. */
  readonly auditRange: readonly [number, number] | undefined;
}

export interface RecordedInstall extends Install {
  readonly packages: readonly InstalledVersion[];
  readonly scripts: readonly RememberedScript[];
}

/** An install that had the package, with its versions there and their scripts. */
export interface FoundInstall extends Install {
  readonly versions: readonly InstalledVersion[];
  readonly scripts: readonly RememberedScript[];
}

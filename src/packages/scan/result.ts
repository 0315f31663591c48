/** What a scan came to: the facts that the table, JSON, SARIF, CycloneDX and the audit trail are all made from. */
import type { ErrorCode } from "../../foundation/index.ts";
import type { AdvisoryDetails, Finding, SourceStatus, Unjudged } from "../../vulnerability/index.ts";

/** Where a package stands: `line` is 1-based, in `file` (relative to the scanned folder). */
export interface Place {
  /** `node_modules/a/node_modules/b`. */
  readonly path: string;
  readonly file: string;
  readonly line?: number | undefined;
}

/** What to do about a package. */
export interface Fix {
  /** The smallest version that none of the known advisories affects; undefined when no record names one. */
  readonly version?: string | undefined;
  /** What to type, or undefined when no one command does it. */
  readonly command?: string | undefined;
  /** What stands in the way: `a@1.0.0 asks for ^1.1.0`. */
  readonly note?: string | undefined;
}

/** `deny` stops, `warn` is said; `accepted` by an exception of the policy; `had` already by the base: said, until it runs out. */
export type Verdict = "deny" | "warn" | "accepted" | "had";

export interface ScannedFinding extends Finding {
  readonly verdict: Verdict;
  /** Why this verdict, in words: `critical with a fix, new since 1f3a2b4`. */
  readonly reason: string;
  /** One of the shortest ways from the project to the package: `["app", "a@1.0.0", "b@2.0.0"]`. */
  readonly path: readonly string[];
  readonly places: readonly Place[];
  readonly fix: Fix;
  /** Development only. */
  readonly dev: boolean;
  /** What `cofferdam policy allow` takes; undefined where nothing can accept it. */
  readonly allow?: string | undefined;
  /** The exception that accepts it. */
  readonly exception?: { readonly reason: string; readonly until?: string | undefined } | undefined;
  /** Last day (`YYYY-MM-DD`) that a finding the base had is only reported. */
  readonly hadUntil?: string | undefined;
  /** What the advisory is about, one line; undefined where no record is held. */
  readonly title?: string | undefined;
  /** The rest of what its record says, where it was asked for. */
  readonly details?: AdvisoryDetails | undefined;
}

/** How a source stands against the level's limits. */
export interface JudgedSource extends SourceStatus {
  readonly status: "fresh" | "old" | "stale" | "missing";
}

export interface ScanResult {
  /** As the user named it, or the file that was found. */
  readonly target: string;
  /** The scanned folder, real path. */
  readonly root: string;
  /** `package-lock.json` and the like, relative to `root`; `node_modules` for an installed tree; undefined for a PURL. */
  readonly file: string | undefined;
  readonly packages: number;
  readonly findings: readonly ScannedFinding[];
  readonly unjudged: readonly Unjudged[];
  readonly sources: readonly JudgedSource[];
  /** `not-scanned`: there was no data, or it was too old for the level. */
  readonly decision: "allowed" | "denied" | "not-scanned";
  /** Why, one sentence each. */
  readonly reasons: readonly string[];
  /** What the findings were compared with: `1f3a2b4 (merge base with origin/main)`, or why there is nothing. */
  readonly base: { readonly ref?: string | undefined; readonly note: string };
  readonly level: string;
  readonly mode: "enforce" | "observe";
  readonly policyDigest: string;
  /** The code that the command ends with; undefined when all is well. */
  readonly stoppedBy?: ErrorCode | undefined;
  readonly tookMs: number;
  readonly auditRange: readonly [number, number] | undefined;
}

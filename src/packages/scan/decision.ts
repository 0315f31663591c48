/** From findings, what could not be judged, and the age of the data to one decision with its reasons. */
import type { ErrorCode } from "../../foundation/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { Unjudged } from "../../vulnerability/index.ts";
import type { Freshness } from "./freshness.ts";
import type { ScannedFinding } from "./result.ts";

export interface Decided {
  readonly decision: "allowed" | "denied" | "not-scanned";
  readonly reasons: readonly string[];
  readonly stoppedBy: ErrorCode | undefined;
}

export function decide(findings: readonly ScannedFinding[], unjudged: readonly Unjudged[], freshness: Freshness, policy: EffectivePolicy): Decided {
  const denied = findings.filter(({ verdict }) => verdict === "deny");
  const open = openUnjudged(unjudged, policy);
  const observed = policy.values.mode === "observe";
  const reasons = [
    ...(denied.length === 0 ? [] : [`${denied.length} denied`]),
    ...(open.length === 0 ? [] : [`${open.length} could not be judged`]),
    ...freshness.refusals,
    ...freshness.warnings,
  ];
  if (denied.length > 0 || (open.length > 0 && !observed)) return { decision: "denied", reasons, stoppedBy: "SECURITY_VIOLATION" };
  if (freshness.refusals.length > 0) return { decision: "not-scanned", reasons, stoppedBy: observed ? undefined : "SCAN_STALE" };
  return { decision: "allowed", reasons, stoppedBy: undefined };
}

/** What `policy allow` takes for a package that could not be judged by a record. */
export function allowanceOf({ id, package: name, version }: Unjudged): string {
  return `${id ?? "unjudged"} ${name}${version === "" ? "" : `@${version}`}`;
}

/** Neither affected nor fine: from medium on that is not good enough, unless an exception accepts it. */
export function openUnjudged(unjudged: readonly Unjudged[], policy: EffectivePolicy): readonly Unjudged[] {
  return policy.values.level === "low" ? [] : unjudged.filter((one) => policy.allowance(allowanceOf(one)) === undefined);
}

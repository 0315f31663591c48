/** What a level makes of a finding. The order is the order of the design: malware, exceptions, exploited, severity, the ratchet. */
import type { Allowance, PolicyValues } from "../../policy/index.ts";
import type { Finding, Severity } from "../../vulnerability/index.ts";
import type { Verdict } from "./result.ts";

export interface Judgement {
  readonly verdict: Verdict;
  readonly reason: string;
  readonly allow: string | undefined;
  readonly exception: { readonly reason: string; readonly until?: string | undefined } | undefined;
  readonly hadUntil: string | undefined;
}

export interface JudgementContext {
  readonly values: PolicyValues;
  allowance(what: string): Allowance | undefined;
  /** `1f3a2b4`, when there is a base to compare with. */
  readonly base: string | undefined;
  /** When a finding that the base had was first seen, ms since the epoch; undefined for one that the base did not have. */
  hadSince(finding: Finding): number | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export function judgeFinding(finding: Finding, context: JudgementContext): Judgement {
  const { values } = context;
  const subject = `${finding.package}@${finding.version}`;
  const exception = [finding.id, ...finding.aliases].map((id) => context.allowance(`${id} ${subject}`)).find((one) => one !== undefined);
  const base = { allow: `${finding.id} ${subject}`, exception: undefined, hadUntil: undefined };
  // What is malicious today is not accepted for ever: such an exception needs a last day.
  if (exception !== undefined && (!finding.malware || exception.until !== undefined))
    return { ...base, verdict: "accepted", reason: `accepted: ${exception.reason}`, exception: { reason: exception.reason, until: exception.until } };
  if (finding.malware) return { ...base, verdict: "deny", reason: exception === undefined ? "malware" : "malware; an exception for it needs an end (until)" };
  const judged = { ...base, ...bySeverity(finding, context) };
  if (judged.verdict === "deny" && values.mode === "observe")
    return { ...judged, verdict: "warn", reason: `${judged.reason}; level ${values.level} would deny it` };
  return judged;
}

type Partial = Pick<Judgement, "verdict" | "reason"> & { readonly hadUntil?: string };

function bySeverity(finding: Finding, context: JudgementContext): Partial {
  const { values } = context;
  if (finding.kev !== undefined && values["advisories.exploited"] === "deny")
    return { verdict: "deny", reason: `known to be exploited since ${finding.kev.dateAdded}${finding.kev.ransomware ? ", by ransomware too" : ""}` };
  const fixable = finding.fixed.length > 0;
  const what = `${finding.severity === "unknown" ? "of unknown severity" : finding.severity}${fixable ? " with a fix" : ", no fix known"}`;
  if (!isDeniedSeverity(finding.severity, values["advisories.deny"])) return { verdict: "warn", reason: what };
  if (values["advisories.only-fixable"] && !fixable) return { verdict: "warn", reason: what };
  if (!values["advisories.only-new"]) return { verdict: "deny", reason: what };
  const since = context.hadSince(finding);
  if (since === undefined)
    return { verdict: "deny", reason: `${what}, ${context.base === undefined ? "and nothing to compare with" : `new since ${context.base}`}` };
  const until = since + values["advisories.ratchet"];
  const day = new Date(until).toISOString().slice(0, 10);
  if (context.now > until) return { verdict: "deny", reason: `${what}; ${context.base ?? "the base"} had it already, which was accepted until ${day}` };
  return { verdict: "had", reason: `${what}; ${context.base ?? "the base"} had it already: only reported until ${day}`, hadUntil: day };
}

/** Unknown counts as medium: at paranoid, what nobody has rated is no reason to go on. */
const RANK: Readonly<Record<Severity, number>> = { critical: 4, high: 3, medium: 2, unknown: 2, low: 1 };
const FROM: Readonly<Record<PolicyValues["advisories.deny"], number>> = { none: 5, critical: 4, high: 3, medium: 2, low: 1 };

export function isDeniedSeverity(severity: Severity, from: PolicyValues["advisories.deny"]): boolean {
  return RANK[severity] >= FROM[from];
}

/** The seed's security metrics: the score of the last seven days, and what is counted. What nobody can count yet is named. */
import { type AuditEvent, factsOf } from "../audit/index.ts";
import { type Clock, CofferdamError } from "../foundation/index.ts";
import type { JobStore } from "./job-store.ts";
import { eventsSince, type JobTrail, trailState } from "./job-trail.ts";
import { type JobReport, parseReport } from "./report/schema.ts";
import { installUnits } from "./score/install-evidence.ts";
import { jobUnit } from "./score/job-evidence.ts";
import { computeScore, type Score, WINDOW_MS } from "./score/score.ts";
import { SEVERITIES, type Severity } from "./threats/threat.ts";
import type { ThreatStore } from "./threats/threat-store.ts";

/** Of the last seven days, but for what is open or going on now. */
export interface SecurityMetrics {
  /** Absent when nothing was seen: no evidence is no score. */
  readonly score: Score | undefined;
  readonly openThreats: Readonly<Record<Severity, number>>;
  /** By state; those that have ended as far as their reports are kept. */
  readonly jobs: Readonly<Record<string, number>>;
  /** Jobs that the policy blocked or stopped. */
  readonly policyViolations: number;
  /** Logins, tokens and sessions that were refused, and jobs that nobody could be named for. */
  readonly failedAuthentications: number;
  readonly quotaViolations: number;
  readonly auditEvents: Readonly<Record<string, number>>;
  /** Of the seed's list, what this version has no source for. */
  readonly notMeasured: readonly string[];
}

/** Events read at most; past it counting is refused rather than wrong. */
const MAX_EVENTS = 1_000_000;
const NOT_MEASURED = ["scan findings of images", "network violations"] as const;

export interface MetricsParts {
  readonly jobs: JobStore;
  readonly threats: ThreatStore;
  readonly audit: JobTrail;
  readonly clock: Clock;
}

/** Verifies the whole trail: as long as that takes. Throws RESOURCE_EXHAUSTED past a million events in seven days. */
export async function securityMetrics({ jobs, threats, audit, clock }: MetricsParts): Promise<SecurityMetrics> {
  const now = clock.now();
  const since = now - WINDOW_MS;
  const reports = (await jobs.endedSince(since)).map(({ report }) => parseReport(report));
  const open = await threats.open();
  const trail = await trailState(audit);
  const { installs, categories, refusedLogins } = await eventsOf(audit, new Date(since).toISOString());
  const units = [...reports.map((report) => jobUnit(report, trail)), ...installUnits(installs, trail)];
  const stopped = (code: string): number => reports.filter(({ stoppedBy }) => stoppedBy?.code === code).length;
  return {
    score: computeScore({ units, threats: open, chainVerified: trail.whole, now }),
    openThreats: countBySeverity(open),
    jobs: await jobs.counts(),
    policyViolations: stopped("SECURITY_VIOLATION"),
    failedAuthentications: stopped("UNAUTHENTICATED") + refusedLogins,
    quotaViolations: reports.reduce((sum, report) => sum + quotaViolationsOf(report), 0),
    auditEvents: categories,
    notMeasured: NOT_MEASURED,
  };
}

async function eventsOf(
  audit: JobTrail,
  startDate: string,
): Promise<{ readonly installs: readonly AuditEvent[]; readonly categories: Record<string, number>; readonly refusedLogins: number }> {
  const installs: AuditEvent[] = [];
  const categories: Record<string, number> = {};
  let [read, refusedLogins] = [0, 0];
  for await (const event of eventsSince(audit, { startDate })) {
    if (++read > MAX_EVENTS) throw new CofferdamError("RESOURCE_EXHAUSTED", `more than ${MAX_EVENTS} audit events in seven days: they are not counted here`);
    categories[event.category] = (categories[event.category] ?? 0) + 1;
    if (event.category === "packages") installs.push(event);
    if (event.category === "identity" && event.result === "failure") {
      // A flood is one event with a count.
      const { kind, count } = factsOf(event);
      if (kind === "login") refusedLogins += count;
    }
  }
  return { installs, categories, refusedLogins };
}

function quotaViolationsOf({ violations }: JobReport): number {
  return violations.filter(({ rule }) => rule.startsWith("quota.")).reduce((sum, { times }) => sum + times, 0);
}

function countBySeverity(open: readonly { readonly severity: Severity }[]): Record<Severity, number> {
  const counts: Record<Severity, number> = { critical: 0, high: 0, medium: 0, low: 0 };
  for (const severity of SEVERITIES) counts[severity] = open.filter((threat) => threat.severity === severity).length;
  return counts;
}

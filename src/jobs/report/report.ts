/** From the facts of a job to its report: what they come to, what is not covered, what to do about it, within its bound. */
import { jobUnit } from "../score/job-evidence.ts";
import { computeScore, type Score } from "../score/score.ts";
import { SEVERITIES, type Threat } from "../threats/threat.ts";
import { Bounds } from "./bounds.ts";
import { boundedNetwork } from "./network.ts";
import { recommendationsFor } from "./recommend.ts";
import {
  type Check,
  type JobFacts,
  type JobImage,
  type JobMonitoring,
  type JobProof,
  type JobReport,
  type JobResources,
  type JobWorkspace,
  type NotCovered,
  REPORT_SCHEMA,
  RESOURCES,
  type ResourceAmounts,
  type StoppedBy,
} from "./schema.ts";

/** What this version does not do for any job. The list shrinks as rooms are built; it is never left out. */
export const NOT_COVERED: readonly NotCovered[] = [{ what: "image scan", means: "nobody looked for known vulnerabilities or malware in the image" }];

const KiB = 1024;
/** Shares of the bound; together with the rest, which is of fixed size, they stay below MAX_REPORT_BYTES. */
const SHARES = {
  command: { count: 64, bytes: 8 * KiB },
  held: { count: 64, bytes: 2 * KiB },
  controls: { count: 300, bytes: 48 * KiB },
  names: { count: 100, bytes: 6 * KiB },
  threats: { count: 100, bytes: 48 * KiB },
  violations: { count: 100, bytes: 16 * KiB },
  observed: { count: 60, bytes: 12 * KiB },
  limits: { count: 16, bytes: 4 * KiB },
  leftOut: { count: 200, bytes: 24 * KiB },
  leftBehind: { count: 50, bytes: 8 * KiB },
  events: { count: 100, bytes: 24 * KiB },
  found: { count: 50, bytes: 6 * KiB },
  connections: { count: 100, bytes: 24 * KiB },
  dns: { count: 100, bytes: 16 * KiB },
  notes: { count: 20, bytes: 4 * KiB },
} as const;
/** Bytes of one text of a list, and of one that stands alone. */
const SHORT = 400;
const LONG = 1200;
/** Bytes of what a threat brings along; the audit trail has all of it. */
const THREAT_JSON = 2 * KiB;

/** Pure: the same facts give the same report. */
export function buildReport(facts: JobFacts): JobReport {
  const bounds = new Bounds();
  const short = (text: string): string => bounds.text(text, SHORT);
  const list = (name: string, entries: readonly string[], share: { readonly count: number; readonly bytes: number }): string[] =>
    bounds.list(name, entries, share, short);
  const resources = resourcesOf(facts.resources, bounds, short);
  const score = scoreOf(facts, short);
  const { auditTrail, leakScan, leftBehind, reconciled, repository, stoppedBy, proof } = facts;
  return {
    schema: REPORT_SCHEMA,
    jobId: short(facts.jobId),
    ...(repository === undefined ? {} : { repository: short(repository) }),
    identity: identityOf(facts, short),
    image: imageOf(facts.image, bounds),
    command: list("command", facts.command, SHARES.command),
    verdict: facts.verdict,
    ...(facts.exit === undefined ? {} : { exit: facts.exit }),
    ...(stoppedBy === undefined ? {} : { stoppedBy: stoppedOf(stoppedBy, bounds) }),
    times: facts.times,
    level: facts.level,
    mode: facts.mode,
    policyDigest: short(facts.policyDigest),
    checks: checksOf(facts, short),
    ...(proof === undefined ? {} : { proof: proofOf(proof, bounds, short) }),
    applied: list("applied", facts.applied, SHARES.names),
    refused: list("refused", facts.refused, SHARES.names),
    notCovered: [...NOT_COVERED, ...unwatched(facts.monitoring, short)],
    ...(facts.monitoring === undefined ? {} : { monitoring: monitoringOf(facts.monitoring, bounds, short) }),
    threats: bounds.list("threats", worstFirst(facts.threats), SHARES.threats, (threat) => shortThreat(threat, bounds, short)),
    violations: bounds.list("violations", facts.violations, SHARES.violations, (one) => ({ ...one, rule: short(one.rule), message: short(one.message) })),
    resources,
    network: boundedNetwork(facts.network, bounds, { connections: SHARES.connections, dns: SHARES.dns, notes: SHARES.notes }, short),
    workspace: workspaceOf(facts.workspace, bounds, short),
    log: facts.log,
    secretsUsed: list("secretsUsed", facts.secretsUsed, SHARES.names),
    ...(facts.secretVariables === undefined ? {} : { secretVariables: list("secretVariables", facts.secretVariables, SHARES.names) }),
    ...(leakScan === undefined ? {} : { leakScan: { ...leakScan, notLookedAt: list("leakScan.notLookedAt", leakScan.notLookedAt, SHARES.names) } }),
    leftBehind: bounds.list("leftBehind", leftBehind, SHARES.leftBehind, ({ what, why }) => ({ what: short(what), why: short(why) })),
    auditTrail: {
      ...auditTrail,
      events: bounds.ends("auditTrail.events", auditTrail.events, SHARES.events, (event) => ({
        ...event,
        category: short(event.category),
        action: short(event.action),
      })),
    },
    ...(score === undefined ? {} : { score }),
    recommendations: recommendationsFor(facts, resources.percent).map((one) => ({ ...one, message: short(one.message), fix: short(one.fix) })),
    ...(reconciled === undefined ? {} : { reconciled: { at: reconciled.at, found: list("reconciled.found", reconciled.found, SHARES.found) } }),
    cut: bounds.cut,
  };
}

function scoreOf(facts: JobFacts, short: (text: string) => string): Score | undefined {
  const score = computeScore({
    units: [jobUnit(facts)],
    threats: facts.threats,
    chainVerified: facts.auditTrail.verified,
    absent: { install: "the score of one job counts that job" },
    now: Date.parse(facts.times.ended),
  });
  return score === undefined ? undefined : { ...score, lines: score.lines.map((line) => ({ ...line, why: short(line.why) })) };
}

function resourcesOf(resources: JobFacts["resources"], bounds: Bounds, short: (text: string) => string): JobResources {
  const percent: Record<string, number> = {};
  for (const name of RESOURCES) {
    const [peak, quota] = [resources.peak[name], resources.quota[name]];
    if (peak !== undefined && quota !== undefined && quota > 0) percent[name] = Math.round((1000 * peak) / quota) / 10;
  }
  const limits = bounds.list("resources.limits", resources.limits, SHARES.limits, ({ note, ...limit }) =>
    note === undefined ? limit : { ...limit, note: short(note) },
  );
  return { ...resources, limits, percent: percent satisfies ResourceAmounts };
}

function identityOf({ identity: { rule, uid, name } }: JobFacts, short: (text: string) => string): JobReport["identity"] {
  return { rule: short(rule), ...(uid === undefined ? {} : { uid }), ...(name === undefined ? {} : { name: short(name) }) };
}

function imageOf({ reference, id, digest, scanned }: JobImage, bounds: Bounds): JobImage {
  return {
    reference: bounds.text(reference, LONG),
    ...(id === undefined ? {} : { id: bounds.text(id, SHORT) }),
    ...(digest === undefined ? {} : { digest: bounds.text(digest, SHORT) }),
    scanned,
  };
}

function stoppedOf({ code, message, hint }: StoppedBy, bounds: Bounds): StoppedBy {
  return { code, message: bounds.text(message, LONG), ...(hint === undefined ? {} : { hint: bounds.text(hint, LONG) }) };
}

function checksOf({ checks }: JobFacts, short: (text: string) => string): JobReport["checks"] {
  const shorter = ({ state, why }: Check): Check => ({ state, why: short(why) });
  return {
    authentication: shorter(checks.authentication),
    authorization: shorter(checks.authorization),
    scanning: shorter(checks.scanning),
    resourceAllocation: shorter(checks.resourceAllocation),
    networkIsolation: shorter(checks.networkIsolation),
  };
}

/** Differences first, so that they are the last to be left out. */
function proofOf({ at, held, controls }: JobProof, bounds: Bounds, short: (text: string) => string): JobProof {
  const ordered = [...controls.filter(({ ok }) => !ok), ...controls.filter(({ ok }) => ok)];
  return {
    at,
    held: bounds.list("proof.held", held, SHARES.held, short),
    controls: bounds.list("proof.controls", ordered, SHARES.controls, ({ name, what, expected, actual, ok }) => ({
      ...{ name: short(name), what: short(what), expected: short(expected), actual: short(actual), ok },
    })),
  };
}

function workspaceOf({ leftOut, planted, path, ...rest }: JobWorkspace, bounds: Bounds, short: (text: string) => string): JobWorkspace {
  return {
    ...rest,
    ...(path === undefined ? {} : { path: bounds.text(path, LONG) }),
    leftOut: bounds.list("workspace.leftOut", leftOut, SHARES.leftOut, (one) => ({ path: short(one.path), why: short(one.why) })),
    ...(planted === undefined ? {} : { planted: bounds.list("workspace.planted", planted, SHARES.leftOut, short) }),
  };
}

function unwatched(monitoring: JobMonitoring | undefined, short: (text: string) => string): readonly NotCovered[] {
  const { state = "off", why } = monitoring ?? {};
  if (state === "watching") return [];
  const reason = why === undefined ? "" : `: ${short(why)}`;
  if (state === "degraded") return [{ what: "part of the runtime monitor", means: `not everything that its processes did was seen${reason}` }];
  const once = (monitoring?.events ?? 0) > 0 ? "for a while " : "";
  return [{ what: "runtime monitor", means: `${once}nobody watched what its processes did${reason}` }];
}

function monitoringOf({ why, lacks, notes, evidence, baseline, ...counts }: JobMonitoring, bounds: Bounds, short: (text: string) => string): JobMonitoring {
  return {
    ...counts,
    ...(why === undefined ? {} : { why: short(why) }),
    lacks: bounds.list("monitoring.lacks", lacks, SHARES.limits, short),
    notes: bounds.list("monitoring.notes", notes, SHARES.observed, ({ rule, message, times, excepted }) => ({
      ...{ rule: short(rule), message: short(message), times },
      ...(excepted === undefined ? {} : { excepted: short(excepted) }),
    })),
    ...(baseline === undefined ? {} : { baseline: baselineOf(baseline, short) }),
    evidence: bounds.list("monitoring.evidence", evidence, SHARES.limits, ({ path, sha256, bytes }) => ({ path: short(path), sha256, bytes })),
  };
}

function baselineOf({ workflow, job, from, runs }: NonNullable<JobMonitoring["baseline"]>, short: (text: string) => string): JobMonitoring["baseline"] {
  return { ...(workflow === undefined ? {} : { workflow: short(workflow) }), ...(job === undefined ? {} : { job: short(job) }), from: short(from), runs };
}

function worstFirst(threats: readonly Threat[]): readonly Threat[] {
  const rank = ({ state, severity }: Threat): number => (state === "open" ? 0 : SEVERITIES.length) + SEVERITIES.indexOf(severity);
  return threats.toSorted((a, b) => rank(a) - rank(b));
}

function shortThreat(threat: Threat, bounds: Bounds, short: (text: string) => string): Threat {
  const { containerId, jobId, recommendedAction, resolution } = threat;
  return {
    ...threat,
    source: short(threat.source),
    ...(containerId === undefined ? {} : { containerId: short(containerId) }),
    ...(jobId === undefined ? {} : { jobId: short(jobId) }),
    ...(recommendedAction === undefined ? {} : { recommendedAction: short(recommendedAction) }),
    ...(resolution === undefined ? {} : { resolution: { by: short(resolution.by), note: short(resolution.note), at: resolution.at } }),
    details: bounds.value("threats.details", threat.details, {}, THREAT_JSON),
    evidence: bounds.value("threats.evidence", threat.evidence, [], THREAT_JSON),
  };
}

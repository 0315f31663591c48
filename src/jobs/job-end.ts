/** The end of a job: what it has goes, its end goes on record, its report is kept. Whatever fails, the next step is tried, and told. */
import type { EventEmitter } from "node:events";
import { type Clock, type JsonObject, wrapError } from "../foundation/index.ts";
import type { NetworkIsolationManager } from "../network/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { ResourceQuotaManager } from "../quota/index.ts";
import type { JobBook } from "./job-book.ts";
import { pruneEvidence } from "./job-evidence.ts";
import type { FoundLeaks } from "./job-leaks.ts";
import { judgeTraffic } from "./job-network.ts";
import type { JobHoldings } from "./job-store.ts";
import { type JobTrail, verifiedSince } from "./job-trail.ts";
import type { LiveJob } from "./live-job.ts";
import type { OpenJob } from "./open-jobs.ts";
import { type OrchestratorEvents, tellAll } from "./orchestrator-events.ts";
import { buildReport } from "./report/report.ts";
import type { JobReport } from "./report/schema.ts";
import { planResponse } from "./threats/response.ts";
import { newThreat } from "./threats/threat.ts";

export interface EndParts {
  readonly audit: JobTrail;
  readonly book: JobBook;
  readonly quota: ResourceQuotaManager;
  readonly networks: NetworkIsolationManager | undefined;
  readonly policy: EffectivePolicy;
  readonly clock: Clock;
  readonly stateDir: string;
  readonly events: EventEmitter<OrchestratorEvents>;
}

/** Never throws. Nothing of the job may go on any more. */
export async function endJob(id: string, open: OpenJob, parts: EndParts): Promise<JobReport> {
  const { audit, book, clock, networks, policy, quota, stateDir } = parts;
  const { job } = open;
  const holds = await takeAway(id, open, quota);
  job.traffic = (await job.attempt("network", async () => await networks?.removeNetwork(id))) ?? job.traffic;
  job.judgeMemory();
  judgeTraffic(job, policy);
  await job.attempt("threats of leaked secrets", async () => await tellLeaks(job, parts));
  job.threats = (await job.attempt("threats", async () => await book.threats.ofJob(id))) ?? job.threats;
  const by = `uid:${job.identity.uid}`;
  await job.attempt("old evidence", async () => await pruneEvidence({ book, audit, stateDir }, { policy, clock, by }));
  await recordEnd(job);
  job.trail = await verifiedSince(audit, job.askedAt);
  return await keepReport(id, open, holds, book);
}

/** Each is a threat; nothing of the job is there any more that could be stopped, so that it is put on record, and told as its level says. */
async function tellLeaks(job: LiveJob, { book, clock, events, policy }: EndParts): Promise<void> {
  for (const input of job.leaks?.threats ?? []) {
    const threat = newThreat(input, clock);
    await book.threats.add(threat);
    const { id, type, severity, source, details } = threat;
    await job.record("ThreatHandled", "failure", { threat: id, type, severity, source, details });
    if (planResponse(job.identity.level, threat, policy.values.mode).includes("alert")) tellAll(events, "securityAlert", threat);
  }
}

/** Container, then what quota has for it; both at once where neither needs the other. */
async function takeAway(id: string, { job, run }: OpenJob, quota: ResourceQuotaManager): Promise<JobHoldings> {
  const release = async (): Promise<void> => {
    job.usage = (await job.attempt("resources", async () => await quota.releaseResources(id, job.outOfMemory)))?.usage;
  };
  if (run === undefined || run.isApart) return (await Promise.all([run?.end() ?? {}, release()]))[0];
  const holds = await run.end();
  if (holds.kept === undefined) await release();
  return holds;
}

/** With each exception's reason and end. */
function leaksOf({ scan: { found }, accepted }: FoundLeaks): JsonObject {
  const exceptions = accepted.slice(0, 20).map(({ kind, fingerprint, exception: { reason, until } }) => ({ kind, fingerprint, reason, until: until ?? null }));
  return { found, accepted: exceptions };
}

/** What is not on record did not pass. */
async function recordEnd(job: LiveJob): Promise<void> {
  const { verdict } = job;
  try {
    await job.record("JobEnded", verdict === "passed" ? "success" : "failure", {
      verdict,
      exit: job.exit ?? null,
      code: job.stoppedBy?.code ?? null,
      threats: job.threats.length,
      ...(job.leaks === undefined || job.leaks.scan.found + job.leaks.scan.accepted === 0 ? {} : { leaks: leaksOf(job.leaks) }),
      violations: job.violations.map(({ rule, times }) => ({ rule, times })).slice(0, 50),
      leftBehind: job.leftBehind.map(({ what }) => what).slice(0, 20),
    });
  } catch (error) {
    job.stop(wrapError(error, "AUDIT_UNAVAILABLE", "the end of the job is not on record"));
  }
}

async function keepReport(id: string, { job, state }: OpenJob, holds: JobHoldings, book: JobBook): Promise<JobReport> {
  const report = buildReport(job.facts());
  try {
    await book.removeLogs(await book.jobs.end(id, state === "blocked" ? "blocked" : "finished", JSON.parse(JSON.stringify(report)), holds));
    return report;
  } catch (error) {
    job.remains("its report is not kept", error);
    return buildReport(job.facts());
  }
}

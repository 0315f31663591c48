/**
 * After a crash: jobs whose process is gone are ended, from what was written down before each step. Nothing of them is left
 * running, mounted or reserved, and each has its report. What could not be taken away is tried again at every start.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { ContainerEngine } from "../engine/index.ts";
import { type Clock, CofferdamError, isoTime, messageOf } from "../foundation/index.ts";
import { type EffectivePolicy, LEVELS } from "../policy/index.ts";
import type { ResourceQuotaManager } from "../quota/index.ts";
import { releaseJobFolder } from "./container/job-folder.ts";
import { removeContainer } from "./container-run.ts";
import { type JobBook, logPath } from "./job-book.ts";
import type { JobHoldings, StoredJob } from "./job-store.ts";
import { type JobTrail, verifiedSince } from "./job-trail.ts";
import { LiveJob } from "./live-job.ts";
import { buildReport } from "./report/report.ts";
import type { JobReport } from "./report/schema.ts";

export interface ReconcileParts {
  readonly book: JobBook;
  readonly engine: ContainerEngine;
  readonly quota: ResourceQuotaManager;
  readonly audit: JobTrail;
  readonly policy: EffectivePolicy;
  readonly clock: Clock;
  readonly isGone: (owner: string) => boolean;
  /** Who does it: of two processes that find the same job, one. */
  readonly owner: string;
  readonly stateDir: string;
}

/**
 * An engine may still be making a container whose maker was killed: until so long after, a name that is not there yet is
 * looked for again, ms.
 */
const LATE_CREATE = 120_000;

export async function reconcile(parts: ReconcileParts): Promise<readonly JobReport[]> {
  const { jobs } = parts.book;
  for (const job of await jobs.leftOver()) if (job.holds.kept === undefined) await takeAway(job, parts);
  const reports: JobReport[] = [];
  for (const job of await jobs.active()) if (parts.isGone(job.owner) && (await jobs.adopt(job, parts.owner))) reports.push(await endLeftOver(job, parts));
  return reports;
}

interface Found {
  /** What was there and is gone now. */
  readonly found: string[];
  readonly leftBehind: { readonly what: string; readonly why: string }[];
  readonly holds: JobHoldings;
}

/** Everything that the book says a job has. Throws nothing: what stays is told. */
export async function removeHoldings({ jobId, holds, updatedAt }: StoredJob, { engine, quota, clock, stateDir }: ReconcileParts): Promise<Found> {
  const found: string[] = [];
  const leftBehind: { what: string; why: string }[] = [];
  let { container, folder } = holds;
  const attempt = async (what: string, work: () => Promise<boolean>): Promise<boolean> => {
    try {
      if (await work()) found.push(what);
      return true;
    } catch (error) {
      leftBehind.push({ what, why: messageOf(error).slice(0, 500) });
      return false;
    }
  };
  if (container !== undefined) {
    const name = container;
    const there = await attempt(`container ${name}`, async () => await removeContainer(engine, name));
    const gone = there && (found.length > 0 || clock.now() - updatedAt > LATE_CREATE);
    if (gone) container = undefined;
  }
  // Only a folder of ours by its place: what the database says of paths is not followed.
  const own = join(stateDir, "jobs", jobId);
  if (folder !== undefined) {
    const gone = await attempt(`folder ${own}`, async () => {
      const there = statSync(own, { throwIfNoEntry: false }) !== undefined;
      await releaseJobFolder(own);
      return there;
    });
    if (gone) folder = undefined;
  }
  await attempt("resources", async () => (await quota.releaseResources(jobId)) !== undefined);
  return { found, leftBehind, holds: { container, folder } };
}

/** Of a job that has its report: once more what stayed. */
async function takeAway(job: StoredJob, parts: ReconcileParts): Promise<void> {
  const { found, holds } = await removeHoldings(job, parts);
  // A name that is still looked for keeps its time.
  if (holds.container === job.holds.container && holds.folder === job.holds.folder) return;
  await parts.book.jobs.hold(job.jobId, holds);
  if (found.length > 0)
    await parts.audit.log({
      ...{ category: "jobs", action: "JobReconciled", result: "success", resourceType: "job", resourceId: job.jobId, sessionId: job.jobId },
      details: { state: job.state, found: found.slice(0, 20) },
    });
}

async function endLeftOver(stored: StoredJob, parts: ReconcileParts): Promise<JobReport> {
  const { book, audit, policy, clock, stateDir } = parts;
  const { jobId, repository, image, command, createdAt, state } = stored;
  const level = LEVELS.find((name) => name === stored.level) ?? policy.values.level;
  const job = new LiveJob({ jobId, repository, image, command, level, uid: process.getuid?.() ?? -1, askedAt: createdAt }, policy, audit, clock);
  job.stop(new CofferdamError("CANCELLED", `the process that ran it is gone; it was ${state}`));
  const { found, leftBehind, holds } = await removeHoldings(stored, parts);
  job.leftBehind.push(...leftBehind);
  job.reconciled = { at: isoTime(clock), found };
  const kept = statSync(logPath(stateDir, jobId), { throwIfNoEntry: false })?.size ?? 0;
  job.log = { bytes: kept, kept, truncated: false };
  job.threats = await book.threats.ofJob(jobId);
  await job.record("JobReconciled", "failure", { state, found: found.slice(0, 20), leftBehind: leftBehind.map(({ what }) => what) });
  job.trail = await verifiedSince(audit, job.askedAt);
  const report = buildReport(job.facts(true));
  await book.removeLogs(await book.jobs.end(jobId, "aborted", JSON.parse(JSON.stringify(report)), holds));
  return report;
}

/**
 * After a crash: jobs whose process is gone are ended, from what was written down before each step. Nothing of them is left
 * running, mounted or reserved, and each has its report.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { AuditSink } from "../audit/index.ts";
import type { ContainerEngine } from "../engine/index.ts";
import { type Clock, CofferdamError, isoTime, messageOf } from "../foundation/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { ResourceQuotaManager } from "../quota/index.ts";
import { releaseJobFolder } from "./container/job-folder.ts";
import type { JobStore, StoredJob } from "./job-store.ts";
import { LiveJob } from "./live-job.ts";
import { buildReport } from "./report/report.ts";
import type { JobReport } from "./report/schema.ts";

export interface ReconcileParts {
  readonly jobs: JobStore;
  readonly engine: ContainerEngine;
  readonly quota: ResourceQuotaManager;
  readonly audit: AuditSink;
  readonly policy: EffectivePolicy;
  readonly clock: Clock;
  readonly isGone: (owner: string) => boolean;
  readonly folder: string;
}

export async function reconcile(parts: ReconcileParts): Promise<readonly JobReport[]> {
  const reports: JobReport[] = [];
  for (const job of await parts.jobs.active()) if (parts.isGone(job.owner)) reports.push(await endLeftOver(job, parts));
  return reports;
}

async function endLeftOver(stored: StoredJob, { jobs, engine, quota, audit, policy, clock, folder }: ReconcileParts): Promise<JobReport> {
  const { jobId, repository, image, command } = stored;
  const { level } = policy.values;
  const job = new LiveJob({ jobId, repository, image, command: [command], level, uid: process.getuid?.() ?? -1 }, policy, audit, clock);
  job.stop(new CofferdamError("CANCELLED", `the process that ran it is gone; it was ${stored.state}`));
  const found: string[] = [];
  const attempt = async (what: string, work: () => Promise<boolean>): Promise<void> => {
    try {
      if (await work()) found.push(what);
    } catch (error) {
      job.leftBehind.push({ what, why: messageOf(error).slice(0, 500) });
    }
  };
  const { container } = stored.holds;
  if (container !== undefined) await attempt(`container ${container}`, async () => await removed(engine, container));
  // Only a folder of ours by its place: what the database says of paths is not followed.
  const own = join(folder, jobId);
  if (stored.holds.folder !== undefined)
    await attempt(`folder ${own}`, async () => {
      const there = statSync(own, { throwIfNoEntry: false }) !== undefined;
      await releaseJobFolder(own);
      return there;
    });
  await attempt("resources", async () => (await quota.releaseResources(jobId)) !== undefined);
  job.reconciled = { at: isoTime(clock), found };
  await job.record("JobReconciled", "failure", { state: stored.state, found: found.slice(0, 20), leftBehind: job.leftBehind.map(({ what }) => what) });
  const report = buildReport(job.facts(true));
  await jobs.end(jobId, "aborted", JSON.parse(JSON.stringify(report)));
  return report;
}

async function removed(engine: ContainerEngine, name: string): Promise<boolean> {
  try {
    await engine.containers.remove(name, { force: true, volumes: true });
    return true;
  } catch (error) {
    if (error instanceof CofferdamError && error.code === "NOT_FOUND") return false;
    throw error;
  }
}

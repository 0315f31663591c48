/**
 * The book of jobs and threats: what the state directory knows, readable without an engine and by whoever may read the state
 * directory. The orchestrator writes the jobs in it.
 */
import { constants } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, CofferdamError, errnoOf } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { jobIdOf } from "./job-spec.ts";
import { hasEnded, JobStore, type StoredJob } from "./job-store.ts";
import type { JobTrail } from "./job-trail.ts";
import { type SecurityMetrics, securityMetrics } from "./metrics.ts";
import { type JobReport, jobReportSchema, parseReport } from "./report/schema.ts";
import type { Threat } from "./threats/threat.ts";
import { type ThreatFilter, ThreatStore } from "./threats/threat-store.ts";

/** A job of the book, with its report once it has ended. */
export interface ListedJob extends Omit<StoredJob, "report" | "owner" | "holds"> {
  readonly report: JobReport | undefined;
  /** It has not ended, and the process that ran it is gone: the next one that runs jobs ends it. */
  readonly abandoned: boolean;
}

export interface JobBookOptions {
  readonly store: Store;
  readonly audit: JobTrail;
  readonly clock: Clock;
  readonly stateDir: string;
  /** True when the process of a stored owner is gone. */
  readonly isGone: (owner: string) => boolean;
}

export class JobBook {
  readonly jobs: JobStore;
  readonly threats: ThreatStore;
  readonly #options: JobBookOptions;

  constructor(options: JobBookOptions) {
    this.#options = options;
    this.jobs = new JobStore(options.store, options.clock);
    this.threats = new ThreatStore(options.store, options.clock);
  }

  async initialize(): Promise<void> {
    await this.jobs.initialize();
    await this.threats.initialize();
  }

  /** Newest first; one that has ended with its report. */
  async list(filter: { readonly repository?: string | undefined; readonly limit?: number } = {}): Promise<readonly ListedJob[]> {
    return (await this.jobs.list(filter)).map((job) => this.#listed(job));
  }

  /** Throws NOT_FOUND. */
  async find(jobId: string): Promise<ListedJob> {
    return this.#listed(await this.jobs.get(jobIdOf(jobId)));
  }

  /** The kept report of a job that has ended. Throws NOT_FOUND, FAILED_PRECONDITION while it goes on, INTEGRITY_FAILURE. */
  async report(jobId: string): Promise<JobReport> {
    const job = await this.jobs.get(jobIdOf(jobId));
    if (!hasEnded(job.state)) throw new CofferdamError("FAILED_PRECONDITION", `job ${job.jobId} has not ended: ${job.state}`);
    return parseReport(job.report);
  }

  async hasEnded(jobId: string): Promise<boolean> {
    return hasEnded((await this.jobs.get(jobIdOf(jobId))).state);
  }

  /**
   * What is kept of a job's output, from a place in it on, piece by piece; bounded by jobs.log. @returns where it ended.
   * Throws NOT_FOUND for a job that nobody knows.
   */
  async log(jobId: string, from: number, take: (bytes: Buffer) => Promise<void>): Promise<number> {
    const { jobId: id } = await this.jobs.get(jobIdOf(jobId));
    let at = from;
    try {
      await using file = await open(logPath(this.#options.stateDir, id), constants.O_RDONLY | constants.O_NOFOLLOW);
      const buffer = Buffer.alloc(64 * 1024);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
        if (bytesRead === 0) return at;
        at += bytesRead;
        await take(Buffer.from(buffer.subarray(0, bytesRead)));
      }
    } catch (error) {
      // A job that never ran has none.
      if (errnoOf(error) === "ENOENT") return at;
      throw error;
    }
  }

  async removeLogs(jobIds: readonly string[]): Promise<void> {
    for (const id of jobIds) await rm(logPath(this.#options.stateDir, id), { force: true });
  }

  async listThreats(filter: ThreatFilter = {}): Promise<readonly Threat[]> {
    return await this.threats.list(filter);
  }

  /** Throws NOT_FOUND. */
  async findThreat(threatId: string): Promise<Threat> {
    return await this.threats.get(threatId);
  }

  /** Somebody looked at it, on record. Throws NOT_FOUND, CONFLICT when it is resolved already, INVALID_ARGUMENT without a name. */
  async resolveThreat(threatId: string, by: string, note: string): Promise<Threat> {
    const threat = await this.threats.resolve(threatId, { by, note });
    await this.#options.audit.log({
      ...{ category: "jobs", action: "ThreatResolved", result: "success", resourceType: "threat", resourceId: threat.id },
      ...(threat.jobId === undefined ? {} : { sessionId: threat.jobId }),
      details: { by, note, type: threat.type, severity: threat.severity },
    });
    return threat;
  }

  /** Whether somebody still has to look into something that a job of this repository did. */
  async hasOpenThreat(repository: string): Promise<boolean> {
    for (const { jobId } of await this.threats.list({ state: "open", limit: 1000 })) {
      const job = jobId === undefined ? undefined : await this.jobs.get(jobId).catch(() => undefined);
      if (job?.repository.toLowerCase() === repository.toLowerCase()) return true;
    }
    return false;
  }

  /** See {@link securityMetrics}. */
  async getSecurityMetrics(): Promise<SecurityMetrics> {
    const { audit, clock } = this.#options;
    return await securityMetrics({ jobs: this.jobs, threats: this.threats, audit, clock });
  }

  #listed({ owner, holds: _holds, report, ...job }: StoredJob): ListedJob {
    const ended = hasEnded(job.state);
    return { ...job, report: jobReportSchema.safeParse(report).data, abandoned: !ended && this.#options.isGone(owner) };
  }
}

export function logPath(stateDir: string, jobId: string): string {
  return join(stateDir, "job-logs", `${jobId}.log`);
}

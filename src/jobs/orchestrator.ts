/**
 * SecurityOrchestrator: a guarded job from the question whether it may run to its report. It owns nothing that it has not
 * written down before: what a killed process left behind, the next one finds and ends.
 */
import { EventEmitter } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AuditSink } from "../audit/index.ts";
import type { ContainerEngine } from "../engine/index.ts";
import { type Clock, CofferdamError, type JsonValue, newId, wrapError } from "../foundation/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import { ResourceQuotaManager } from "../quota/index.ts";
import type { Store } from "../store/index.ts";
import { ContainerRun, type RunHooks, withDeadline } from "./container-run.ts";
import { JobGate } from "./job-gate.ts";
import { type JobConfig, type JobSpec, jobIdSchema, parseJobConfig, parseJobSpec } from "./job-spec.ts";
import { hasEnded, JobStore, type StoredJob } from "./job-store.ts";
import { LiveJob } from "./live-job.ts";
import { type OrchestratorEvents, tellAll } from "./orchestrator-events.ts";
import { reconcile } from "./reconcile.ts";
import { buildReport } from "./report/report.ts";
import { type JobReport, jobReportSchema } from "./report/schema.ts";
import { threatActions } from "./threat-actions.ts";
import { type ActionOutcome, planResponse, respond } from "./threats/response.ts";
import { newThreat, resolved, type Threat } from "./threats/threat.ts";

export interface OrchestratorOptions {
  readonly policy: EffectivePolicy;
  /** Root's own folder of everything that lasts: jobs' folders, logs and workspaces are below it. */
  readonly stateDir: string;
  readonly store: Store;
  readonly audit: AuditSink;
  readonly clock: Clock;
  /** Name of the process that runs jobs, for whoever looks for its remains. */
  readonly owner: string;
  /** Verifies the trail from a time on; without it a report says that nobody looked. */
  readonly verifyTrail?: (since: string) => Promise<{ readonly verified: boolean; readonly anchored: boolean }>;
  /** True when the process of a stored owner is gone. */
  readonly isGone: (owner: string) => boolean;
}

/** The seed's context: how far a job came before it runs. */
export interface JobSecurityContext {
  readonly jobId: string;
  readonly state: "initializing" | "ready" | "blocked";
  readonly checks: Readonly<Record<"authentication" | "authorization" | "scanning" | "resourceAllocation" | "networkIsolation", boolean>>;
  readonly network: { readonly mode: "none" };
  readonly resources: JsonValue;
  readonly threats: readonly Threat[];
  readonly violations: readonly JsonValue[];
  /** Why it is blocked. */
  readonly reason?: string | undefined;
}

/** A job of the book, with its report once it has ended. */
export interface ListedJob extends Omit<StoredJob, "report" | "owner" | "holds"> {
  readonly report: JobReport | undefined;
}

interface Open {
  readonly job: LiveJob;
  state: "initializing" | "ready" | "blocked";
  run: ContainerRun | undefined;
  stop: AbortController;
}

/** Time that one action against a threat has, ms. */
const ACTION_LIMIT = 10_000;

export class SecurityOrchestrator {
  readonly events: EventEmitter<OrchestratorEvents> = new EventEmitter();
  readonly quota: ResourceQuotaManager;
  readonly #engine: ContainerEngine;
  readonly #options: OrchestratorOptions;
  readonly #jobs: JobStore;
  readonly #open = new Map<string, Open>();
  #initialized = false;

  /** Does nothing yet. */
  constructor(dockerAPI: ContainerEngine, options: OrchestratorOptions) {
    this.#engine = dockerAPI;
    this.#options = options;
    this.#jobs = new JobStore(options.store, options.clock);
    this.quota = new ResourceQuotaManager(dockerAPI, { store: options.store, workspaces: join(options.stateDir, "workspaces"), clock: options.clock });
    this.quota.events.on("quotaViolation", (violation) => this.#open.get(violation.jobId)?.job.violated(violation));
  }

  /** Opens the book, and ends what processes left that are gone. Throws UPSTREAM_UNAVAILABLE without an engine. Idempotent. */
  async initialize(): Promise<readonly JobReport[]> {
    if (this.#initialized) return [];
    const { clock, isGone, audit, policy, stateDir } = this.#options;
    await this.#engine.ping();
    await this.#jobs.initialize();
    await this.quota.initialize();
    this.#initialized = true;
    const found = await reconcile({ jobs: this.#jobs, engine: this.#engine, quota: this.quota, audit, policy, clock, isGone, folder: join(stateDir, "jobs") });
    tellAll(this.events, "initialized", { reconciled: found.map(({ jobId }) => jobId) });
    return found;
  }

  /**
   * Decides whether a job may run, and sets aside what it needs. A refusal is a context that is `blocked`, with its reason; it is
   * kept for the report. Throws CONFLICT for an id that is taken, INVALID_ARGUMENT, NOT_INITIALIZED.
   */
  async createJobSecurityContext(jobId: string, jobConfig: JobConfig, command: readonly string[] = []): Promise<JobSecurityContext> {
    this.#assertInitialized();
    const { audit, clock, policy, owner } = this.#options;
    const id = parseId(jobId);
    const config = parseJobConfig(jobConfig);
    const { level } = policy.values;
    const identity = { jobId: id, repository: config.repository, image: config.image ?? "", command, level, uid: process.getuid?.() ?? -1 };
    await this.#jobs.create({ jobId: id, repository: config.repository, level, command: command.join(" "), image: identity.image, owner });
    const open: Open = { job: new LiveJob(identity, policy, audit, clock), state: "initializing", run: undefined, stop: new AbortController() };
    this.#open.set(id, open);
    const { job } = open;
    try {
      await job.record("JobRequested", "success", { image: identity.image, command: command.join(" ").slice(0, 2000), level, policy: policy.digest });
      await new JobGate({ engine: this.#engine, quota: this.quota, policy, stateDir: this.#options.stateDir }).check(job, config, open.stop.signal);
      await this.#jobs.move(id, ["initializing"], "ready");
      open.state = "ready";
      tellAll(this.events, "securityContextCreated", contextOf(open));
    } catch (error) {
      const known = wrapError(error, "INTERNAL", "job");
      job.stop(known);
      open.state = "blocked";
      await this.quota.releaseResources(id);
      await job.record("JobBlocked", "failure", { code: known.code, reason: known.message.slice(0, 1000) });
      tellAll(this.events, "jobBlocked", { jobId: id, reason: known.message });
    }
    return contextOf(open);
  }

  /**
   * Runs a job to its report: whether it passed, failed, was blocked or stopped is in there. Throws only for what is no job
   * (INVALID_ARGUMENT, CONFLICT, NOT_INITIALIZED) and AUDIT_UNAVAILABLE.
   */
  async runJob(jobId: string, jobConfig: JobConfig, jobSpec: JobSpec, signal: AbortSignal, hooks: RunHooks = {}): Promise<JobReport> {
    const spec = parseJobSpec(jobSpec);
    const id = parseId(jobId);
    await this.createJobSecurityContext(id, jobConfig, spec.command);
    const open = this.#get(id);
    const { policy, stateDir } = this.#options;
    const most = policy.values["jobs.timeout"];
    const limit = withDeadline(AbortSignal.any([signal, open.stop.signal]), Math.min(spec.timeout ?? most, most));
    try {
      const { allocation, imageId } = open.job;
      if (open.state === "ready" && allocation !== undefined && imageId !== undefined) {
        const parts = { engine: this.#engine, quota: this.quota, jobs: this.#jobs, policy, folder: join(stateDir, "jobs"), logs: join(stateDir, "job-logs") };
        open.run = new ContainerRun(parts, open.job, spec, hooks);
        await open.run.run(allocation, imageId, limit.signal);
      }
    } catch (error) {
      open.job.stop(interruption(limit.signal) ?? wrapError(error, "INTERNAL", "job"));
    } finally {
      limit.done();
    }
    return await this.cleanupJobSecurity(id);
  }

  /**
   * Takes away everything that a job has, whatever fails on the way, and returns its report. Idempotent: of a job that has ended,
   * the report that was kept. Throws NOT_FOUND.
   */
  async cleanupJobSecurity(jobId: string): Promise<JobReport> {
    this.#assertInitialized();
    const id = parseId(jobId);
    const open = this.#open.get(id);
    if (open === undefined) return await this.report(id);
    const { job } = open;
    await open.run?.end();
    try {
      job.usage = (await this.quota.releaseResources(id))?.usage;
    } catch (error) {
      job.leftBehind.push({ what: "resources", why: wrapError(error, "INTERNAL", "quota").message });
    }
    const verdict = job.facts().verdict;
    await job.record("JobEnded", verdict === "passed" ? "success" : "failure", {
      verdict,
      exit: job.exit ?? null,
      code: job.stoppedBy?.code ?? null,
      threats: job.threats.length,
      violations: job.violations.map(({ rule, times }) => ({ rule, times })).slice(0, 50),
      leftBehind: job.leftBehind.map(({ what }) => what).slice(0, 20),
    });
    job.trail = (await this.#options.verifyTrail?.(job.askedAt)) ?? job.trail;
    const report = buildReport(job.facts());
    await this.#jobs.end(id, open.state === "blocked" ? "blocked" : "finished", JSON.parse(JSON.stringify(report)));
    this.#open.delete(id);
    return report;
  }

  /** What the level does about a threat, done; each action with its outcome. A threat without a job is recorded. */
  async handleSecurityThreat(input: unknown): Promise<{ readonly threat: Threat; readonly outcomes: readonly ActionOutcome[] }> {
    this.#assertInitialized();
    const { clock, policy } = this.#options;
    const threat = newThreat(input, clock);
    const open = [...this.#open.values()].find(
      ({ job, run }) => job.identity.jobId === threat.jobId || (threat.containerId !== undefined && run?.containerId?.startsWith(threat.containerId) === true),
    );
    const plan = planResponse(policy.values.level, threat, policy.values.mode);
    const actions = threatActions({
      engine: this.#engine,
      containerId: open?.run?.containerId ?? threat.containerId,
      record: async (details) => await (open?.job.record("ThreatHandled", "failure", details) ?? this.#recordLoose(threat, details)),
      alert: () => tellAll(this.events, "securityAlert", threat),
      stop: (error) => {
        open?.job.stop(error);
        open?.stop.abort(error);
      },
    });
    const outcomes = await respond(threat, plan, actions, { clock, limitMs: ACTION_LIMIT });
    open?.job.threats.push(threat);
    tellAll(this.events, "threatHandled", { threat, outcomes });
    return { threat, outcomes };
  }

  /** Somebody looked at it. Throws NOT_FOUND for a threat of no open job, CONFLICT when it is resolved already. */
  async resolveThreat(threatId: string, by: string, note: string): Promise<Threat> {
    for (const { job } of this.#open.values()) {
      const at = job.threats.findIndex(({ id }) => id === threatId);
      const threat = job.threats[at];
      if (threat === undefined) continue;
      const done = resolved(threat, { by, note }, this.#options.clock);
      job.threats[at] = done;
      await job.record("ThreatResolved", "success", { threat: threatId, by: by.slice(0, 256), note: note.slice(0, 1000) });
      return done;
    }
    throw new CofferdamError("NOT_FOUND", `no open job has a threat ${threatId.slice(0, 80)}`);
  }

  /** The kept report of a job that has ended. Throws NOT_FOUND, FAILED_PRECONDITION while it goes on. */
  async report(jobId: string): Promise<JobReport> {
    const job = await this.#jobs.get(parseId(jobId));
    const parsed = jobReportSchema.safeParse(job.report);
    if (!hasEnded(job.state)) throw new CofferdamError("FAILED_PRECONDITION", `job ${jobId} goes on: ${job.state}`);
    if (!parsed.success) throw new CofferdamError("INTEGRITY_FAILURE", `the report of job ${jobId} cannot be read`);
    return parsed.data;
  }

  /** Newest first; one that has ended with its report. */
  async list(filter: { readonly repository?: string | undefined; readonly limit?: number } = {}): Promise<readonly ListedJob[]> {
    return (await this.#jobs.list(filter)).map(listed);
  }

  async find(jobId: string): Promise<ListedJob> {
    return listed(await this.#jobs.get(parseId(jobId)));
  }

  /** What is kept of a job's output. Throws NOT_FOUND. */
  async log(jobId: string): Promise<Buffer> {
    const id = parseId(jobId);
    await this.#jobs.get(id);
    return await readFile(join(this.#options.stateDir, "job-logs", `${id}.log`)).catch(() => Buffer.alloc(0));
  }

  async hasEnded(jobId: string): Promise<boolean> {
    return hasEnded((await this.#jobs.get(parseId(jobId))).state);
  }

  /** Ends a job that runs, also one of another process: its container is killed, and whoever runs it makes the report. */
  async kill(jobId: string): Promise<void> {
    const job = await this.#jobs.get(parseId(jobId));
    if (hasEnded(job.state)) throw new CofferdamError("FAILED_PRECONDITION", `job ${job.jobId} has ended: ${job.state}`);
    const { container } = job.holds;
    if (container === undefined) throw new CofferdamError("FAILED_PRECONDITION", `job ${job.jobId} has no container yet`);
    await this.#options.audit.log({
      category: "jobs",
      action: "JobKilled",
      result: "success",
      resourceType: "job",
      resourceId: job.jobId,
      sessionId: job.jobId,
    });
    await this.#engine.containers.kill(container);
  }

  /** Counts for metrics: jobs by state, open threats by severity. */
  async getSecurityMetrics(): Promise<{ readonly jobs: Readonly<Record<string, number>>; readonly openThreats: Readonly<Record<string, number>> }> {
    const jobs = Object.groupBy(await this.#jobs.list({ limit: 1000 }), ({ state }) => state);
    const threats = [...this.#open.values()].flatMap(({ job }) => job.threats).filter(({ state }) => state === "open");
    const count = (groups: Partial<Record<string, readonly unknown[]>>): Record<string, number> =>
      Object.fromEntries(Object.entries(groups).map(([name, list]) => [name, list?.length ?? 0]));
    return { jobs: count(jobs), openThreats: count(Object.groupBy(threats, ({ severity }) => severity)) };
  }

  /** Ends what runs in this process, with its reports. */
  async close(): Promise<void> {
    for (const [id, { job, stop }] of this.#open) {
      const error = new CofferdamError("CANCELLED", "the orchestrator was closed");
      job.stop(error);
      stop.abort(error);
      await this.cleanupJobSecurity(id);
    }
    await this.quota.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #recordLoose(threat: Threat, details: Readonly<Record<string, JsonValue>>): Promise<void> {
    await this.#options.audit.log({ category: "jobs", action: "ThreatHandled", result: "failure", resourceType: "threat", resourceId: threat.id, details });
  }

  #get(jobId: string): Open {
    const open = this.#open.get(jobId);
    if (open === undefined) throw new CofferdamError("NOT_FOUND", `no job ${jobId} in this process`);
    return open;
  }

  #assertInitialized(): void {
    if (!this.#initialized) throw new CofferdamError("NOT_INITIALIZED", "SecurityOrchestrator: call initialize() first");
  }
}

/** A new id that no other job has: short enough to be read aloud. */
export function newJobId(): string {
  return newId("job").slice(0, 14).replace("_", "-");
}

function listed({ owner: _owner, holds: _holds, report, ...job }: StoredJob): ListedJob {
  return { ...job, report: jobReportSchema.safeParse(report).data };
}

function parseId(jobId: string): string {
  const parsed = jobIdSchema.safeParse(jobId);
  if (!parsed.success) throw new CofferdamError("INVALID_ARGUMENT", `job id: ${parsed.error.issues[0]?.message ?? "invalid"}`);
  return parsed.data;
}

function contextOf({ job, state }: Open): JobSecurityContext {
  const { checks } = job;
  const passed = (name: keyof typeof checks): boolean => checks[name].state === "passed";
  return {
    jobId: job.identity.jobId,
    state,
    checks: {
      authentication: passed("authentication"),
      authorization: passed("authorization"),
      scanning: passed("scanning"),
      resourceAllocation: passed("resourceAllocation"),
      networkIsolation: passed("networkIsolation"),
    },
    network: { mode: "none" },
    resources: JSON.parse(JSON.stringify(job.allocation ?? null)),
    threats: job.threats,
    violations: JSON.parse(JSON.stringify(job.violations)),
    ...(job.stoppedBy === undefined ? {} : { reason: job.stoppedBy.message }),
  };
}

/** Why a signal was aborted, when it was. */
function interruption(signal: AbortSignal): CofferdamError | undefined {
  if (!signal.aborted) return undefined;
  const reason: unknown = signal.reason;
  return reason instanceof CofferdamError ? reason : new CofferdamError("CANCELLED", "interrupted");
}

/**
 * SecurityOrchestrator: a guarded job from the question whether it may run to its report. It owns nothing that it has not
 * written down before: what a killed process left behind, the next one finds and ends.
 */
import { EventEmitter } from "node:events";
import { join } from "node:path";
import { type ContainerEngine, EngineClient, type EngineTarget } from "../engine/index.ts";
import { CofferdamError, messageOf, newId, wrapError } from "../foundation/index.ts";
import type { MonitorThreat } from "../monitor/index.ts";
import { NetworkIsolationManager } from "../network/index.ts";
import { quotaOptionsOf } from "../policy/index.ts";
import { ResourceQuotaManager } from "../quota/index.ts";
import type { SecretInjector, SecretReader } from "../secrets/index.ts";
import { ContainerRun, holdingsOf, type RunHooks } from "./container-run.ts";
import { DefaultSecrets } from "./default-secrets.ts";
import { interruptionOf, withDeadline } from "./interruption.ts";
import { JobBook, logPath } from "./job-book.ts";
import { contextOf, type JobSecurityContext } from "./job-context.ts";
import { endJob } from "./job-end.ts";
import { JobGate } from "./job-gate.ts";
import { type JobConfig, type JobSpec, jobIdOf, parseJobConfig, parseJobSpec } from "./job-spec.ts";
import { hasEnded, type JobHoldings } from "./job-store.ts";
import { LiveJob } from "./live-job.ts";
import type { SecurityMetrics } from "./metrics.ts";
import { MonitorOfJobs } from "./monitor-of-jobs.ts";
import { during, type OpenJob, OpenJobs, stopNow } from "./open-jobs.ts";
import { type OrchestratorEvents, tellAll } from "./orchestrator-events.ts";
import {
  type OrchestratorOptions,
  type OrchestratorParts,
  type OrchestratorPlaces,
  openParts,
  parseOptions,
  placesOf,
  type SecretParts,
} from "./orchestrator-options.ts";
import { PreparedRun, type PreparedRunParts, type SecuredResult } from "./prepared-run.ts";
import { type ReconcileParts, reconcile, removeHoldings } from "./reconcile.ts";
import type { JobReport } from "./report/schema.ts";
import { type HandledThreat, handleThreat } from "./threat-desk.ts";
import type { Threat, ThreatInput } from "./threats/threat.ts";

interface Opened extends OrchestratorParts {
  readonly book: JobBook;
  readonly open: OpenJobs;
  readonly quota: ResourceQuotaManager;
  /** Undefined where components.network is off. */
  readonly networks: NetworkIsolationManager | undefined;
  readonly secrets: SecretReader | undefined;
  readonly ownSecrets: DefaultSecrets | undefined;
  readonly monitor: MonitorOfJobs;
}

/**
 * @example
 * ```ts
 * await using orchestrator = new SecurityOrchestrator("/var/run/docker.sock", { securityLevel: "medium" });
 * await orchestrator.initialize();
 * const job = { repository: "acme/web", image: "node:22", resources: { memory: "4GiB" } };
 * const report = await orchestrator.runJob(newJobId(), job, { command: ["npm", "test"], workspace: { path: "." } }, signal);
 * ```
 */
export class SecurityOrchestrator {
  readonly events: EventEmitter<OrchestratorEvents> = new EventEmitter();
  readonly #engine: ContainerEngine;
  readonly #ownsEngine: boolean;
  readonly #options: OrchestratorOptions;
  readonly #places: OrchestratorPlaces;
  readonly #injector: SecretInjector = {
    inject: async (containerId, jobId, secrets) => {
      const { run } = this.#openJob(jobId);
      if (!(run instanceof PreparedRun)) throw new CofferdamError("FAILED_PRECONDITION", `job ${jobId} has no container that was prepared`);
      run.inject(containerId, secrets);
    },
  };
  #opened: Opened | undefined;

  /**
   * Opens nothing yet. @param dockerAPI our engine client, an address of an engine, or a dockerode instance, whose settings are
   * read. Throws INVALID_ARGUMENT, FAILED_PRECONDITION for options that this version cannot meet.
   */
  constructor(dockerAPI: ContainerEngine | EngineTarget, options: OrchestratorOptions = {}) {
    this.#options = parseOptions(options);
    this.#places = placesOf(this.#options);
    this.#ownsEngine = !isEngine(dockerAPI);
    this.#engine = isEngine(dockerAPI) ? dockerAPI : new EngineClient(dockerAPI);
  }

  /** Opens the book, and ends what processes left that are gone. Throws UPSTREAM_UNAVAILABLE without an engine. Idempotent. */
  async initialize(): Promise<readonly JobReport[]> {
    if (this.#opened !== undefined) return [];
    await this.#engine.ping();
    const parts = await openParts(this.#options, this.#places);
    const { policy, store, stateDir, clock } = parts;
    const book = new JobBook(parts);
    const open = new OpenJobs(this.#engine, book);
    const quota = new ResourceQuotaManager(this.#engine, { ...quotaOptionsOf(policy.values), store, workspaces: join(stateDir, "workspaces"), clock });
    quota.events.on("quotaViolation", (violation) => open.violated(violation));
    const networks =
      this.#options.components?.network === false
        ? undefined
        : new NetworkIsolationManager(this.#engine, { ...this.#options.network, store, audit: open.masking(parts.audit), clock });
    networks?.events.on("networkLost", ({ jobId, why }) => open.lostNetwork(jobId, why));
    try {
      await book.initialize();
      await quota.initialize();
      await networks?.initialize();
    } catch (error) {
      await parts.close();
      throw error;
    }
    const secretParts: SecretParts = { jobs: { find: async (jobId) => open.known(jobId) }, injector: this.#injector };
    const ownSecrets = this.#options.secrets === undefined ? new DefaultSecrets(parts, secretParts) : undefined;
    const secrets = this.#options.components?.secrets === false ? undefined : (ownSecrets ?? this.#options.secrets?.(secretParts));
    const monitor = new MonitorOfJobs({
      ...{ engine: this.#engine, audit: open.masking(parts.audit), policy, store, stateDir, clock },
      off: this.#options.components?.monitor === false,
      tell: (threat) => void this.handleSecurityThreat(threat).catch((error: unknown) => this.#unanswered(threat, error)),
    });
    this.#opened ??= { ...parts, book, open, quota, networks, secrets, ownSecrets, monitor };
    const found = await reconcile(this.#reconcileParts());
    tellAll(this.events, "initialized", { reconciled: found.map(({ jobId }) => jobId) });
    return found;
  }

  /** Who has how much of this host. Throws NOT_INITIALIZED. */
  get quota(): ResourceQuotaManager {
    return this.#parts().quota;
  }

  /** The networks of jobs; undefined where they are off. Throws NOT_INITIALIZED. */
  get networks(): NetworkIsolationManager | undefined {
    return this.#parts().networks;
  }

  /** What is known of jobs and threats. Throws NOT_INITIALIZED. */
  get book(): JobBook {
    return this.#parts().book;
  }

  /**
   * Decides whether a job may run, and sets aside what it needs. A refusal is a context that is `blocked`, with its reason; it is
   * kept for the report. Throws CONFLICT for an id that is taken, INVALID_ARGUMENT, NOT_INITIALIZED.
   */
  async createJobSecurityContext(jobId: string, jobConfig: JobConfig, command: readonly string[] = []): Promise<JobSecurityContext> {
    const id = jobIdOf(jobId);
    const config = parseJobConfig(jobConfig);
    const open = await this.#create(id, config, command, {});
    await during(open, this.#decide(open, config, open.stop.signal));
    if (open.state === "ready") await this.book.jobs.move(id, ["initializing"], "ready");
    return contextOf(open.job, open.state);
  }

  /**
   * Runs a job to its report: whether it passed, failed, was blocked or stopped is in there. Throws only for what is no job
   * (INVALID_ARGUMENT, CONFLICT, NOT_INITIALIZED).
   */
  async runJob(jobId: string, jobConfig: JobConfig, jobSpec: JobSpec, signal: AbortSignal, hooks: RunHooks = {}): Promise<JobReport> {
    const { policy, stateDir } = this.#parts();
    const spec = parseJobSpec(jobSpec);
    const id = jobIdOf(jobId);
    const config = parseJobConfig(jobConfig);
    // It is up by the time that there is a container; whatever is wrong with it is said there.
    void this.#parts()
      .monitor.start()
      .catch(() => undefined);
    // First what will be there, then the making of it: a killed process leaves nothing that nobody knows of.
    const open = await this.#create(id, config, spec.command ?? [], holdingsOf(id, join(stateDir, "jobs")));
    await during(open, this.#decide(open, config, AbortSignal.any([signal, open.stop.signal])));
    const most = policy.values["jobs.timeout"];
    const limit = withDeadline(AbortSignal.any([signal, open.stop.signal]), Math.min(spec.timeout ?? most, most));
    try {
      const { allocation, image } = open.job;
      limit.signal.throwIfAborted();
      if (open.state === "ready" && open.ending === undefined && allocation !== undefined && image !== undefined) {
        const run = new ContainerRun(
          { ...this.#runParts(), threat: async (told: ThreatInput) => await this.handleSecurityThreat(told), logFile: logPath(stateDir, id) },
          open.job,
          spec,
          hooks,
        );
        open.run = run;
        await during(open, run.run(allocation, image, limit.signal));
      }
    } catch (error) {
      open.job.stop(interruptionOf(limit.signal) ?? wrapError(error, "INTERNAL", "job"));
    } finally {
      limit.done();
    }
    return await this.cleanupJobSecurity(id);
  }

  /**
   * A container that was made for this job by others, and never started, is made anew with what the level asks; the result has
   * the new id. Start it with {@link startContainer}. Throws SECURITY_VIOLATION when it is refused (then it is gone; at level
   * low, where it runs, it is disconnected), FAILED_PRECONDITION for a job that is not ready, NOT_FOUND.
   */
  async prepareSecureContainer(containerId: string, jobId: string): Promise<SecuredResult> {
    const open = this.#openJob(jobId);
    const { allocation } = open.job;
    if (open.state !== "ready" || open.run !== undefined || allocation === undefined)
      throw new CofferdamError("FAILED_PRECONDITION", open.run === undefined ? `job ${jobId} is ${open.state}` : `job ${jobId} has a container already`);
    const run = new PreparedRun(this.#runParts(), open.job);
    open.run = run;
    try {
      const secured = await run.prepare(containerId, allocation, open.stop.signal);
      await open.job.record("ContainerSecured", "success", { container: secured.containerId.slice(0, 12), applied: [...secured.applied] });
      tellAll(this.events, "containerSecured", { jobId: open.job.identity.jobId, containerId: secured.containerId, controls: secured.applied });
      return secured;
    } catch (error) {
      const known = wrapError(error, "INTERNAL", "container");
      open.job.stop(known);
      await open.job.record("ContainerRefused", "failure", { container: containerId.slice(0, 64), code: known.code, reason: known.message.slice(0, 1000) });
      throw known;
    }
  }

  /** Starts a prepared container: nothing of it runs before it is proven. Throws SECURITY_VIOLATION, FAILED_PRECONDITION. */
  async startContainer(jobId: string): Promise<void> {
    const open = this.#openJob(jobId);
    if (!(open.run instanceof PreparedRun)) throw new CofferdamError("FAILED_PRECONDITION", `job ${jobId} has no container that was prepared`);
    try {
      await during(open, open.run.start(open.stop.signal));
    } catch (error) {
      open.job.stop(wrapError(error, "INTERNAL", "container"));
      throw error;
    }
  }

  /**
   * Takes away everything that a job has, whatever fails on the way, and returns its report. One that still runs is stopped.
   * Idempotent: of a job that has ended, the report that was kept. Throws NOT_FOUND.
   */
  async cleanupJobSecurity(jobId: string): Promise<JobReport> {
    const id = jobIdOf(jobId);
    const open = this.#parts().open.find(id);
    if (open === undefined) return await this.book.report(id);
    return await this.#endOnce(id, open, new CofferdamError("CANCELLED", "cleaned up while it ran"));
  }

  async #endOnce(id: string, open: OpenJob, why: CofferdamError): Promise<JobReport> {
    open.ending ??= this.#end(id, open, why);
    return await open.ending;
  }

  /**
   * What the level does about a threat, done; each action with its outcome. Also for a job that another process runs. A threat
   * of no job is put on record, and nothing is done to containers that are not ours. Throws INVALID_ARGUMENT.
   */
  async handleSecurityThreat(input: unknown): Promise<HandledThreat> {
    const parts = this.#parts();
    const answer = handleThreat(input, {
      ...{ ...parts, engine: this.#engine, events: this.events },
      watcherOf: (container) => (parts.monitor.current?.watches(container) === true ? parts.monitor.current : undefined),
    });
    if (typeof input === "object" && input !== null && "jobId" in input && typeof input.jobId === "string") parts.open.answering(input.jobId, answer);
    return await answer;
  }

  /** Somebody looked at it, on record. Throws NOT_FOUND, CONFLICT when it is resolved already, INVALID_ARGUMENT without a name. */
  async resolveThreat(threatId: string, by: string, note: string): Promise<Threat> {
    return await this.book.resolveThreat(threatId, by, note);
  }

  /**
   * Ends a job that runs, also one of another process; whoever runs it makes the report. Of one that has ended, what was kept
   * of it on purpose goes. Throws NOT_FOUND, FAILED_PRECONDITION when there is nothing to end.
   */
  async kill(jobId: string, by: string): Promise<void> {
    const { audit, book, open } = this.#parts();
    const job = await book.jobs.get(jobIdOf(jobId));
    const ended = hasEnded(job.state);
    if (ended && job.holds.kept === undefined) throw new CofferdamError("FAILED_PRECONDITION", `job ${job.jobId} has ended: ${job.state}`);
    const { jobId: id } = job;
    await audit.log({
      ...{ category: "jobs", action: "JobKilled", result: "success", resourceType: "job", resourceId: id, sessionId: id },
      details: { by: by.slice(0, 256), kept: job.holds.kept ?? null },
    });
    if (!ended) return await open.stop(id, new CofferdamError("CANCELLED", `killed by ${by.slice(0, 256)}`));
    const { leftBehind, holds } = await removeHoldings(job, this.#reconcileParts());
    await book.jobs.hold(id, leftBehind.length === 0 ? {} : holds);
    const [first] = leftBehind;
    if (first !== undefined) throw new CofferdamError("INTERNAL", `${first.what} is still there: ${first.why}`);
  }

  /** See {@link JobBook.getSecurityMetrics}. */
  async getSecurityMetrics(): Promise<SecurityMetrics> {
    return await this.book.getSecurityMetrics();
  }

  /** Ends what runs in this process, with its reports. */
  async close(): Promise<void> {
    const why = new CofferdamError("CANCELLED", "the orchestrator was closed");
    for (const [id, open] of this.#opened?.open.entries() ?? []) await this.#endOnce(id, open, why);
    await this.#opened?.monitor.close();
    await this.#opened?.quota.close();
    await this.#opened?.networks?.close();
    await this.#opened?.ownSecrets?.close();
    await this.#opened?.close();
    this.#opened = undefined;
    if (this.#ownsEngine) await this.#engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #create(id: string, config: JobConfig, command: readonly string[], holds: JobHoldings): Promise<OpenJob> {
    const { audit, clock, policy, owner, book, open: jobs } = this.#parts();
    const { level } = policy.values;
    const { repository, image = "", workflow, job, namesFrom } = config;
    const identity = { jobId: id, repository, image, command, level, uid: process.getuid?.() ?? -1 };
    await book.jobs.create({ ...identity, owner }, holds);
    return jobs.open(new LiveJob({ ...identity, workflow, job, namesFrom }, policy, audit, clock));
  }

  /** Never throws: a refusal is the job's state. */
  async #decide(open: OpenJob, config: JobConfig, signal: AbortSignal): Promise<void> {
    const { job } = open;
    const { jobId: id, image, command, level, workflow, job: name } = job.identity;
    const { audit, clock, networks, policy, stateDir } = this.#parts();
    try {
      const asked = job.record("JobRequested", "success", {
        ...{ image, command: command.join(" ").slice(0, 2000), level, policy: policy.digest },
        ...(workflow === undefined ? {} : { workflow }),
        ...(name === undefined ? {} : { job: name }),
      });
      const rbac = this.#options.components?.rbac === false ? undefined : this.#options.rbac;
      await new JobGate({ engine: this.#engine, quota: this.quota, networks, policy, stateDir, audit, clock, rbac }).check(job, config, asked, signal);
      open.state = "ready";
      tellAll(this.events, "securityContextCreated", contextOf(job, open.state));
    } catch (error) {
      job.stop(interruptionOf(signal) ?? wrapError(error, "INTERNAL", "job"));
      open.state = "blocked";
      const { code = "INTERNAL", message = "" } = job.stoppedBy ?? {};
      await job.attempt("resources", async () => await this.quota.releaseResources(id));
      await job.attempt("network", async () => await networks?.removeNetwork(id));
      await job.attempt("record", async () => await job.record("JobBlocked", "failure", { code, reason: message.slice(0, 1000) }));
      tellAll(this.events, "jobBlocked", { jobId: id, reason: message });
    }
  }

  async #end(id: string, open: OpenJob, why: CofferdamError): Promise<JobReport> {
    const parts = this.#parts();
    await parts.open.lookForRequest(id);
    if (open.work !== undefined) stopNow(open, why, false);
    await open.work?.catch(() => undefined);
    clearInterval(open.watch);
    const report = await endJob(id, open, { ...parts, events: this.events });
    parts.open.close(id);
    return report;
  }

  /** A threat that could not even be put on record: its job does not go on, frozen or not, as if there had been none. */
  async #unanswered({ jobId, type, severity }: MonitorThreat, error: unknown): Promise<void> {
    const why = new CofferdamError("SECURITY_VIOLATION", `a ${severity} threat could not be answered: ${type}: ${messageOf(error).slice(0, 300)}`);
    await this.#opened?.open.stop(jobId, why).catch(() => undefined);
  }

  #runParts(): PreparedRunParts {
    const { policy, stateDir, book, clock, networks, secrets, monitor, open } = this.#parts();
    const settled = async (jobId: string): Promise<void> => await open.answered(jobId);
    const watch = { monitoring: policy.values["jobs.monitor"], monitor: async () => await monitor.start(), book, settled };
    return { engine: this.#engine, quota: this.quota, networks, jobs: book.jobs, policy, clock, secrets, watch, folder: join(stateDir, "jobs") };
  }

  #reconcileParts(): ReconcileParts {
    return { ...this.#parts(), engine: this.#engine };
  }

  #openJob(jobId: string): OpenJob {
    return this.#parts().open.get(jobIdOf(jobId));
  }

  #parts(): Opened {
    if (this.#opened === undefined) throw new CofferdamError("NOT_INITIALIZED", "SecurityOrchestrator: call initialize() first");
    return this.#opened;
  }
}

function isEngine(dockerAPI: ContainerEngine | EngineTarget): dockerAPI is ContainerEngine {
  return typeof dockerAPI === "object" && "containers" in dockerAPI && "images" in dockerAPI;
}

/** A new id that no other job has: short enough to be read aloud. */
export function newJobId(): string {
  return newId("job").slice(0, 14).replace("_", "-");
}

/** A container that somebody else made for a job, made anew or refused; it runs when it is started here, after its proof. */
import type { ContainerEngine } from "../engine/index.ts";
import { type Clock, CofferdamError } from "../foundation/index.ts";
import type { NetworkIsolationManager } from "../network/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { Allocation, ResourceQuotaManager } from "../quota/index.ts";
import type { SecretInjector, SecretReader } from "../secrets/index.ts";
import type { HardenedContainer } from "./container/hardened.ts";
import { makeJobFolder, releaseJobFolder } from "./container/job-folder.ts";
import { prepareSecureContainer } from "./container/prepare.ts";
import { containerProfile } from "./container/profile.ts";
import { connectJob } from "./job-network.ts";
import { JobSecrets } from "./job-secrets.ts";
import type { JobHoldings, JobStore } from "./job-store.ts";
import { JobWatch, type JobWatchParts } from "./job-watch.ts";
import type { LiveJob } from "./live-job.ts";

/** The seed's result. `refused` is empty: a refusal is thrown. */
export interface SecuredResult {
  readonly secured: true;
  /** Another one than was given, where it was made anew: an engine cannot change what a container is. */
  readonly containerId: string;
  readonly applied: readonly string[];
  readonly refused: readonly { readonly control: string; readonly why: string }[];
}

export interface PreparedRunParts {
  readonly engine: ContainerEngine;
  readonly quota: ResourceQuotaManager;
  readonly networks: NetworkIsolationManager | undefined;
  readonly jobs: JobStore;
  readonly watch: JobWatchParts;
  readonly policy: EffectivePolicy;
  readonly clock: Clock;
  readonly secrets: SecretReader | undefined;
  readonly folder: string;
}

export class PreparedRun {
  readonly #parts: PreparedRunParts;
  readonly #job: LiveJob;
  #container: HardenedContainer | undefined;
  #containerId: string | undefined;
  #secrets: JobSecrets | undefined;
  #watch: JobWatch | undefined;
  #kept: string | undefined;

  constructor(parts: PreparedRunParts, job: LiveJob) {
    this.#parts = parts;
    this.#job = job;
  }

  get containerId(): string | undefined {
    return this.#containerId;
  }

  get isApart(): boolean {
    return this.#kept === undefined;
  }

  keep(why: string): void {
    this.#kept = why;
  }

  /** Throws SECURITY_VIOLATION with `details.refused`; the container is then gone, or at level low disconnected. NOT_FOUND. */
  async prepare(containerId: string, allocation: Allocation, signal: AbortSignal): Promise<SecuredResult> {
    const { engine, quota, jobs, policy, folder: base } = this.#parts;
    const { jobId, level } = this.#job.identity;
    const { Name: name } = await engine.containers.inspect(containerId, { signal });
    await jobs.hold(jobId, { container: name.replace(/^\//, ""), folder: `${base}/${jobId}` });
    const profile = containerProfile(level, policy.values["jobs.profile"], process.arch === "arm64" ? "arm64" : "x64");
    const folder = makeJobFolder(base, jobId);
    // An empty place for what may be injected before it starts.
    const parts = { reader: this.#parts.secrets, policy, clock: this.#parts.clock, job: this.#job, folder };
    if (parts.reader !== undefined || JobSecrets.areAsked(parts, undefined)) this.#secrets = await JobSecrets.prepare(parts, undefined);
    const mounts = this.#secrets === undefined ? [] : [this.#secrets.mount];
    const request = { containerId, jobId, profile, limits: quota.createLimits(allocation), mounts, folder, nameServer: this.#job.network?.gateway };
    const secured = await prepareSecureContainer(engine, request, signal);
    this.#container = secured.container;
    this.#containerId = secured.containerId;
    await this.#secrets?.load();
    this.#job.applied.push(...secured.applied);
    return { secured: true, containerId: secured.containerId, applied: secured.applied, refused: secured.refused };
  }

  /** Throws FAILED_PRECONDITION for another container, one that began, or one without a place for secrets; CONFLICT. */
  inject(containerId: string, secrets: Parameters<SecretInjector["inject"]>[2]): void {
    const id = this.#containerId;
    if (id === undefined || containerId.length < 12 || !id.startsWith(containerId))
      throw new CofferdamError("FAILED_PRECONDITION", `${containerId.slice(0, 64)} is not the container of job ${this.#job.identity.jobId}`);
    if (this.#container === undefined || this.#secrets === undefined)
      throw new CofferdamError("FAILED_PRECONDITION", "the container has no mount for secrets", {
        hint: "one that was made and never started gets one when it is prepared",
      });
    if (this.#container.proof !== undefined) throw new CofferdamError("FAILED_PRECONDITION", "the container has started: secrets come before");
    this.#secrets.putAll(secrets);
  }

  /** Starts it, proves it, lets it go. Throws SECURITY_VIOLATION for a proof that does not hold, FAILED_PRECONDITION. */
  async start(signal: AbortSignal): Promise<void> {
    const container = this.#container;
    const { engine, networks, quota, jobs } = this.#parts;
    const { jobId } = this.#job.identity;
    if (container === undefined) throw new CofferdamError("FAILED_PRECONDITION", `job ${jobId} has no container that was prepared and waits to be started`);
    const proof = await container.start(signal, async (inspect) => await connectJob(networks, this.#job, inspect));
    this.#job.proof = proof;
    const inspect = await engine.containers.inspect(container.id, { signal });
    this.#watch = await JobWatch.begin(this.#parts.watch, this.#job, inspect);
    this.#secrets?.giveTo(proof);
    const hostNetwork = this.#job.network === undefined ? undefined : networks?.linksPath(jobId);
    this.#job.limited(await quota.applyResourceLimits(container.id, jobId, { inspect, hostNetwork }), container.plan.expected.profile.readOnlyRoot);
    await jobs.move(jobId, ["ready"], "running");
    await this.#job.record("JobStarted", "success", {
      ...{ container: container.id.slice(0, 12), controls: [...proof.held] },
      ...(this.#secrets === undefined ? {} : { secrets: { files: [...this.#job.secrets.files], variables: [] } }),
    });
    await container.go({}, signal);
    this.#job.workloadStarted();
    container.exit().then(
      ({ exitCode }) => this.#job.workloadEnded(exitCode),
      () => undefined,
    );
  }

  /** Never throws: what is left is in the report, and returned for the book. */
  async end(): Promise<JobHoldings> {
    const { jobId } = this.#job.identity;
    const id = this.#containerId;
    const holds = { container: id, folder: `${this.#parts.folder}/${jobId}` };
    await this.#watch?.end();
    await this.#job.attempt("secrets", async () => await this.#secrets?.close());
    if (this.#kept !== undefined && id !== undefined) {
      this.#job.leftBehind.push({ what: `container ${id.slice(0, 12)}, frozen`, why: this.#kept });
      return { ...holds, kept: this.#kept };
    }
    await this.#lookAtEnd();
    try {
      await this.#container?.remove();
      // One that ran before it was prepared is somebody's own; its folder is ours.
      await releaseJobFolder(holds.folder);
      this.#container = undefined;
      this.#containerId = undefined;
      return {};
    } catch (error) {
      this.#job.remains("container", error);
      return holds;
    }
  }

  /** Whoever waited for it elsewhere may be here before our own wait is. */
  async #lookAtEnd(): Promise<void> {
    const id = this.#containerId;
    if (id === undefined || !this.#job.started || this.#job.exit !== undefined) return;
    const state = await this.#parts.engine.containers.inspect(id).then(
      ({ State }) => State,
      () => undefined,
    );
    if (state?.Running === false) this.#job.workloadEnded(state.ExitCode);
    else this.#job.stop(new CofferdamError("CANCELLED", "cleaned up while it ran"));
  }
}

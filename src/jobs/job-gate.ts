/** Whether a job may run: who asks, may they, is its image acceptable, is there room, and a network of its own. The first refusal ends it. */
import { requireOutside } from "../audit/index.ts";
import type { ContainerEngine } from "../engine/index.ts";
import { type Clock, CofferdamError } from "../foundation/index.ts";
import type { NetworkIsolationManager } from "../network/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { ResourceQuotaManager } from "../quota/index.ts";
import { authorizeJob, type JobAuthority } from "./job-authority.ts";
import { openJobNetwork } from "./job-network.ts";
import type { JobConfig } from "./job-spec.ts";
import type { JobTrail } from "./job-trail.ts";
import type { LiveJob } from "./live-job.ts";
import type { CheckName } from "./report/schema.ts";
import { isPinned } from "./score/job-evidence.ts";

export interface JobGateParts {
  readonly engine: ContainerEngine;
  readonly quota: ResourceQuotaManager;
  readonly networks: NetworkIsolationManager | undefined;
  readonly policy: EffectivePolicy;
  readonly stateDir: string;
  readonly audit: JobTrail;
  readonly clock: Clock;
  readonly rbac: JobAuthority | undefined;
}

export class JobGate {
  readonly #parts: JobGateParts;

  constructor(parts: JobGateParts) {
    this.#parts = parts;
  }

  /**
   * Throws what refused it; the job's checks say how far it came. @param asked that the job was asked for goes on record, while
   * its image is looked at; nothing is set aside before it is there.
   */
  async check(job: LiveJob, config: JobConfig, asked: Promise<void>, signal: AbortSignal): Promise<void> {
    await Promise.all([asked, this.#looks(job, config, signal)]);
    await this.#resources(job, config, signal);
    await openJobNetwork(this.#parts, job, config.egress ?? []);
  }

  async #looks(job: LiveJob, config: JobConfig, signal: AbortSignal): Promise<void> {
    const { audit, policy, clock, stateDir, rbac } = this.#parts;
    await authorizeJob(job, config, { stateDir, authorization: policy.values["jobs.authorization"], rbac });
    const unseen = await requireOutside(audit, policy.values, clock);
    if (unseen !== undefined) job.refused.push(unseen);
    await this.#image(job, config, signal);
  }

  async #image(job: LiveJob, { image }: JobConfig, signal: AbortSignal): Promise<void> {
    const { engine, policy } = this.#parts;
    const { values } = policy;
    if (image === undefined) throw job.refuse("scanning", new CofferdamError("INVALID_ARGUMENT", "a job needs an image", { hint: "--image NAME" }));
    if (values.level === "paranoid" && !isPinned(image))
      this.#forbid(
        job,
        "scanning",
        new CofferdamError("SECURITY_VIOLATION", `level paranoid takes images by digest only: ${image}`, { hint: "--image NAME@sha256:..." }),
      );
    try {
      const found = await engine.images.inspect(image, { signal });
      job.image = found;
      job.digest = found.RepoDigests?.map((name) => name.slice(name.indexOf("@") + 1))[0];
    } catch (error) {
      if (error instanceof CofferdamError && error.code === "NOT_FOUND")
        throw job.refuse(
          "scanning",
          new CofferdamError("NOT_FOUND", `the engine has no image ${image}`, {
            hint: "docker load -i FILE, or docker pull it yourself: nothing is pulled by a job",
          }),
        );
      throw job.refuse("scanning", error);
    }
    if (values["jobs.unscanned"] === "deny")
      this.#forbid(
        job,
        "scanning",
        new CofferdamError("SECURITY_VIOLATION", `${image} was not scanned: this version scans no images, and level ${values.level} asks for it`, {
          hint: "accept that, in a policy of yours: jobs: {unscanned: accept}",
        }),
      );
    job.notChecked("scanning", `this version scans no images${values["jobs.unscanned"] === "accept" ? "; the policy accepts that" : ""}`);
  }

  /** Mode observe says what would be refused, and lets it go on. */
  #forbid(job: LiveJob, name: CheckName, error: CofferdamError): void {
    if (this.#parts.policy.values.mode === "enforce") throw job.refuse(name, error);
    job.refused.push(`${error.message} (would be refused)`);
  }

  async #resources(job: LiveJob, { priority, resources, repository, wait }: JobConfig, signal: AbortSignal): Promise<void> {
    try {
      job.allocation = await this.#parts.quota.allocateResources(job.identity.jobId, { priority, repository, requestedResources: resources, wait, signal });
      job.pass("resourceAllocation", "set aside");
    } catch (error) {
      throw job.refuse("resourceAllocation", error);
    }
  }
}

/** The jobs of this process while they are open, and what ends one early: an order, here or from another process, or its quota. */
import type { ContainerEngine } from "../engine/index.ts";
import { CofferdamError } from "../foundation/index.ts";
import type { QuotaViolation } from "../quota/index.ts";
import type { KnownJob } from "../secrets/index.ts";
import type { ContainerRun } from "./container-run.ts";
import type { JobBook } from "./job-book.ts";
import type { JobSecurityContext } from "./job-context.ts";
import type { JobTrail } from "./job-trail.ts";
import type { LiveJob } from "./live-job.ts";
import type { PreparedRun } from "./prepared-run.ts";
import type { JobReport } from "./report/schema.ts";

export interface OpenJob {
  readonly job: LiveJob;
  state: JobSecurityContext["state"];
  run: ContainerRun | PreparedRun | undefined;
  readonly stop: AbortController;
  /** Looks for requests of other processes. */
  readonly watch: NodeJS.Timeout;
  /** What goes on for it (see {@link during}): the end tells it to stop, and waits for it. */
  work: Promise<unknown> | undefined;
  ending: Promise<JobReport> | undefined;
  /** To threats, on their way. */
  readonly answers: Set<Promise<unknown>>;
}

/** Between two looks for requests to stop, ms. */
const WATCH_EVERY = 500;

export class OpenJobs {
  readonly #engine: ContainerEngine;
  readonly #book: JobBook;
  readonly #jobs = new Map<string, OpenJob>();

  constructor(engine: ContainerEngine, book: JobBook) {
    this.#engine = engine;
    this.#book = book;
  }

  open(job: LiveJob): OpenJob {
    const { jobId } = job.identity;
    const watch = setInterval(() => void this.lookForRequest(jobId), WATCH_EVERY).unref();
    const open: OpenJob = {
      job,
      state: "initializing",
      run: undefined,
      stop: new AbortController(),
      watch,
      work: undefined,
      ending: undefined,
      answers: new Set(),
    };
    this.#jobs.set(jobId, open);
    return open;
  }

  close(jobId: string): void {
    this.#jobs.delete(jobId);
  }

  find(jobId: string): OpenJob | undefined {
    return this.#jobs.get(jobId);
  }

  /** Throws NOT_FOUND. */
  get(jobId: string): OpenJob {
    const open = this.#jobs.get(jobId);
    if (open === undefined) throw new CofferdamError("NOT_FOUND", `no job ${jobId} in this process`);
    return open;
  }

  /**
   * What is true of a job, for whoever keeps secrets: of this process alone, since nobody else carries any into it. An image
   * that was never in a registry goes by its id.
   */
  known(jobId: string): KnownJob | undefined {
    const open = this.#jobs.get(jobId);
    if (open === undefined) return undefined;
    const { identity, digest, image } = open.job;
    return { jobId, active: open.state === "ready" && open.ending === undefined, repository: identity.repository, imageDigest: digest ?? image?.Id };
  }

  /** For a part that records what it saw of a job: without that job's secrets. */
  masking(audit: Pick<JobTrail, "log">): Pick<JobTrail, "log"> {
    return {
      log: async (event) => {
        const masks = this.#jobs.get(event.sessionId ?? "")?.job.masks;
        return await audit.log(masks === undefined || event.details === undefined ? event : { ...event, details: masks.object(event.details) });
      },
    };
  }

  /** The end of a job waits for it. */
  answering(jobId: string, answer: Promise<unknown>): void {
    const answers = this.#jobs.get(jobId)?.answers;
    answers?.add(answer);
    answer.then(
      () => answers?.delete(answer),
      () => answers?.delete(answer),
    );
  }

  async answered(jobId: string): Promise<void> {
    await Promise.allSettled(this.#jobs.get(jobId)?.answers ?? []);
  }

  entries(): readonly (readonly [string, OpenJob])[] {
    return [...this.#jobs];
  }

  /**
   * Of this process at once; another one finds the request, and its container is ended meanwhile. @param keep leaves the
   * container frozen as it is. Throws FAILED_PRECONDITION when the job has ended, NOT_FOUND.
   */
  async stop(jobId: string, error: CofferdamError, keep = false): Promise<void> {
    const { code, message } = error;
    const open = this.#jobs.get(jobId);
    if (open !== undefined) return stopNow(open, error, keep);
    await this.#book.jobs.requestStop(jobId, { code, message, keep });
    const { container } = (await this.#book.jobs.get(jobId)).holds;
    // Not there yet, or gone already: the request is what counts.
    if (!keep && container !== undefined) await this.#engine.containers.kill(container).catch(() => undefined);
  }

  /** Never throws: a store that cannot be read now is asked again. */
  async lookForRequest(jobId: string): Promise<void> {
    const open = this.#jobs.get(jobId);
    const request = await this.#book.jobs.stopRequest(jobId).catch(() => undefined);
    if (open !== undefined && request !== undefined) stopNow(open, new CofferdamError(request.code, request.message), request.keep === true);
  }

  /** Nothing of it gets out any more: what it does from here on is no run of it. */
  lostNetwork(jobId: string, why: string): void {
    const open = this.#jobs.get(jobId);
    if (open !== undefined) stopNow(open, new CofferdamError("UPSTREAM_UNAVAILABLE", `its network is gone: ${why}`), false);
  }

  violated(violation: QuotaViolation): void {
    const open = this.#jobs.get(violation.jobId);
    if (open === undefined) return;
    const { job } = open;
    job.violated(violation);
    // Every other limit is the kernel's to hold.
    if (violation.resource !== "disk" || violation.enforcement !== "watched" || job.allocation?.enforcement !== "hard") return;
    stopNow(open, new CofferdamError("RESOURCE_EXHAUSTED", "it wrote more than its limit of disk space", { hint: "--disk, or jobs that write less" }), false);
  }
}

export function stopNow({ job, run, stop }: OpenJob, error: CofferdamError, keep: boolean): void {
  if (keep) run?.keep(error.message);
  job.stop(error);
  stop.abort(error);
}

export async function during(open: OpenJob, work: Promise<void>): Promise<void> {
  open.work = work;
  try {
    await work;
  } finally {
    open.work = undefined;
  }
}

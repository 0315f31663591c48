/** The monitor beside one job's container: it watches before the first instruction, and what came of it is in the report. */
import { hash } from "node:crypto";
import { CofferdamError, canonicalText, messageOf } from "../foundation/index.ts";
import type { InspectedContainer, RuntimeSecurityMonitor, SensorStatus } from "../monitor/index.ts";
import type { Monitoring } from "../policy/index.ts";
import type { JobBook } from "./job-book.ts";
import type { LiveJob } from "./live-job.ts";
import type { JobMonitoring } from "./report/schema.ts";

export interface JobWatchParts {
  /** What `jobs.monitor` says. */
  readonly monitoring: Monitoring;
  /** Started when the first job needs it; undefined where it is turned off. */
  readonly monitor: () => Promise<RuntimeSecurityMonitor | undefined>;
  readonly book: JobBook;
  /** Answers to threats of the job that are on their way. */
  settled(jobId: string): Promise<void>;
}

export class JobWatch {
  readonly #parts: JobWatchParts;
  readonly #job: LiveJob;
  readonly #containerId: string;
  readonly #monitor: RuntimeSecurityMonitor;
  readonly #heard: (status: SensorStatus) => void;
  #worst: SensorStatus;
  /** As it was put on record at the beginning. */
  #told: SensorStatus["source"] = "ebpf";
  #ending: Promise<void> | undefined;

  private constructor(parts: JobWatchParts, job: LiveJob, containerId: string, monitor: RuntimeSecurityMonitor) {
    this.#parts = parts;
    this.#job = job;
    this.#containerId = containerId;
    this.#monitor = monitor;
    this.#worst = monitor.status;
    this.#heard = (status) => {
      if (RANK[status.source] > RANK[this.#worst.source]) this.#worst = status;
    };
    monitor.events.on("statusChanged", this.#heard);
  }

  /** Before anything is made for the job. Throws ENVIRONMENT_UNFIT where the policy requires what cannot be had. */
  static async ready({ monitoring, monitor: start }: JobWatchParts, job: LiveJob): Promise<RuntimeSecurityMonitor | undefined> {
    const monitor = await start();
    if (monitor === undefined) {
      job.monitoring = { ...NOTHING, state: "off", why: "jobs.monitor is off" };
      return undefined;
    }
    const { state, why = "no kernel events" } = monitor.status;
    if (monitoring === "require" && state !== "watching") {
      job.monitoring = { ...NOTHING, state, why };
      throw unfit(why);
    }
    return monitor;
  }

  /** Of a container that runs, and whose workload waits. Throws ENVIRONMENT_UNFIT, as above. */
  static async begin(parts: JobWatchParts, job: LiveJob, container: InspectedContainer): Promise<JobWatch | undefined> {
    const { monitoring } = parts;
    const monitor = await JobWatch.ready(parts, job);
    if (monitor === undefined) return undefined;
    const { Id: containerId } = container;
    const watch = new JobWatch(parts, job, containerId, monitor);
    const { repository, workflow, job: name, jobId, command } = job.identity;
    try {
      const metadata = { repository, workflow, job: name ?? usualName(command), mask: (text: string) => job.masks.text(text) };
      await monitor.startContainerMonitoring(containerId, jobId, metadata, container);
      monitor.given(containerId, [...job.secrets.files, ...job.secrets.variables]);
    } catch (error) {
      monitor.events.off("statusChanged", watch.#heard);
      const why = messageOf(error).slice(0, 500);
      job.monitoring = { ...NOTHING, state: "absent", why };
      if (monitoring === "require") throw unfit(why);
      await unwatched(job, { state: "absent", why, lacks: ["everything"] });
      return undefined;
    }
    const { state, source } = watch.#worst;
    watch.#told = source;
    if (state !== "watching") await unwatched(job, watch.#worst);
    return watch;
  }

  /** Waits for answers that are on their way: what they want of the container is gone afterwards. Never throws. Idempotent. */
  async end(): Promise<void> {
    this.#ending ??= this.#end();
    await this.#ending;
  }

  async #end(): Promise<void> {
    const { jobId } = this.#job.identity;
    await this.#parts.settled(jobId);
    try {
      const { events, lost, programs, notes, threats, talkers, baselineRuns } = await this.#monitor.stopContainerMonitoring(this.#containerId, {
        train: await this.#teaches(),
      });
      this.#job.talkers = talkers;
      const gaps = threats.filter(({ type }) => type === "sensor-gap").reduce((sum, { times }) => sum + times, 0);
      const { state, why, lacks } = this.#worst;
      const evidence = this.#job.evidence.map(({ path, sha256, bytes }) => ({ path, sha256, bytes }));
      this.#job.monitoring = {
        ...{ state, ...(why === undefined ? {} : { why }), lacks, events, lost, gaps, programs, notes, evidence },
        ...(baselineRuns === undefined ? {} : { baseline: { ...this.#named(), runs: baselineRuns } }),
      };
    } catch (error) {
      this.#job.monitoring = { ...NOTHING, state: "absent", why: messageOf(error).slice(0, 500) };
    }
    this.#monitor.events.off("statusChanged", this.#heard);
    // A trail that takes no more is said by the end of the job, which is recorded after this.
    if (RANK[this.#worst.source] > RANK[this.#told]) await unwatched(this.#job, this.#worst).catch(() => undefined);
    // The last events are judged as the watch ends.
    await this.#parts.settled(jobId);
  }

  /** What its baseline goes by. */
  #named(): Omit<NonNullable<JobMonitoring["baseline"]>, "runs"> {
    const { workflow, job, namesFrom = "the caller" } = this.#job.identity;
    if (workflow === undefined && job === undefined) return { from: "its command" };
    return { ...(workflow === undefined ? {} : { workflow }), ...(job === undefined ? {} : { job }), from: namesFrom };
  }

  /** Only a run that passed, of a repository of which nobody looks into an incident. */
  async #teaches(): Promise<boolean> {
    const { exit, stoppedBy, threats, identity } = this.#job;
    if (exit !== 0 || stoppedBy !== undefined || threats.length > 0) return false;
    return !(await this.#parts.book.hasOpenThreat(identity.repository).catch(() => true));
  }
}

/** On record: of this job not everything was seen, or nothing. */
async function unwatched(job: LiveJob, { state, why, lacks }: Pick<SensorStatus, "state" | "why" | "lacks">): Promise<void> {
  await job.record("JobUnwatched", "failure", { state, ...(why === undefined ? {} : { why }), lacks: [...lacks] });
}

/** Of a job that nobody named: what is run again is the same one. Only a hash, whatever its words hold. */
function usualName(command: readonly string[]): string {
  return `command:${hash("sha256", canonicalText(command)).slice(0, 32)}`;
}

const NOTHING = { lacks: [], events: 0, lost: 0, gaps: 0, programs: 0, notes: [], evidence: [] } as const;
const RANK = { ebpf: 0, audit: 1, connector: 2, none: 3 } as const;

function unfit(why: string): CofferdamError {
  return new CofferdamError("ENVIRONMENT_UNFIT", `its processes cannot be watched: ${why.slice(0, 500)}`, {
    hint: "cofferdam doctor; jobs: {monitor: watch} lets jobs run that nobody watches",
  });
}

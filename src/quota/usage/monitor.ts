/** Looks at every job under watch, again and again, and stops one that passed a limit that only watching holds. */
import type { EventEmitter } from "node:events";
import { type Clock, CofferdamError, messageOf } from "../../foundation/index.ts";
import type { Allocation } from "../allocation.ts";
import { type QuotaEvents, type QuotaViolation, tell } from "../events.ts";
import { type CounterSource, JobWatch, type ResourceUsage, type Thresholds } from "./job-watch.ts";

export interface MonitorParts {
  readonly events: EventEmitter<QuotaEvents>;
  readonly clock: Clock;
  readonly interval: number;
  readonly thresholds: Thresholds;
  /** Puts a violation on record. */
  record(violation: QuotaViolation): Promise<void>;
}

interface Watched {
  readonly watch: JobWatch;
  /** Ends the job. Absent when there is nothing that could. */
  readonly stop: (() => Promise<void>) | undefined;
}

export class Monitor {
  readonly #parts: MonitorParts;
  readonly #watched = new Map<string, Watched>();
  readonly #recording = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #closed = false;

  constructor(parts: MonitorParts) {
    this.#parts = parts;
  }

  /** Begins, and looks at once. A second watch of a job replaces the first. */
  async watch(allocation: Allocation, source: CounterSource, stop?: () => Promise<void>): Promise<void> {
    const { events, clock, thresholds } = this.#parts;
    const watch = new JobWatch({
      allocation,
      source,
      thresholds,
      now: () => clock.monotonic(),
      alert: (alert) => tell(events, "quotaAlert", alert),
      violation: (violation) => this.#violated(violation),
    });
    this.#watched.set(allocation.jobId, { watch, stop });
    await watch.sample();
    this.#schedule();
  }

  has(jobId: string): boolean {
    return this.#watched.has(jobId);
  }

  /** Throws NOT_FOUND for a job that is not watched here. */
  async sample(jobId: string): Promise<ResourceUsage> {
    const watched = this.#watched.get(jobId);
    if (watched === undefined) throw new CofferdamError("NOT_FOUND", `job ${jobId} is not watched by this process`, { details: { jobId } });
    return await watched.watch.sample();
  }

  /** The last look. @param oomKilled what the engine says of a container that may have gone before we looked. */
  async end(jobId: string, oomKilled: boolean): Promise<ResourceUsage | undefined> {
    const watched = this.#watched.get(jobId);
    if (watched === undefined) return undefined;
    await watched.watch.sample();
    if (oomKilled) watched.watch.oomKilledUnseen();
    const usage = await watched.watch.sample();
    this.#watched.delete(jobId);
    await Promise.all(this.#recording);
    return usage;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#round;
    await Promise.all(this.#recording);
  }

  #schedule(): void {
    if (this.#closed || this.#timer !== undefined || this.#watched.size === 0) return;
    // Watching is no reason for a process to stay.
    this.#timer = setTimeout(() => {
      this.#round = this.#look().finally(() => {
        this.#timer = undefined;
        this.#round = undefined;
        this.#schedule();
      });
    }, this.#parts.interval).unref();
  }

  async #look(): Promise<void> {
    for (const [jobId, { watch }] of this.#watched) {
      try {
        await watch.sample();
      } catch (error) {
        tell(this.#parts.events, "monitorFault", { jobId, message: messageOf(error).slice(0, 500) });
      }
    }
  }

  #violated(violation: QuotaViolation): void {
    const { events } = this.#parts;
    tell(events, "quotaViolation", violation);
    const { jobId, resource, enforcement } = violation;
    const watched = this.#watched.get(jobId);
    this.#inBackground(jobId, () => this.#parts.record(violation));
    if (resource !== "disk" || enforcement !== "watched" || watched?.watch.allocation.enforcement !== "hard") return;
    const { stop } = watched;
    if (stop === undefined) tell(events, "monitorFault", { jobId, message: "its disk limit is passed, and there is no container to stop" });
    else this.#inBackground(jobId, stop);
  }

  #inBackground(jobId: string, work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => tell(this.#parts.events, "monitorFault", { jobId, message: messageOf(error).slice(0, 500) }))
      .finally(() => this.#recording.delete(running));
    this.#recording.add(running);
  }
}

/**
 * One job under watch: samples, peaks, alerts, violations. Violations come from counters that only grow and start at nothing
 * with the job's own cgroup, so what happened before the first look, or between two, is counted too.
 */
import type { Allocation } from "../allocation.ts";
import type { CgroupCounters } from "../cgroup/counters.ts";
import type { DiskUse } from "../disk/disk-use.ts";
import type { QuotaViolation, UsageAlert, ViolationKind, WatchedResource } from "../events.ts";
import type { NetworkCounters } from "../network/counters.ts";
import { MEASURED, type Measured, measure, type Sample, type UsageNow } from "./measure.ts";

/** Where the counters are. */
export interface CounterSource {
  /** Undefined when the job's cgroup is gone. */
  cgroup(): CgroupCounters | undefined;
  network(): NetworkCounters | undefined;
  /** May walk a tree: asked seldom. */
  disk(): Promise<DiskUse | undefined>;
}

export interface UsagePeak {
  readonly cores: number;
  readonly memory: number;
  readonly pids: number;
  readonly disk: number;
  readonly downloadRate: number;
  readonly uploadRate: number;
}

export interface ViolationTotals {
  readonly oomKills: number;
  readonly forksRefused: number;
  readonly throttledPeriods: number;
}

/** What {@link ResourceQuotaManager.monitorResourceUsage} returns: percent of the quota by name, and the rest. */
export interface ResourceUsage extends Readonly<Record<Measured, number | undefined>> {
  readonly jobId: string;
  readonly raw: UsageNow["raw"];
  readonly notMeasured: UsageNow["notMeasured"];
  readonly peak: UsagePeak;
  readonly violations: ViolationTotals;
  readonly disks?: DiskUse | undefined;
  /** The job's cgroup is gone: these are the last numbers. */
  readonly ended: boolean;
}

export type Thresholds = { readonly [K in Measured]?: number | undefined };
/** Percent. A job that runs at its rate of network or io does what it may. */
export const ALERTS: Thresholds = { cpu: 90, memory: 85, disk: 80, pids: 90 };

interface WatchOptions {
  readonly allocation: Allocation;
  readonly source: CounterSource;
  readonly thresholds: Thresholds;
  now(): number;
  alert(alert: UsageAlert): void;
  violation(violation: QuotaViolation): void;
}

/** Rates over less than this are noise, ms. */
const LEAST_WINDOW = 200;
/** An alert is raised again only after use fell this far below the threshold, percent. */
const HYSTERESIS = 5;
/** Being throttled is everyday; it is told once a minute, with how often. */
const QUIET = 60_000;
/** A walk takes at most a twentieth of the time, and comes at most every 2 s. */
const DISK_EVERY = 2000;
const DISK_SHARE = 20;
/** Less than this is left: as good as full. */
const FULL_BYTES: number = 2 ** 20;

export class JobWatch {
  readonly #options: WatchOptions;
  #base: Sample | undefined;
  #last: UsageNow | undefined;
  #disk: DiskUse | undefined;
  #nextDisk = Number.NEGATIVE_INFINITY;
  #peak: UsagePeak = { cores: 0, memory: 0, pids: 0, disk: 0, downloadRate: 0, uploadRate: 0 };
  #totals: ViolationTotals = { oomKills: 0, forksRefused: 0, throttledPeriods: 0 };
  #throttlesTold = 0;
  #throttleTold = Number.NEGATIVE_INFINITY;
  #diskFull = false;
  #ended = false;
  readonly #alerted = new Set<Measured>();
  #sampling: Promise<ResourceUsage> | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  get allocation(): Allocation {
    return this.#options.allocation;
  }

  /** Looks now. Callers at the same time share one look. */
  async sample(): Promise<ResourceUsage> {
    this.#sampling ??= this.#sample().finally(() => {
      this.#sampling = undefined;
    });
    return await this.#sampling;
  }

  /** An out-of-memory kill that somebody else saw (the engine), of a cgroup that was gone before we looked. */
  oomKilledUnseen(): void {
    if (this.#totals.oomKills > 0) return;
    this.#totals = { ...this.#totals, oomKills: 1 };
    this.#tell("memory", "killed", 1, 1);
  }

  async #sample(): Promise<ResourceUsage> {
    const { source, allocation, now } = this.#options;
    const cgroup = source.cgroup();
    if (cgroup === undefined && this.#last !== undefined) {
      this.#ended = true;
      return this.#usage(this.#last);
    }
    await this.#lookAtDisk();
    const sample: Sample = { at: now(), cgroup, network: source.network(), disk: this.#disk };
    const window = this.#base === undefined ? 0 : sample.at - this.#base.at;
    let usage = measure(allocation, this.#base, sample);
    if (window >= LEAST_WINDOW || this.#base === undefined) this.#base = sample;
    else if (this.#last !== undefined) usage = withRatesOf(usage, this.#last);
    this.#last = usage;
    this.#notePeaks(usage, cgroup);
    this.#noteViolations(cgroup);
    this.#noteAlerts(usage);
    return this.#usage(usage);
  }

  async #lookAtDisk(): Promise<void> {
    const { source, now } = this.#options;
    const started = now();
    if (started < this.#nextDisk) return;
    this.#disk = await source.disk();
    this.#nextDisk = now() + Math.max(DISK_EVERY, (now() - started) * DISK_SHARE);
  }

  #notePeaks({ raw }: UsageNow, cgroup: CgroupCounters | undefined): void {
    const peak = this.#peak;
    this.#peak = {
      cores: Math.max(peak.cores, raw.cores),
      memory: Math.max(peak.memory, raw.memory, cgroup?.memory?.peak ?? 0),
      pids: Math.max(peak.pids, raw.pids, cgroup?.pids?.peak ?? 0),
      disk: Math.max(peak.disk, raw.disk),
      downloadRate: Math.max(peak.downloadRate, raw.downloadRate),
      uploadRate: Math.max(peak.uploadRate, raw.uploadRate),
    };
  }

  #noteViolations(cgroup: CgroupCounters | undefined): void {
    const before = this.#totals;
    const after: ViolationTotals = {
      oomKills: Math.max(before.oomKills, cgroup?.memory?.oomKills ?? 0),
      forksRefused: Math.max(before.forksRefused, cgroup?.pids?.refused ?? 0),
      throttledPeriods: Math.max(before.throttledPeriods, cgroup?.cpu?.throttledPeriods ?? 0),
    };
    this.#totals = after;
    if (after.oomKills > before.oomKills) this.#tell("memory", "killed", after.oomKills - before.oomKills, after.oomKills);
    if (after.forksRefused > before.forksRefused) this.#tell("pids", "refused", after.forksRefused - before.forksRefused, after.forksRefused);
    const throttles = after.throttledPeriods - this.#throttlesTold;
    if (throttles > 0 && this.#options.now() - this.#throttleTold >= QUIET) {
      this.#throttleTold = this.#options.now();
      this.#throttlesTold = after.throttledPeriods;
      this.#tell("cpu", "throttled", throttles, after.throttledPeriods);
    }
    this.#noteDisk();
  }

  #noteDisk(): void {
    const disk = this.#disk;
    if (disk === undefined) return;
    // Nobody counts the writes that a full file system refuses, and the last one may have been larger than what is left.
    const full = disk.enforcement === "enforced" ? disk.limit - disk.used < Math.max(FULL_BYTES, disk.limit / 1000) : disk.used > disk.limit;
    if (full && !this.#diskFull) this.#tell("disk", "exceeded", 1, 1, disk.enforcement);
    this.#diskFull = full;
  }

  #noteAlerts({ percent }: UsageNow): void {
    for (const resource of MEASURED) {
      const threshold = this.#options.thresholds[resource];
      const value = percent[resource];
      if (threshold === undefined || value === undefined) continue;
      if (value < threshold - HYSTERESIS) this.#alerted.delete(resource);
      if (value < threshold || this.#alerted.has(resource)) continue;
      this.#alerted.add(resource);
      this.#options.alert({ jobId: this.#options.allocation.jobId, resource, percent: value, threshold });
    }
  }

  #tell(resource: WatchedResource, kind: ViolationKind, times: number, total: number, enforcement: "enforced" | "watched" = "enforced"): void {
    this.#options.violation({ jobId: this.#options.allocation.jobId, resource, kind, times, total, enforcement });
  }

  #usage({ percent, raw, notMeasured }: UsageNow): ResourceUsage {
    const { jobId } = this.#options.allocation;
    return { jobId, ...percent, raw, notMeasured, peak: this.#peak, violations: this.#totals, disks: this.#disk, ended: this.#ended };
  }
}

/** Two looks within a moment: amounts are new, rates are of the look before. */
function withRatesOf(now: UsageNow, before: UsageNow): UsageNow {
  const { cores, downloadRate, uploadRate, readRate, writeRate } = before.raw;
  const { cpu, network, io } = before.percent;
  return { ...now, raw: { ...now.raw, cores, downloadRate, uploadRate, readRate, writeRate }, percent: { ...now.percent, cpu, network, io } };
}

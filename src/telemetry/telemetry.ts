/** How long operations take and what they cost, with thresholds that raise an alert. */
import { EventEmitter } from "node:events";
import { type Clock, systemClock } from "../foundation/index.ts";
import { BUCKETS, Histogram, type HistogramSummary } from "./histogram.ts";

/** Every operation that is measured. Closed, so that the number of series is bounded. */
export const OPERATIONS = ["integrity", "scan", "audit", "protection", "script"] as const;
export type Operation = (typeof OPERATIONS)[number];
type Outcome = "success" | "failure";

/** Milliseconds past which one operation raises `thresholdExceeded`. */
export type Thresholds = Readonly<Record<Operation, number>>;

export const DEFAULT_THRESHOLDS: Thresholds = { integrity: 100, scan: 5000, audit: 10, protection: 50, script: 30_000 };

export interface ThresholdExceeded {
  readonly operation: Operation;
  readonly thresholdMs: number;
  readonly valueMs: number;
  /** Times it was exceeded since the last event, this one included: repeats within a minute are counted, not sent. */
  readonly count: number;
}

/** Events by name, as EventEmitter wants them. */
export interface TelemetryEvents {
  thresholdExceeded: [ThresholdExceeded];
}

export interface OperationSummary extends HistogramSummary {
  readonly failures: number;
  /** CPU of the whole process while operations ran, ms; concurrent work counts too. */
  readonly cpuMs: number;
  /** Largest growth of the process's resident memory during one operation, bytes. */
  readonly maxMemoryBytes: number;
  readonly exceeded: number;
}

const QUIET = 60_000;

interface Series {
  readonly all: Histogram;
  readonly byOutcome: Readonly<Record<Outcome, Histogram>>;
  failures: number;
  cpuMs: number;
  maxMemoryBytes: number;
  exceeded: number;
  unsent: number;
  lastSent: number | undefined;
}

/**
 * @example
 * ```ts
 * const telemetry = new Telemetry({ thresholds: { integrity: 200 } });
 * telemetry.events.on("thresholdExceeded", ({ operation, valueMs }) => console.warn(operation, valueMs));
 * await telemetry.time("integrity", () => service.verifyPackageFileIntegrity("a", "1.0.0", "a.tgz", sri));
 * ```
 */
export class Telemetry {
  readonly events: EventEmitter<TelemetryEvents> = new EventEmitter();
  readonly #clock: Clock;
  readonly #thresholds: Thresholds;
  readonly #series = new Map<Operation, Series>();

  constructor(options: { readonly thresholds?: Partial<Thresholds>; readonly clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#thresholds = { ...DEFAULT_THRESHOLDS, ...options.thresholds };
  }

  /** Runs and measures work; its outcome passes through. */
  async time<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    const started = this.#clock.monotonic();
    const cpu = process.cpuUsage();
    const memory = process.memoryUsage.rss();
    let outcome: Outcome = "failure";
    try {
      const result = await work();
      outcome = "success";
      return result;
    } finally {
      const { user, system } = process.cpuUsage(cpu);
      this.#record(operation, outcome, this.#clock.monotonic() - started, (user + system) / 1000, process.memoryUsage.rss() - memory);
    }
  }

  snapshot(): ReadonlyMap<Operation, OperationSummary> {
    return new Map(
      [...this.#series].map(([operation, { all, failures, cpuMs, maxMemoryBytes, exceeded }]) => [
        operation,
        { ...all.summary(), failures, cpuMs, maxMemoryBytes, exceeded },
      ]),
    );
  }

  /** Prometheus text format 0.0.4. Series are bounded by {@link OPERATIONS}: 5 x 2 x 14 and 6 more. */
  prometheus(version: string): string {
    const lines = [
      "# TYPE cofferdam_build_info gauge",
      `cofferdam_build_info{version="${escapeLabel(version)}"} 1`,
      "# TYPE cofferdam_op_duration_seconds histogram",
    ];
    for (const [operation, series] of this.#series) {
      for (const [outcome, histogram] of Object.entries(series.byOutcome)) lines.push(...histogramLines(operation, outcome, histogram));
    }
    lines.push("# TYPE cofferdam_op_threshold_exceeded_total counter");
    for (const [operation, { exceeded }] of this.#series) lines.push(`cofferdam_op_threshold_exceeded_total{op="${operation}"} ${exceeded}`);
    return `${lines.join("\n")}\n`;
  }

  #record(operation: Operation, outcome: Outcome, wallMs: number, cpuMs: number, memoryBytes: number): void {
    const series = this.#series.get(operation) ?? {
      all: new Histogram(),
      byOutcome: { success: new Histogram(), failure: new Histogram() },
      failures: 0,
      cpuMs: 0,
      maxMemoryBytes: 0,
      exceeded: 0,
      unsent: 0,
      lastSent: undefined,
    };
    this.#series.set(operation, series);
    series.all.add(wallMs);
    series.byOutcome[outcome].add(wallMs);
    if (outcome === "failure") series.failures += 1;
    series.cpuMs += cpuMs;
    series.maxMemoryBytes = Math.max(series.maxMemoryBytes, memoryBytes);
    if (wallMs > this.#thresholds[operation]) this.#exceeded(operation, series, wallMs);
  }

  #exceeded(operation: Operation, series: Series, valueMs: number): void {
    series.exceeded += 1;
    series.unsent += 1;
    const now = this.#clock.monotonic();
    if (series.lastSent !== undefined && now - series.lastSent < QUIET) return;
    const count = series.unsent;
    series.unsent = 0;
    series.lastSent = now;
    for (const listener of this.events.listeners("thresholdExceeded")) {
      try {
        listener({ operation, thresholdMs: this.#thresholds[operation], valueMs, count });
      } catch {
        // A listener's failure is its own: the measured operation and the other listeners go on.
      }
    }
  }
}

function histogramLines(operation: Operation, outcome: string, histogram: Histogram): string[] {
  const { count, sum } = histogram.summary();
  if (count === 0) return [];
  const labels = `op="${operation}",result="${outcome}"`;
  const cumulative = histogram.cumulative();
  return [
    ...BUCKETS.map((bound, i) => `cofferdam_op_duration_seconds_bucket{${labels},le="${bound / 1000}"} ${cumulative[i] ?? 0}`),
    `cofferdam_op_duration_seconds_bucket{${labels},le="+Inf"} ${count}`,
    `cofferdam_op_duration_seconds_sum{${labels}} ${sum / 1000}`,
    `cofferdam_op_duration_seconds_count{${labels}} ${count}`,
  ];
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

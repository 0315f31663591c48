/** How long operations take and what they cost, with thresholds that raise an alert. */
import { EventEmitter } from "node:events";
import { z } from "zod";
import { type Clock, CofferdamError, parseInput, systemClock } from "../foundation/index.ts";
import { BUCKETS, Histogram, type HistogramSummary } from "./histogram.ts";

/** Every operation that is measured. Closed, so that the number of series is bounded. */
export const OPERATIONS = ["integrity", "scan", "audit", "protection", "script"] as const;
export type Operation = (typeof OPERATIONS)[number];
export type Outcome = "success" | "failure";

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

/** Stops a measurement that {@link Telemetry.start} began; only the first call counts. */
export type Stop = (outcome?: Outcome) => void;

const QUIET = 60_000;

const threshold = z.number().min(0).optional();
const optionsSchema = z.strictObject({
  thresholds: z.strictObject({ integrity: threshold, scan: threshold, audit: threshold, protection: threshold, script: threshold }).optional(),
  clock: z.custom<Clock>((value) => typeof value === "object" && value !== null && "monotonic" in value).optional(),
});

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

  /** Thresholds in ms; those left out keep their defaults. Throws INVALID_ARGUMENT. */
  constructor(options: { readonly thresholds?: Partial<Thresholds>; readonly clock?: Clock } = {}) {
    const parsed = parseInput(optionsSchema, options, "options of Telemetry");
    this.#clock = parsed.clock ?? systemClock;
    const given = Object.entries(parsed.thresholds ?? {}).filter(([, value]) => value !== undefined);
    this.#thresholds = { ...DEFAULT_THRESHOLDS, ...Object.fromEntries(given) };
  }

  /** Runs and measures work; its outcome passes through. Throws INVALID_ARGUMENT for an operation that is not listed. */
  async time<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    const stop = this.start(operation);
    let outcome: Outcome = "failure";
    try {
      const result = await work();
      outcome = "success";
      return result;
    } finally {
      stop(outcome);
    }
  }

  /**
   * Begins a measurement whose end is elsewhere; the returned function ends it, `"success"` unless told.
   * Throws INVALID_ARGUMENT for an operation that is not listed: names from outside would make series without end.
   */
  start(operation: Operation): Stop {
    if (!OPERATIONS.includes(operation)) {
      throw new CofferdamError("INVALID_ARGUMENT", `no such operation: ${JSON.stringify(String(operation).slice(0, 40))}`, {
        hint: `one of ${OPERATIONS.join(", ")}`,
      });
    }
    const started = this.#clock.monotonic();
    const cpu = process.cpuUsage();
    const memory = process.memoryUsage.rss();
    let running = true;
    return (outcome = "success") => {
      if (!running) return;
      running = false;
      const { user, system } = process.cpuUsage(cpu);
      this.#record(operation, outcome, this.#clock.monotonic() - started, (user + system) / 1000, process.memoryUsage.rss() - memory);
    };
  }

  /** Takes a measurement that was made elsewhere (a worker thread). Wall and CPU in ms. */
  add(operation: Operation, outcome: Outcome, wallMs: number, cpuMs: number): void {
    this.#record(operation, outcome, wallMs, cpuMs, 0);
  }

  snapshot(): ReadonlyMap<Operation, OperationSummary> {
    return new Map(
      [...this.#series].map(([operation, { all, failures, cpuMs, maxMemoryBytes, exceeded }]) => [
        operation,
        { ...all.summary(), failures, cpuMs, maxMemoryBytes, exceeded },
      ]),
    );
  }

  /**
   * Prometheus text format 0.0.4. Series are bounded by {@link OPERATIONS}: 5 x 2 x 15 and 6 more,
   * far below the 2,500 that one scrape may have.
   */
  prometheus(version: string): string {
    const lines = [
      "# HELP cofferdam_build_info Version that is running.",
      "# TYPE cofferdam_build_info gauge",
      `cofferdam_build_info{version="${escapeLabel(version)}"} 1`,
      "# HELP cofferdam_op_duration_seconds Wall time of operations.",
      "# TYPE cofferdam_op_duration_seconds histogram",
    ];
    for (const [operation, series] of this.#series) {
      for (const [outcome, histogram] of Object.entries(series.byOutcome)) lines.push(...histogramLines(operation, outcome, histogram));
    }
    lines.push(
      "# HELP cofferdam_op_threshold_exceeded_total Operations that took longer than their threshold.",
      "# TYPE cofferdam_op_threshold_exceeded_total counter",
    );
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
    // The raw ones: only they take a listener of once() off again.
    for (const listener of this.events.rawListeners("thresholdExceeded"))
      tell(listener, { operation, thresholdMs: this.#thresholds[operation], valueMs, count });
  }
}

function tell(listener: (event: ThresholdExceeded) => unknown, event: ThresholdExceeded): void {
  try {
    Promise.resolve(listener(event)).catch(() => undefined);
  } catch {
    // A listener's failure, here or in its promise, is its own: the measured operation and the other listeners go on.
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

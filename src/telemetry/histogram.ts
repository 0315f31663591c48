/** A histogram with fixed buckets for durations, and exact quantiles over the latest values. */
export interface HistogramSummary {
  readonly count: number;
  /** Sum of all values, ms. */
  readonly sum: number;
  readonly max: number;
  /** Quantiles of the last {@link WINDOW} values, ms; 0 when there are none. */
  readonly p50: number;
  readonly p95: number;
}

/** Upper bounds, ms. The same for every operation, so that they can be added up over operations and hosts. */
export const BUCKETS: readonly number[] = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 30_000, 120_000];
/** Values that quantiles are taken over. */
export const WINDOW = 1000;

export class Histogram {
  readonly #counts: number[] = BUCKETS.map(() => 0);
  readonly #recent: number[] = [];
  #next = 0;
  #count = 0;
  #sum = 0;
  #max = 0;

  add(value: number): void {
    this.#count += 1;
    this.#sum += value;
    this.#max = Math.max(this.#max, value);
    const bucket = BUCKETS.findIndex((bound) => value <= bound);
    if (bucket >= 0) this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#recent[this.#next] = value;
    this.#next = (this.#next + 1) % WINDOW;
  }

  summary(): HistogramSummary {
    const sorted = [...this.#recent].sort((a, b) => a - b);
    const quantile = (q: number): number => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
    return { count: this.#count, sum: this.#sum, max: this.#max, p50: quantile(0.5), p95: quantile(0.95) };
  }

  /** Values at or below each bound, cumulative, as Prometheus counts. */
  cumulative(): number[] {
    let total = 0;
    return this.#counts.map((count) => {
      total += count;
      return total;
    });
  }
}

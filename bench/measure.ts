/** Rounds of ours and the peer in turn, medians, and the line that every benchmark prints. */
import { hash } from "node:crypto";

export interface Contender {
  readonly name: string;
  /** Runs once and returns what is compared: ms, unless the benchmark says otherwise. */
  run(): Promise<number>;
}

/**
 * Every contender once a round, so that a slow minute of the machine hits all of them; in another order each round, since what one
 * leaves to be cleared away is paid by the next. @returns medians.
 */
export async function interleaved(contenders: readonly Contender[], rounds: number): Promise<number[]> {
  const samples: number[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const i of orderOf(contenders.length, round)) samples[i]?.push((await contenders[i]?.run()) ?? Number.NaN);
  }
  return samples.map(median);
}

/** The same at each run: places by the hash of round and place. */
function orderOf(count: number, round: number): readonly number[] {
  const at = Array.from({ length: count }, (_, i) => ({ i, by: hash("sha256", `${round} ${i}`) }));
  return at.sort((a, b) => (a.by < b.by ? -1 : 1)).map(({ i }) => i);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? (sorted[Math.floor(middle)] ?? Number.NaN) : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

export async function timed(work: () => Promise<unknown> | unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

export interface Line {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly unit: string;
  /** `at-most`: ours / peer must not pass it. `at-least`: it must reach it. Absent for a peer that is only shown. */
  readonly goal?: { readonly kind: "at-most" | "at-least"; readonly ratio: number };
}

export function print({ name, ours, peer, unit, goal }: Line): void {
  const ratio = ours / peer;
  const met = goal === undefined ? undefined : goal.kind === "at-most" ? ratio <= goal.ratio : ratio >= goal.ratio;
  const verdict = goal === undefined ? "" : ` (goal ${goal.kind === "at-most" ? "<=" : ">="} ${goal.ratio}) ${met === true ? "ok" : "SHORT"}`;
  process.stdout.write(`bench ${name}: ours ${format(ours)} ${unit}, peer ${format(peer)} ${unit}, ratio ${ratio.toFixed(2)}${verdict}\n`);
}

export interface Limit {
  readonly name: string;
  readonly ours: number;
  readonly unit: string;
  readonly most: number;
}

/** A goal that is no ratio: so much and not more, on whatever machine this is. */
export function printLimit({ name, ours, unit, most }: Limit): void {
  process.stdout.write(`bench ${name}: ours ${format(ours)} ${unit} (goal <= ${most} ${unit}) ${ours <= most ? "ok" : "SHORT"}\n`);
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

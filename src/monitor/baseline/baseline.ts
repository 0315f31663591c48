/**
 * What a job usually does: how many of its runs did each thing, and how much it used. From ten runs on it says what is new and
 * how often something new is to be expected (Good and Turing: as often as there is what was seen in a single run).
 */
import { z } from "zod";
import { AMOUNTS, type Amount, type Aspect, type ObservedRun } from "./observation.ts";

/** Runs after which a baseline has something to say. */
export const USABLE_RUNS = 10;
/** Items of an aspect; what was seen least goes first. */
const MAX_ITEMS = 2000;
/** Runs of which amounts are remembered. */
const MAX_AMOUNTS = 50;
/** From the middle, in middle deviations. */
const FAR = 8;
/** Something new that comes in more runs than this is no anomaly, ever. */
const USUAL = 0.2;

export interface Baseline {
  readonly runs: number;
  /** In how many runs each was seen. */
  readonly seen: Readonly<Record<Aspect, Readonly<Record<string, number>>>>;
  readonly amounts: Readonly<Record<Amount, readonly number[]>>;
}

export interface Novelty {
  readonly aspect: Aspect;
  readonly item: string;
  /** How likely something new of this kind was, from 0 to 1. */
  readonly chance: number;
  readonly message: string;
}

const count = z.int().min(0).max(1_000_000);
const counts = z.record(z.string().max(200), count);
const amounts = z.array(z.number().min(0)).max(MAX_AMOUNTS);
export const baselineSchema: z.ZodType<Baseline> = z.strictObject({
  runs: count,
  seen: z.strictObject({ program: counts, destination: counts, folder: counts, secret: counts }),
  amounts: z.strictObject({ processes: amounts, connections: amounts, filesWritten: amounts }),
});

export const NO_BASELINE: Baseline = {
  runs: 0,
  seen: { program: {}, destination: {}, folder: {}, secret: {} },
  amounts: { processes: [], connections: [], filesWritten: [] },
};

/** With one more run. */
export function trained(baseline: Baseline, run: ObservedRun): Baseline {
  const of = (aspect: Aspect): Readonly<Record<string, number>> => {
    const counted = new Map(Object.entries(baseline.seen[aspect]));
    for (const item of run.seen[aspect]) counted.set(item, (counted.get(item) ?? 0) + 1);
    return Object.fromEntries([...counted].toSorted(([, a], [, b]) => b - a).slice(0, MAX_ITEMS));
  };
  const [program, destination, folder, secret] = [of("program"), of("destination"), of("folder"), of("secret")];
  const more = (amount: Amount): readonly number[] => [...baseline.amounts[amount], run.amounts[amount]].slice(-MAX_AMOUNTS);
  return {
    runs: baseline.runs + 1,
    seen: { program, destination, folder, secret },
    amounts: { processes: more("processes"), connections: more("connections"), filesWritten: more("filesWritten") },
  };
}

const WORDS: Readonly<Record<Aspect, string>> = { program: "program", destination: "destination", folder: "folder", secret: "secret" };

/** undefined: it is known, or there is too little to compare with, or new ones are an everyday thing in this job. */
export function noveltyOf(baseline: Baseline, aspect: Aspect, item: string): Novelty | undefined {
  const { runs } = baseline;
  if (runs < USABLE_RUNS || Object.hasOwn(baseline.seen[aspect], item)) return undefined;
  const chance = chanceOfNew(baseline, aspect);
  if (chance > USUAL) return undefined;
  const often = chance === 0 ? "none was new in any of them" : `a new one comes in about 1 of ${Math.round(1 / chance)} runs`;
  return { aspect, item, chance, message: `${WORDS[aspect]} never seen in ${runs} runs: ${item} (${often})` };
}

/** Share of runs that bring something new: what was seen once, by the runs there were. At most 1. */
export function chanceOfNew({ runs, seen }: Baseline, aspect: Aspect): number {
  const once = Object.values(seen[aspect]).filter((times) => times === 1).length;
  return runs === 0 ? 1 : Math.min(1, once / runs);
}

/** Amounts far over what was usual; never under it. */
export function outOfRange(baseline: Baseline, run: ObservedRun): readonly string[] {
  if (baseline.runs < USABLE_RUNS) return [];
  return AMOUNTS.flatMap((amount) => {
    const middle = median(baseline.amounts[amount]);
    const deviation = median(baseline.amounts[amount].map((value) => Math.abs(value - middle)));
    const most = middle + FAR * Math.max(deviation, middle / 20, 5);
    return run.amounts[amount] > most ? [`${LABELS[amount]}: ${run.amounts[amount]}, usually about ${Math.round(middle)} (in ${baseline.runs} runs)`] : [];
  });
}

const LABELS: Readonly<Record<Amount, string>> = { processes: "programs started", connections: "connections", filesWritten: "files written" };

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = 0, high = low] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.ceil((sorted.length - 1) / 2)]];
  return (low + high) / 2;
}

/** How old the advisory data is, by its own records, and what the level makes of that. */
import { formatDuration } from "../../foundation/index.ts";
import type { PolicyValues } from "../../policy/index.ts";
import { KEV_SOURCE, type SourceStatus } from "../../vulnerability/index.ts";
import type { JudgedSource } from "./result.ts";

export interface Freshness {
  readonly sources: readonly JudgedSource[];
  /** Why nothing can be called scanned; empty when it can. */
  readonly refusals: readonly string[];
  /** What is said and stops nothing. */
  readonly warnings: readonly string[];
}

type Ages = Pick<PolicyValues, "advisories.warn-age" | "advisories.deny-age">;

/** The catalogue of exploited vulnerabilities is published only when something is added to it: a quiet month is no neglect. */
const KEV_ALLOWANCE = 30 * 86_400_000;
/** Sources that tell of everything known. Other names are a site's own advisories, which are fresh without having to be new. */
const GENERAL = /^osv:/;

/** @param now milliseconds since the Unix epoch, never behind what was seen before. */
export function judgeFreshness(sources: readonly SourceStatus[], ages: Ages, now: number): Freshness {
  const judged: JudgedSource[] = sources.map((source) => ({
    ...source,
    status: GENERAL.test(source.name) || source.name === KEV_SOURCE ? statusOf(source, ages, now) : "fresh",
  }));
  if (!judged.some(({ name }) => GENERAL.test(name))) judged.push(missing("osv:npm"));
  if (!judged.some(({ name }) => name === KEV_SOURCE)) judged.push(missing(KEV_SOURCE));
  const decides = ages["advisories.deny-age"] !== "never";
  const bad = judged.filter(({ status }) => status === "missing" || status === "stale").map((source) => sentence(source, now));
  const old = judged.filter(({ status }) => status === "old").map((source) => sentence(source, now));
  return { sources: judged, refusals: decides ? bad : [], warnings: decides ? old : [...bad, ...old] };
}

function missing(name: string): JudgedSource {
  return { name, advisories: 0, withdrawn: 0, unparsable: 0, freshAsOf: undefined, status: "missing" };
}

function statusOf({ name, freshAsOf }: SourceStatus, ages: Ages, now: number): JudgedSource["status"] {
  if (freshAsOf === undefined) return "missing";
  const age = now - Date.parse(freshAsOf) - (name === KEV_SOURCE ? KEV_ALLOWANCE : 0);
  const [warn, deny] = [ages["advisories.warn-age"], ages["advisories.deny-age"]];
  if (deny !== "never" && age > deny) return "stale";
  return warn !== "never" && age > warn ? "old" : "fresh";
}

function sentence({ name, freshAsOf }: JudgedSource, now: number): string {
  const what = name === KEV_SOURCE ? "known exploited vulnerabilities" : name === "osv:npm" ? "npm advisories" : `advisories of ${name}`;
  return freshAsOf === undefined ? `no data on ${what}` : `the data on ${what} is ${formatDuration(Math.max(0, now - Date.parse(freshAsOf)))} old`;
}

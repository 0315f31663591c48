/** Counts events by kind, and what an auditor has to know besides: quiet days, old data, what was only observed. */
import type { EventBody } from "../body.ts";
import { type EventFacts, factsOf } from "../facts.ts";
import { Counter, type Tally } from "./counter.ts";
import { KindTallies, type KindTally } from "./kind-tallies.ts";
import { type QuietDays, quietDays } from "./quiet-days.ts";

/** What weakens the evidence; the report lists those that happened. */
export const WEAKNESSES = {
  staleData: "judged with advisories that were old, or missing",
  failedUpdates: "advisories could not be fetched or imported",
  observeMode: "judged in observe mode: nothing was stopped",
  unjailed: "scripts that ran without a jail",
  exceptions: "findings that the policy accepts by an exception",
  withoutUser: "events that do not say which user",
  coalesced: "one event stands for several refusals",
} as const;
export type Weakness = keyof typeof WEAKNESSES;

const APPLIES: Readonly<Record<Weakness, (event: EventBody, facts: EventFacts) => boolean>> = {
  staleData: (_, { sources }) => sources.some(({ status }) => status === "old" || status === "stale" || status === "missing"),
  failedUpdates: ({ result }, { kind }) => kind === "advisories" && result === "failure",
  observeMode: (_, { mode }) => mode === "observe",
  unjailed: (_, { unjailed }) => unjailed,
  exceptions: (_, { findings }) => findings.some(({ exception }) => exception !== undefined),
  withoutUser: ({ userId }) => userId === undefined,
  coalesced: (_, { count }) => count > 1,
};
const NAMES: readonly Weakness[] = ["staleData", "failedUpdates", "observeMode", "unjailed", "exceptions", "withoutUser", "coalesced"];

export class PeriodTally {
  readonly #kinds = new KindTallies();
  readonly #weak = new Map<Weakness, Counter>();
  readonly #days = new Set<string>();
  readonly #all = new Counter();

  add(event: EventBody): void {
    this.#all.add(event);
    this.#kinds.add(event);
    this.#days.add(event.timestamp.slice(0, 10));
    const facts = factsOf(event);
    for (const name of NAMES) {
      if (!APPLIES[name](event, facts)) continue;
      const counter = this.#weak.get(name) ?? new Counter();
      this.#weak.set(name, counter);
      counter.add(event);
    }
  }

  get all(): Tally | undefined {
    return this.#all.tally;
  }

  get kinds(): readonly KindTally[] {
    return this.#kinds.tallies;
  }

  get weaknesses(): readonly (Tally & { readonly what: Weakness; readonly meaning: string })[] {
    return NAMES.flatMap((what) => {
      const tally = this.#weak.get(what)?.tally;
      return tally === undefined ? [] : [{ what, meaning: WEAKNESSES[what], ...tally }];
    });
  }

  /** Days of UTC without an event, from the first to the last of the period. @param from @param to as asked, ISO 8601. */
  quiet(from: string | undefined, to: string | undefined): QuietDays {
    return quietDays(this.#days, from, to);
  }
}

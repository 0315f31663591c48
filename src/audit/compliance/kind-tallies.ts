/** Tallies of each kind of event. Kinds are an open vocabulary: what comes after the first {@link MAX_KINDS} is counted as one. */
import type { EventBody } from "../body.ts";
import { Counter, type Tally } from "./counter.ts";

const MAX_KINDS = 2000;
/** Category and action of the kinds that are counted together; no event has such a name. */
export const FURTHER = "(further)";

export interface KindTally extends Tally {
  readonly category: string;
  readonly action: string;
}

export class KindTallies {
  readonly #kinds = new Map<string, { readonly category: string; readonly action: string; readonly counter: Counter }>();

  add(event: EventBody): void {
    const known = this.#kinds.get(`${event.category}/${event.action}`);
    if (known !== undefined) known.counter.add(event);
    else if (this.#kinds.size < MAX_KINDS) this.#open(event.category, event.action).add(event);
    else (this.#kinds.get(`${FURTHER}/${FURTHER}`)?.counter ?? this.#open(FURTHER, FURTHER)).add(event);
  }

  /** In the order in which they first came. */
  get tallies(): readonly KindTally[] {
    return [...this.#kinds.values()].flatMap(({ category, action, counter }) => {
      const { tally } = counter;
      return tally === undefined ? [] : [{ category, action, ...tally }];
    });
  }

  #open(category: string, action: string): Counter {
    const counter = new Counter();
    this.#kinds.set(`${category}/${action}`, { category, action, counter });
    return counter;
  }
}

/** How many events, with which outcome, and which were the first and the last. */
import type { EventBody } from "../body.ts";

export interface EventRef {
  readonly seq: number;
  readonly id: string;
  readonly timestamp: string;
}

/** Events of one kind. */
export interface Tally {
  readonly count: number;
  readonly success: number;
  readonly failure: number;
  readonly first: EventRef;
  readonly last: EventRef;
}

export class Counter {
  #count = 0;
  #failure = 0;
  #first: EventRef | undefined;
  #last: EventRef | undefined;

  add({ seq, id, timestamp, result }: EventBody): void {
    this.#count += 1;
    if (result === "failure") this.#failure += 1;
    this.#last = { seq, id, timestamp };
    this.#first ??= this.#last;
  }

  get tally(): Tally | undefined {
    if (this.#first === undefined || this.#last === undefined) return undefined;
    return { count: this.#count, success: this.#count - this.#failure, failure: this.#failure, first: this.#first, last: this.#last };
  }
}

/** Events that are a threat by their number: so many, or so many different ones, within a time. Memory is bounded by the rule. */

/** Processes of one job that are counted apart. */
const MAX_KEYS = 1000;

export interface CountRule {
  readonly at: number;
  /** ms */
  readonly within: number;
  readonly distinct: boolean;
}

/** One rule's counter in one job. */
export class Counting {
  readonly #rule: CountRule;
  readonly #seen = new Map<string, Map<string, number>>();
  #number = 0;

  constructor(rule: CountRule) {
    this.#rule = rule;
  }

  /** @returns whether this one completes the number; counting then begins anew. */
  add(key: string, value: string, time: number): boolean {
    const { at, within, distinct } = this.#rule;
    const recent = this.#recent(key);
    const name = distinct ? value : String(this.#number++);
    // The oldest first, always: a value that comes again is young again.
    recent.delete(name);
    recent.set(name, time);
    for (const [old, when] of recent) {
      if (when > time - within && recent.size <= at) break;
      recent.delete(old);
    }
    if (recent.size < at) return false;
    recent.clear();
    return true;
  }

  #recent(key: string): Map<string, number> {
    const known = this.#seen.get(key);
    if (known !== undefined) return known;
    for (const oldest of this.#seen.size >= MAX_KEYS ? this.#seen.keys() : []) {
      this.#seen.delete(oldest);
      break;
    }
    const fresh = new Map<string, number>();
    this.#seen.set(key, fresh);
    return fresh;
  }
}

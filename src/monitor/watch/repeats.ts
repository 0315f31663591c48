/** A threat that comes again within a window is counted and not told again; nothing of its number is lost. */

interface Seen {
  times: number;
  /** When it was told, ms. */
  told: number;
}

/** Different threats of one container that are told apart; past them, the one told longest ago is forgotten. */
const MAX_KEYS = 5000;

export class Repeats {
  readonly #window: number;
  readonly #seen = new Map<string, Seen>();

  /** @param window ms */
  constructor(window: number) {
    this.#window = window;
  }

  /** @returns whether it is to be told: the first within the window. */
  add(key: string, time: number): boolean {
    const seen = this.#seen.get(key);
    if (seen !== undefined && time - seen.told < this.#window) {
      seen.times++;
      return false;
    }
    this.#seen.delete(key);
    this.#seen.set(key, { times: (seen?.times ?? 0) + 1, told: time });
    for (const oldest of this.#seen.size > MAX_KEYS ? this.#seen.keys() : []) {
      this.#seen.delete(oldest);
      break;
    }
    return true;
  }

  /** Since the beginning, the first included. */
  times(key: string): number {
    return this.#seen.get(key)?.times ?? 0;
  }
}

/** A FIFO with a hard capacity. Full is an answer the caller must handle; nothing is dropped silently. */
import { CofferdamError } from "./errors.ts";

export class BoundedQueue<T> {
  readonly capacity: number;
  #items: T[] = [];
  #head = 0;

  /** @param capacity most items held at once, an integer >= 1. */
  constructor(capacity: number) {
    if (!Number.isSafeInteger(capacity) || capacity < 1)
      throw new CofferdamError("INVALID_ARGUMENT", `queue capacity must be an integer >= 1, not ${capacity}`);
    this.capacity = capacity;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  /** Adds an item; throws RESOURCE_EXHAUSTED when full. */
  push(item: T): void {
    if (!this.offer(item)) throw new CofferdamError("RESOURCE_EXHAUSTED", `queue is full (${this.capacity})`, { details: { capacity: this.capacity } });
  }

  /** Adds an item and says whether there was room. */
  offer(item: T): boolean {
    if (this.size >= this.capacity) return false;
    this.#items.push(item);
    return true;
  }

  /** Removes and returns up to `max` items, oldest first. */
  take(max: number): T[] {
    const taken = this.#items.slice(this.#head, this.#head + max);
    this.#head += taken.length;
    // Compact only when half is dead, so that a take is O(taken) on average.
    if (this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }
}

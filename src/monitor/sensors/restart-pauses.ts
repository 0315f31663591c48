/** How long to wait before what ended is started again: twice as long each time, until one lived for a while. */
const FIRST_MS = 100;
const LONGEST_MS = 30_000;
/** One that lived so long starts over with the shortest pause. */
const STEADY_MS = 60_000;

export class RestartPauses {
  #startedAt = 0;
  #next = FIRST_MS;

  started(): void {
    this.#startedAt = performance.now();
  }

  /** It ended. @returns ms until the next start. */
  next(): number {
    if (performance.now() - this.#startedAt > STEADY_MS) this.#next = FIRST_MS;
    const pause = this.#next;
    this.#next = Math.min(pause * 2, LONGEST_MS);
    return pause;
  }
}

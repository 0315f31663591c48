/** The three things that end a call early - the caller, the client's end, the time - as one. */
import { CofferdamError } from "../foundation/index.ts";

export class Deadline {
  readonly #onStop: (error: CofferdamError) => void;
  readonly #listeners: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #reason: CofferdamError | undefined;

  /**
   * @param timeoutMs undefined for none. @param onStop called once, with what the call then throws; at once when a signal has
   * fired before.
   */
  constructor(what: string, signals: readonly (AbortSignal | undefined)[], timeoutMs: number | undefined, onStop: (error: CofferdamError) => void) {
    this.#onStop = onStop;
    for (const signal of signals) {
      if (signal === undefined) continue;
      const stop = (): void => this.#stop(new CofferdamError("CANCELLED", `cannot ${what}: interrupted`, { cause: signal.reason }));
      if (signal.aborted) stop();
      else {
        signal.addEventListener("abort", stop, { once: true });
        this.#listeners.push(() => signal.removeEventListener("abort", stop));
      }
    }
    if (timeoutMs === undefined || this.#reason !== undefined) return;
    this.#timer = setTimeout(() => this.#stop(new CofferdamError("DEADLINE_EXCEEDED", `cannot ${what}: no answer within ${timeoutMs} ms`)), timeoutMs);
  }

  /** Why it ended early, if it did. */
  get reason(): CofferdamError | undefined {
    return this.#reason;
  }

  /** The time no longer matters; the signals do. */
  disarm(): void {
    clearTimeout(this.#timer);
  }

  /** Nothing matters any more. */
  release(): void {
    this.disarm();
    for (const remove of this.#listeners.splice(0)) remove();
  }

  #stop(error: CofferdamError): void {
    if (this.#reason !== undefined) return;
    this.#reason = error;
    this.release();
    this.#onStop(error);
  }
}

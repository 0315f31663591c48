/**
 * The jobs of this process that wait. Who gives something back hands it over in the same transaction, whatever process it is,
 * so a wake-up cannot be lost: it is a row. Other processes' hand-overs are looked for every {@link LOOK} ms.
 */
import { CofferdamError } from "../foundation/index.ts";
import type { Allocation } from "./allocation.ts";
import type { Ledger } from "./ledger.ts";

const LOOK = 100;
/** Looks between two searches for owners that are gone: nobody gives back in their place. */
const TEND = 10;

interface Waiter {
  resolve(allocation: Allocation): void;
  reject(error: unknown): void;
}

export class Waiting {
  readonly #ledger: Ledger;
  readonly #waiters = new Map<string, Waiter>();
  #looking: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /**
   * Until the job holds its resources. Throws DEADLINE_EXCEEDED, what the signal was aborted with, or CANCELLED when somebody
   * released the job; in each case the job has no place in the queue any more, and nothing of the pool.
   */
  async until(jobId: string, limits: { readonly timeout: number; readonly signal: AbortSignal | undefined }): Promise<Allocation> {
    const { promise, resolve, reject } = Promise.withResolvers<Allocation>();
    const timer = setTimeout(
      () => reject(new CofferdamError("DEADLINE_EXCEEDED", `job ${jobId} waited ${limits.timeout} ms for resources`, { details: { jobId } })),
      limits.timeout,
    );
    const abort = (): void => reject(limits.signal?.reason);
    limits.signal?.addEventListener("abort", abort);
    this.#waiters.set(jobId, { resolve, reject });
    // It may have been given its place before it was in the map.
    void this.look();
    try {
      if (limits.signal?.aborted === true) abort();
      return await promise;
    } catch (error) {
      this.#waiters.delete(jobId);
      // Also when it was given something at the last moment: whoever hears of a failure will not give it back.
      await this.#ledger.release(jobId);
      throw error;
    } finally {
      clearTimeout(timer);
      limits.signal?.removeEventListener("abort", abort);
    }
  }

  /** Looks who has been given what. One look at a time; whoever asks during one shares the one after it. */
  async look(): Promise<void> {
    if (this.#looking === undefined) {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
      });
      return await this.#looking;
    }
    this.#next ??= this.#looking.then(async () => {
      this.#next = undefined;
      await this.look();
    });
    await this.#next;
  }

  /** Ends every wait with `error`. */
  async close(error: CofferdamError): Promise<void> {
    clearTimeout(this.#timer);
    for (const waiter of this.#waiters.values()) waiter.reject(error);
    await this.#looking;
  }

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#waiters.size === 0) return;
    try {
      if (++this.#looks % TEND === 0 && (await this.#ledger.hasForgotten())) await this.#ledger.reap();
      const waited = [...this.#waiters];
      const states = await this.#ledger.ownStates();
      for (const [jobId, waiter] of waited) {
        const state = states.get(jobId);
        if (state === "waiting") continue;
        const allocation = state === undefined ? undefined : await this.#ledger.get(jobId);
        this.#waiters.delete(jobId);
        if (allocation === undefined) waiter.reject(new CofferdamError("CANCELLED", `job ${jobId} was released while it waited`, { details: { jobId } }));
        else waiter.resolve(allocation);
      }
    } catch (error) {
      for (const [jobId, waiter] of this.#waiters) {
        this.#waiters.delete(jobId);
        waiter.reject(error);
      }
    }
    if (this.#waiters.size > 0) this.#timer = setTimeout(() => void this.look(), LOOK);
  }
}

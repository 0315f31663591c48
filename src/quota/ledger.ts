/**
 * The book of who has what. Calls of one process that come together share one transaction: a commit waits for the disk, and
 * a decision need not.
 */
import { BoundedQueue, type Clock, newId, type Owner } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { type Allocation, allocationOf } from "./allocation.ts";
import { type Decision, type Entry, isGone, LedgerSession } from "./ledger-session.ts";
import type { Capacity } from "./pool.ts";
import { QUOTA_MIGRATIONS } from "./tables.ts";

const MAX_PENDING = 10_000;
const BATCH = 256;
/** Owners that went away are looked for at most this often when nothing is short, ms. */
const REAP_EVERY = 1000;

export interface LedgerChange {
  /** What owners had that are gone. */
  readonly reclaimed: readonly Allocation[];
  /** Jobs that waited and now hold. */
  readonly promoted: readonly string[];
  /** This process had been taken for gone: another one, which cannot look at it, heard nothing of it for the lease. */
  readonly lost: boolean;
}

export interface LedgerParts {
  readonly store: Store;
  readonly self: Owner;
  readonly clock: Clock;
  readonly lease: number;
  /** Told after the commit. */
  changed(outcome: LedgerChange): void;
}

interface Pending {
  run(session: LedgerSession): Promise<void>;
  settle(error: unknown): void;
}

export class Ledger {
  readonly #parts: LedgerParts;
  readonly #ownerId: string = newId("own");
  readonly #pending: BoundedQueue<Pending> = new BoundedQueue(MAX_PENDING);
  #writing: Promise<void> | undefined;
  /** Nothing, until there is more: whoever waits stays waiting. */
  #pool: Capacity = { cpu: 0, memory: 0, disk: 0 };
  #registered = false;
  #lastReap = Number.NEGATIVE_INFINITY;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  get ownerId(): string {
    return this.#ownerId;
  }

  /** Makes the tables, and takes back what owners had that are gone. Nothing is admitted before {@link open}. */
  async initialize(): Promise<void> {
    await this.#parts.store.migrate("quota", QUOTA_MIGRATIONS);
    await this.reap();
  }

  /** From now on this much is given out. */
  async open(pool: Capacity): Promise<void> {
    const { store, self } = this.#parts;
    this.#pool = pool;
    const { cpu, memory, disk } = pool;
    await store.write((tx) =>
      tx.run(
        "INSERT INTO quota_pools (host, cpu, memory, disk) VALUES (?, ?, ?, ?) ON CONFLICT (host) DO UPDATE SET cpu = excluded.cpu, memory = excluded.memory, disk = excluded.disk",
        [self.host, Math.round(cpu * 1000), memory, disk],
      ),
    );
    await this.reap();
  }

  async admit(entry: Entry): Promise<Decision> {
    return await this.#do((session) => session.admit(entry));
  }

  async release(jobId: string): Promise<Allocation | undefined> {
    return await this.#do((session) => session.release(jobId));
  }

  /** Takes back what owners that are gone had, and gives it to those who wait. */
  async reap(): Promise<void> {
    await this.#do((session) => session.reap());
  }

  /** Says that this process lives; every transaction of it does. */
  async signOfLife(): Promise<void> {
    await this.#do(async () => undefined);
  }

  async get(jobId: string): Promise<Allocation | undefined> {
    const row = await this.#parts.store.read((tx) => tx.get("SELECT * FROM quota_jobs WHERE job_id = ?", [jobId]));
    return row === undefined ? undefined : allocationOf(row);
  }

  /** Every job of this host: first those that hold, then those that wait in the order in which they will get it. */
  async all(): Promise<readonly Allocation[]> {
    const rows = await this.#parts.store.read((tx) =>
      tx.all("SELECT * FROM quota_jobs WHERE host = ? ORDER BY state, priority DESC, seq", [this.#parts.self.host]),
    );
    return rows.map(allocationOf);
  }

  /** Jobs of this process: `held` or `waiting`. */
  async ownStates(): Promise<ReadonlyMap<string, string>> {
    const rows = await this.#parts.store.read((tx) => tx.all("SELECT job_id, state FROM quota_jobs WHERE owner = ?", [this.#ownerId]));
    return new Map(rows.map((row) => [String(row["job_id"]), String(row["state"])]));
  }

  /** True when an owner of this host is gone and its jobs are still on the books. Costs no lock. */
  async hasForgotten(): Promise<boolean> {
    const { store, self, lease } = this.#parts;
    const owners = await store.read((tx) => tx.all("SELECT * FROM quota_owners WHERE host = ?", [self.host]));
    return owners.some((row) => isGone(row, self, lease));
  }

  /** Waits for what is being written. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  async #do<T>(work: (session: LedgerSession) => Promise<T>): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      let result: { readonly value: T } | undefined;
      this.#pending.push({
        run: async (session) => {
          result = { value: await work(session) };
        },
        settle: (error) => {
          if (error === undefined && result !== undefined) resolve(result.value);
          else reject(error);
        },
      });
      this.#writing ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // Let the callers of this tick join the first batch.
    await Promise.resolve();
    while (this.#pending.size > 0) {
      const batch = this.#pending.take(BATCH);
      try {
        await this.#commit(batch);
        for (const one of batch) one.settle(undefined);
      } catch (error) {
        for (const one of batch) one.settle(error);
      }
    }
    this.#writing = undefined;
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    const { store, self, clock, lease, changed } = this.#parts;
    const reap = clock.monotonic() - this.#lastReap > REAP_EVERY;
    const outcome = await store.write(async (tx) => {
      const session = await LedgerSession.open({ tx, self, ownerId: this.#ownerId, pool: this.#pool, lease, now: clock.now() });
      // Before anything is held in its name: a job without an owner would be nobody's for ever.
      const known = await session.signOfLife();
      if (reap) await session.reap();
      for (const one of batch) await one.run(session);
      return { reclaimed: session.reclaimed, promoted: session.promoted, lost: !known && this.#registered };
    });
    this.#registered = true;
    if (reap) this.#lastReap = clock.monotonic();
    changed(outcome);
  }
}

/**
 * Who has which subnet, as the store remembers it: one row a network, written before it is made. Processes that share a store
 * never have the same one; rows of processes that are gone are taken back, and name the jobs that they belonged to.
 */
import { type Clock, CofferdamError } from "../../foundation/index.ts";
import type { Migration, Store } from "../../store/index.ts";
import { overlaps, type Range, subnetRange, subnetsIn } from "../kernel/plan.ts";

/** One subnet of the plan. */
export interface Place {
  readonly index: number;
  readonly range: Range;
}

export interface AddressBookParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly ranges: readonly Range[];
  /** This process, and whether another one is gone: process identity of foundation/. */
  readonly owner: string;
  readonly isGone: (owner: string) => boolean;
  /** What lies in the way: routes of this host, networks of the engine. */
  taken(): readonly Range[];
}

const MIGRATIONS: readonly Migration[] = [
  {
    name: "networks",
    sql: ["CREATE TABLE networks (first BIGINT PRIMARY KEY, job_id TEXT UNIQUE, owner TEXT NOT NULL, at BIGINT NOT NULL)"],
  },
];

export class AddressBook {
  readonly #parts: AddressBookParts;
  readonly #count: number;
  /** Where to look next: an address that was just given back rests. */
  #next = 0;

  constructor(parts: AddressBookParts) {
    this.#parts = parts;
    this.#count = subnetsIn(parts.ranges);
  }

  /** Makes the table, and takes back what processes had that are gone. @returns the jobs among that. */
  async initialize(): Promise<readonly string[]> {
    const { store, isGone, owner } = this.#parts;
    await store.migrate("network", MIGRATIONS);
    return await store.write(async (tx) => {
      const rows = await tx.all("SELECT DISTINCT owner FROM networks");
      const gone = rows.map((row) => String(row["owner"])).filter((one) => one !== owner && isGone(one));
      const jobs: string[] = [];
      for (const one of gone) {
        for (const row of await tx.all("SELECT job_id FROM networks WHERE owner = ? AND job_id IS NOT NULL", [one])) jobs.push(String(row["job_id"]));
        await tx.run("DELETE FROM networks WHERE owner = ?", [one]);
      }
      return jobs;
    });
  }

  /**
   * A subnet that nobody has. @param jobId undefined for one that is kept ready.
   * Throws CONFLICT when the job has one, RESOURCE_EXHAUSTED when all are taken.
   */
  async take(jobId: string | undefined): Promise<Place> {
    const { store, clock, owner, ranges } = this.#parts;
    const inTheWay = this.#parts.taken();
    return await store.write(async (tx) => {
      if (jobId !== undefined && (await tx.get("SELECT first FROM networks WHERE job_id = ?", [jobId])) !== undefined) throw conflict(jobId);
      const held = new Set((await tx.all("SELECT first FROM networks")).map((row) => Number(row["first"])));
      for (let tried = 0; tried < this.#count; tried++) {
        const index = (this.#next + tried) % this.#count;
        const range = subnetRange(ranges, index);
        if (held.has(range.first) || inTheWay.some((other) => overlaps(other, range))) continue;
        this.#next = (index + 1) % this.#count;
        await tx.run("INSERT INTO networks (first, job_id, owner, at) VALUES (?, ?, ?, ?)", [range.first, jobId ?? null, owner, clock.now()]);
        return { index, range };
      }
      throw new CofferdamError("RESOURCE_EXHAUSTED", `all ${this.#count} subnets for jobs are taken`, { hint: "give NetworkIsolationManager more ranges" });
    });
  }

  /** One that was kept ready becomes a job's. Throws CONFLICT when the job has one. */
  async assign({ range }: Place, jobId: string): Promise<void> {
    await this.#parts.store.write(async (tx) => {
      if ((await tx.get("SELECT first FROM networks WHERE job_id = ?", [jobId])) !== undefined) throw conflict(jobId);
      await tx.run("UPDATE networks SET job_id = ? WHERE first = ?", [jobId, range.first]);
    });
  }

  async giveBack({ range }: Place): Promise<void> {
    await this.#parts.store.write((tx) => tx.run("DELETE FROM networks WHERE first = ? AND owner = ?", [range.first, this.#parts.owner]));
  }
}

function conflict(jobId: string): CofferdamError {
  return new CofferdamError("CONFLICT", `job ${jobId.slice(0, 80)} has a network already`);
}

/**
 * The steps of admission, inside one transaction of the store: that they are one is what makes them atomic between
 * processes. The queue is strict: by priority, then first come, first served. Nobody overtakes, so that a large job does not
 * starve behind small ones.
 */
import { bootTime, CofferdamError, lifeOf, type Owner } from "../foundation/index.ts";
import type { Row, Transaction } from "../store/index.ts";
import { type Allocation, type AllocationBody, allocationOf, type Reservation, rankOf } from "./allocation.ts";
import type { Capacity } from "./pool.ts";
import type { Priority } from "./tiers.ts";

/** Jobs that wait, of one host; one more is refused. */
const MAX_WAITING = 10_000;
/** Owners that are looked at in one transaction. */
const MAX_OWNERS = 10_000;

/** A sign of life is written at most this often, ms: it costs a page of the log. */
const SIGN_EVERY = 500;

export interface Entry {
  readonly jobId: string;
  readonly priority: Priority;
  readonly reserved: Reservation;
  readonly body: Omit<AllocationBody, "overPool">;
  /** Queue when it does not fit. */
  readonly wait: boolean;
}

export type Decision =
  | { readonly kind: "held"; readonly allocation: Allocation }
  | { readonly kind: "waiting"; readonly before: number }
  | { readonly kind: "conflict" }
  | { readonly kind: "full"; readonly queue: number }
  | {
      readonly kind: "exhausted";
      /** What nobody has reserved, and what could be reserved if nobody had anything. */
      readonly free: Reservation;
      readonly pool: Reservation;
      /** Larger than the whole pool. */
      readonly never: boolean;
      /** Jobs that wait and come first. */
      readonly before: number;
    };

export interface SessionPlace {
  readonly tx: Transaction;
  readonly self: Owner;
  readonly ownerId: string;
  readonly pool: Capacity;
  /** How long an owner that cannot be looked at is believed to live without a sign, ms. */
  readonly lease: number;
  readonly now: number;
}

export class LedgerSession {
  readonly #place: SessionPlace;
  readonly #used: { cpu: number; memory: number; disk: number };
  readonly reclaimed: Allocation[] = [];
  /** Jobs that waited and now hold. */
  readonly promoted: string[] = [];
  #reaped = false;

  private constructor(place: SessionPlace, used: { cpu: number; memory: number; disk: number }) {
    this.#place = place;
    this.#used = used;
  }

  static async open(place: SessionPlace): Promise<LedgerSession> {
    const row = await place.tx.get("SELECT sum(cpu) AS cpu, sum(memory) AS memory, sum(disk) AS disk FROM quota_jobs WHERE host = ? AND state = 'held'", [
      place.self.host,
    ]);
    return new LedgerSession(place, { cpu: Number(row?.["cpu"] ?? 0), memory: Number(row?.["memory"] ?? 0), disk: Number(row?.["disk"] ?? 0) });
  }

  async admit(entry: Entry): Promise<Decision> {
    const { tx } = this.#place;
    if ((await tx.get("SELECT 1 AS one FROM quota_jobs WHERE job_id = ?", [entry.jobId])) !== undefined) return { kind: "conflict" };
    if (await this.#isFree(entry)) return await this.#hold(entry, false);
    if (entry.body.enforcement === "soft") return await this.#hold(entry, true);
    await this.reap();
    if (await this.#isFree(entry)) return await this.#hold(entry, false);
    const never = !fits(entry.reserved, { cpu: 0, memory: 0, disk: 0 }, this.#place.pool);
    const before = await this.#waitingBefore(entry);
    if (!entry.wait || never) return { kind: "exhausted", free: this.#free(), pool: this.#place.pool, never, before };
    const queue = await this.#count("waiting");
    if (queue >= MAX_WAITING) return { kind: "full", queue };
    await this.#insert(entry, "waiting", false);
    return { kind: "waiting", before };
  }

  /** @returns what the job had, or undefined when it had nothing (any more). */
  async release(jobId: string): Promise<Allocation | undefined> {
    const { tx } = this.#place;
    const row = await tx.get("SELECT * FROM quota_jobs WHERE job_id = ?", [jobId]);
    if (row === undefined) return undefined;
    const allocation = allocationOf(row);
    await tx.run("DELETE FROM quota_jobs WHERE job_id = ?", [jobId]);
    if (row["host"] === this.#place.self.host) {
      if (allocation.state === "held") this.#add(row, -1);
      // Also when it only waited: it may have been the large one that everybody stood behind.
      await this.promote();
    }
    return allocation;
  }

  /** Gives what is free to those who wait, in their order. */
  async promote(): Promise<void> {
    const { tx, self, pool, now } = this.#place;
    for (;;) {
      const head = await this.#head(0);
      if (head === undefined || !fits(reservationOf(head), this.#usedNow(), pool)) return;
      await tx.run("UPDATE quota_jobs SET state = 'held', since = ? WHERE job_id = ? AND host = ?", [now, head["job_id"] ?? null, self.host]);
      this.#add(head, 1);
      this.promoted.push(String(head["job_id"]));
    }
  }

  /** Takes back what owners had that are gone; never from one that lives, however long it says nothing. Once a session. */
  async reap(): Promise<void> {
    if (this.#reaped) return;
    this.#reaped = true;
    const { tx, self, lease } = this.#place;
    const owners = await tx.all("SELECT * FROM quota_owners WHERE host = ? LIMIT ?", [self.host, MAX_OWNERS]);
    for (const owner of owners) {
      if (!isGone(owner, self, lease)) continue;
      const id = owner["id"] ?? null;
      for (const row of await tx.all("SELECT * FROM quota_jobs WHERE owner = ?", [id])) {
        if (row["state"] === "held") this.#add(row, -1);
        this.reclaimed.push(allocationOf(row));
      }
      await tx.run("DELETE FROM quota_jobs WHERE owner = ?", [id]);
      await tx.run("DELETE FROM quota_owners WHERE id = ?", [id]);
    }
    await this.promote();
  }

  /** Makes this process known, or says that it lives. @returns false when it had been taken for gone. */
  async signOfLife(): Promise<boolean> {
    const { tx, self, ownerId } = this.#place;
    const known = await tx.get("SELECT heartbeat FROM quota_owners WHERE id = ?", [ownerId]);
    if (known !== undefined) {
      const recent = bootTime() - Number(known["heartbeat"]) < SIGN_EVERY;
      if (!recent) await tx.run("UPDATE quota_owners SET heartbeat = ? WHERE id = ?", [bootTime(), ownerId]);
      return true;
    }
    await tx.run("INSERT INTO quota_owners (id, host, boot, pid_namespace, pid, started, heartbeat) VALUES (?, ?, ?, ?, ?, ?, ?)", [
      ownerId,
      self.host,
      self.boot,
      self.pidNamespace,
      self.pid,
      self.started,
      bootTime(),
    ]);
    return false;
  }

  async #isFree(entry: Entry): Promise<boolean> {
    return fits(entry.reserved, this.#usedNow(), this.#place.pool) && (await this.#head(rankOf(entry.priority))) === undefined;
  }

  async #hold(entry: Entry, overPool: boolean): Promise<Decision> {
    const row = await this.#insert(entry, "held", overPool);
    this.#add(row, 1);
    return { kind: "held", allocation: allocationOf(row) };
  }

  async #insert({ jobId, priority, reserved, body }: Entry, state: "held" | "waiting", overPool: boolean): Promise<Row> {
    const { tx, self, ownerId, now } = this.#place;
    const last = await tx.get("SELECT max(seq) AS seq FROM quota_jobs");
    const row = {
      job_id: jobId,
      host: self.host,
      state,
      priority: rankOf(priority),
      seq: Number(last?.["seq"] ?? 0) + 1,
      owner: ownerId,
      cpu: Math.round(reserved.cpu * 1000),
      memory: reserved.memory,
      disk: reserved.disk,
      since: now,
      body: JSON.stringify({ ...body, overPool }),
    };
    await tx.run(
      "INSERT INTO quota_jobs (job_id, host, state, priority, seq, owner, cpu, memory, disk, since, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      Object.values(row),
    );
    return row;
  }

  /** Who is next among those of at least this rank. */
  async #head(rank: number): Promise<Row | undefined> {
    return await this.#place.tx.get(
      "SELECT job_id, cpu, memory, disk FROM quota_jobs WHERE host = ? AND state = 'waiting' AND priority >= ? ORDER BY priority DESC, seq LIMIT 1",
      [this.#place.self.host, rank],
    );
  }

  async #waitingBefore({ priority }: Entry): Promise<number> {
    const row = await this.#place.tx.get("SELECT count(*) AS n FROM quota_jobs WHERE host = ? AND state = 'waiting' AND priority >= ?", [
      this.#place.self.host,
      rankOf(priority),
    ]);
    return Number(row?.["n"] ?? 0);
  }

  async #count(state: "held" | "waiting"): Promise<number> {
    const row = await this.#place.tx.get("SELECT count(*) AS n FROM quota_jobs WHERE host = ? AND state = ?", [this.#place.self.host, state]);
    return Number(row?.["n"] ?? 0);
  }

  #add(row: Row, sign: 1 | -1): void {
    this.#used.cpu += sign * Number(row["cpu"]);
    this.#used.memory += sign * Number(row["memory"]);
    this.#used.disk += sign * Number(row["disk"]);
  }

  #usedNow(): Reservation {
    return { cpu: this.#used.cpu / 1000, memory: this.#used.memory, disk: this.#used.disk };
  }

  #free(): Reservation {
    const { pool } = this.#place;
    const used = this.#usedNow();
    return {
      cpu: Math.max(0, Math.round((pool.cpu - used.cpu) * 1000) / 1000),
      memory: Math.max(0, pool.memory - used.memory),
      disk: Math.max(0, pool.disk - used.disk),
    };
  }
}

function fits(wanted: Reservation, used: Reservation, pool: Capacity): boolean {
  // In whole thousandths: sums of fractions would drift.
  const cpu = Math.round(wanted.cpu * 1000) + Math.round(used.cpu * 1000) <= Math.round(pool.cpu * 1000);
  return cpu && wanted.memory + used.memory <= pool.memory && wanted.disk + used.disk <= pool.disk;
}

function reservationOf(row: Row): Reservation {
  return { cpu: Number(row["cpu"]) / 1000, memory: Number(row["memory"]), disk: Number(row["disk"]) };
}

/** True for an owner that does not live any more, or cannot be looked at and has said nothing for the lease. */
export function isGone(row: Row, self: Owner, lease: number): boolean {
  const owner = {
    host: String(row["host"]),
    boot: String(row["boot"]),
    pidNamespace: String(row["pid_namespace"]),
    pid: Number(row["pid"]),
    started: String(row["started"]),
  };
  const life = lifeOf(owner, self);
  return life === "gone" || (life === "unknown" && bootTime() - Number(row["heartbeat"]) > lease);
}

/** The refusal of a {@link Decision}, in words. */
export function refusalOf(
  decision: Exclude<Decision, { readonly kind: "held" | "waiting" }>,
  entry: Entry,
  words: (amount: Reservation) => string,
): CofferdamError {
  const asked = words(entry.reserved);
  switch (decision.kind) {
    case "conflict":
      return new CofferdamError("CONFLICT", `job ${entry.jobId} has resources already`, { details: { jobId: entry.jobId } });
    case "full":
      return new CofferdamError("RESOURCE_EXHAUSTED", `${decision.queue} jobs wait already`, { details: { waiting: decision.queue } });
    case "exhausted": {
      const { free, pool, never, before } = decision;
      const details = { jobId: entry.jobId, asked: entry.reserved, free, pool, never, waitingBefore: before };
      if (never)
        return new CofferdamError("RESOURCE_EXHAUSTED", `job ${entry.jobId} asks for ${asked}; the whole pool is ${words(pool)}`, {
          details,
          hint: "ask for less, or give the pool more of the host (quota.host-share)",
        });
      const queue = before === 0 ? "" : `, and ${before} ${before === 1 ? "job waits" : "jobs wait"} for it`;
      return new CofferdamError("RESOURCE_EXHAUSTED", `job ${entry.jobId} asks for ${asked}; free is ${words(free)}${queue}`, {
        details,
        hint: "cofferdam quota show lists who has the rest; or wait for it",
      });
    }
  }
}

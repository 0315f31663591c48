/**
 * Time that never goes back, also over restarts: what has expired stays expired when somebody sets the clock back. The
 * greatest time seen is kept in the store (`identity_clock`), together with how long the machine was up then; while it stays
 * up, time goes on by that counter, which nobody can set.
 */
import { readFileSync } from "node:fs";
import type { Clock } from "../../foundation/index.ts";
import type { Store, Transaction } from "../../store/index.ts";

/** How far the wall clock may be behind before that is told, ms: steps of NTP are no event. */
const CLOCK_SKEW = 60_000;
/** A mark is written again when it is older than this, ms; what is lost of it by a reboot with a wrong clock is at most this. */
const MARK_EVERY = 60_000;

/** The counter of a running machine. */
export interface Uptime {
  /** Which start of which machine. */
  readonly boot: string;
  /** ms since then. */
  now(): number;
}

export class IdentityClock {
  readonly #store: Store;
  readonly #wall: Clock;
  readonly #uptime: Uptime;
  #anchor: { time: number; uptime: number };
  #marked = 0;

  constructor(store: Store, wall: Clock, uptime: Uptime = machineUptime()) {
    this.#store = store;
    this.#wall = wall;
    this.#uptime = uptime;
    this.#anchor = { time: wall.now(), uptime: uptime.now() };
  }

  /** Takes up the mark of earlier processes. */
  async initialize(): Promise<void> {
    const row = await this.#store.read((tx) => tx.get("SELECT mark, boot, uptime FROM identity_clock WHERE one = 1"));
    if (row === undefined) return;
    this.#marked = Number(row["mark"]);
    const up = this.#uptime.now();
    // After a restart of the machine nobody knows how long it was off: time stands at the mark until the wall clock passes it.
    const sinceMark = row["boot"] === this.#uptime.boot ? Math.max(0, up - Number(row["uptime"])) : 0;
    this.#anchor = { time: Math.max(this.now(), this.#marked + sinceMark), uptime: up };
  }

  /** ms since 1970; never less than it was. */
  now(): number {
    const up = this.#uptime.now();
    const elapsed = this.#anchor.time + Math.max(0, up - this.#anchor.uptime);
    const wall = this.#wall.now();
    if (wall > elapsed) this.#anchor = { time: wall, uptime: up };
    return Math.floor(Math.max(wall, elapsed));
  }

  /** How far the wall clock is behind what it was, ms; 0 when less than {@link CLOCK_SKEW}. */
  behind(): number {
    const behind = this.now() - this.#wall.now();
    return behind > CLOCK_SKEW ? behind : 0;
  }

  get isMarkDue(): boolean {
    return this.now() - this.#marked >= MARK_EVERY;
  }

  /** Writes the mark, inside of a transaction that writes anyway. */
  async mark(tx: Transaction): Promise<void> {
    if (!this.isMarkDue) return;
    const now = this.now();
    await tx.run(
      "INSERT INTO identity_clock (one, mark, boot, uptime) VALUES (1, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET mark = excluded.mark, boot = excluded.boot, uptime = excluded.uptime WHERE excluded.mark > identity_clock.mark",
      [now, this.#uptime.boot, Math.floor(this.#uptime.now())],
    );
    this.#marked = now;
  }

  /** Forgets the mark: the wall clock had been ahead by mistake. Whatever was judged by it must end first. */
  async reset(tx: Transaction): Promise<void> {
    await tx.run("DELETE FROM identity_clock");
    this.#marked = 0;
    this.#anchor = { time: this.#wall.now(), uptime: this.#uptime.now() };
  }
}

/** Without /proc, each process is taken for a start of its own: then the mark holds, and does not move by itself. */
function machineUptime(): Uptime {
  return { boot: bootId(), now: () => Number(process.hrtime.bigint() / 1_000_000n) };
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `process ${process.pid} of ${Date.now()}`;
  }
}

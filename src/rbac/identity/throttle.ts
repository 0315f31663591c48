/**
 * How often somebody may guess a password. Three counts, each with free tries and then a wait that doubles:
 *
 * - of one account from one address: whoever guesses from there waits; the owner gets in from anywhere else.
 * - of one address, whatever the account. A success does not clear it: an attacker has an account, too.
 * - of one account from everywhere, against many addresses. It holds addresses that the account never logged in from.
 *
 * A right code of the second factor passes all three (the password is still asked for); its guesses have a count of their own.
 * Names that nobody has are counted like those that somebody has. A try is counted before the password is looked at, in one
 * transaction, so that a hundred at once are a hundred. Counts are kept in the store and forgotten after a quiet day.
 */
import { createHash } from "node:crypto";
import { CofferdamError, formatDuration } from "../../foundation/index.ts";
import type { Store, Transaction } from "../../store/index.ts";
import type { IdentityClock } from "./identity-clock.ts";

type Kind = "pair" | "address" | "account" | "unknown" | "factor";

interface Rule {
  readonly free: number;
  /** Longest wait, ms. */
  readonly longest: number;
}

const RULES: Readonly<Record<Kind, Rule>> = {
  pair: { free: 5, longest: 15 * 60_000 },
  address: { free: 30, longest: 15 * 60_000 },
  account: { free: 50, longest: 5 * 60_000 },
  unknown: { free: 50, longest: 5 * 60_000 },
  factor: { free: 5, longest: 15 * 60_000 },
};

/** Counts of one kind that are kept; the oldest go first. Accounts that exist bound themselves. */
const MAX_COUNTS = 10_000;
const EVICTED_AT_ONCE = 100;
const QUIET: number = 24 * 3_600_000;
/** Addresses of an account that are remembered, and for how long, ms. */
const MAX_ADDRESSES = 20;
const REMEMBERED: number = 90 * QUIET;

export interface Guess {
  /** Folded name. */
  readonly name: string;
  /** Of the user who has it. */
  readonly userId: string | undefined;
  /** From {@link ./client.ts addressBlock}. */
  readonly address: string;
}

export class Throttle {
  readonly #store: Store;
  readonly #clock: IdentityClock;

  constructor(store: Store, clock: IdentityClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** How long this guess has to wait, ms; 0 for not at all. Writes nothing: whoever keeps on asking costs one read. */
  async wait(guess: Guess): Promise<number> {
    return await this.#store.read((tx) => this.#wait(tx, guess));
  }

  /** Counts a try as failed until {@link succeeded} says otherwise. @returns how long it has to wait instead, or 0. @param passed the second factor was right. */
  async count(guess: Guess, passed: boolean): Promise<number> {
    return await this.#store.write(async (tx) => {
      const wait = passed ? 0 : await this.#wait(tx, guess);
      if (wait > 0) return wait;
      for (const [kind, key] of keysOf(guess)) await this.#add(tx, kind, key);
      return 0;
    });
  }

  /** Counts a guess of a code that is to pass the waits. @returns how long it has to wait, or 0. */
  async countFactor(userId: string): Promise<number> {
    return await this.#store.write(async (tx) => {
      const wait = await this.#left(tx, "factor", digest(userId));
      if (wait === 0) await this.#add(tx, "factor", digest(userId));
      return wait;
    });
  }

  /** For a guess that nobody looked at after all. */
  async takeBack(guess: Guess): Promise<void> {
    await this.#store.write(async (tx) => {
      for (const [kind, key] of keysOf(guess))
        await tx.run("UPDATE identity_guesses SET failures = failures - 1, until = 0 WHERE kind = ? AND key = ? AND failures > 0", [kind, key]);
    });
  }

  /** Takes back what {@link count} counted, forgets what this account's owner did wrong from here, and remembers the address. */
  async succeeded(tx: Transaction, guess: Guess): Promise<void> {
    for (const [kind, key] of keysOf(guess)) {
      if (kind === "pair") await tx.run("DELETE FROM identity_guesses WHERE kind = ? AND key = ?", [kind, key]);
      else await tx.run("UPDATE identity_guesses SET failures = failures - 1 WHERE kind = ? AND key = ? AND failures > 0", [kind, key]);
    }
    const account = digest(guess.name);
    const now = this.#clock.now();
    await tx.run(
      "INSERT INTO identity_addresses (account, address, seen_at) VALUES (?, ?, ?) ON CONFLICT (account, address) DO UPDATE SET seen_at = excluded.seen_at",
      [account, digest(guess.address), now],
    );
    await tx.run(
      "DELETE FROM identity_addresses WHERE account = ? AND (seen_at < ? OR address NOT IN (SELECT address FROM identity_addresses WHERE account = ? ORDER BY seen_at DESC LIMIT ?))",
      [account, now - REMEMBERED, account, MAX_ADDRESSES],
    );
  }

  /** For who recovers an account: nothing is counted against it any more. */
  async forget(tx: Transaction, name: string, userId: string): Promise<void> {
    const account = digest(name);
    await tx.run(
      "DELETE FROM identity_guesses WHERE (kind = 'account' AND key = ?) OR (kind = 'factor' AND key = ?) OR (kind = 'pair' AND substr(key, 1, ?) = ?)",
      [account, digest(userId), account.length, account],
    );
  }

  async #wait(tx: Transaction, guess: Guess): Promise<number> {
    const waits: number[] = [];
    for (const [kind, key] of keysOf(guess)) {
      if (kind === "account" && (await this.#isKnown(tx, guess))) continue;
      waits.push(await this.#left(tx, kind, key));
    }
    return Math.max(...waits);
  }

  async #left(tx: Transaction, kind: Kind, key: string): Promise<number> {
    const row = await tx.get("SELECT until FROM identity_guesses WHERE kind = ? AND key = ?", [kind, key]);
    return row === undefined ? 0 : Math.max(0, Number(row["until"]) - this.#clock.now());
  }

  async #isKnown(tx: Transaction, { name, address }: Guess): Promise<boolean> {
    const row = await tx.get("SELECT seen_at FROM identity_addresses WHERE account = ? AND address = ?", [digest(name), digest(address)]);
    return row !== undefined && Number(row["seen_at"]) >= this.#clock.now() - REMEMBERED;
  }

  async #add(tx: Transaction, kind: Kind, key: string): Promise<void> {
    const now = this.#clock.now();
    const row = await tx.get("SELECT failures, last_at FROM identity_guesses WHERE kind = ? AND key = ?", [kind, key]);
    if (row === undefined && kind !== "account") await this.#makeRoom(tx, kind, now);
    const failures = (row === undefined || now - Number(row["last_at"]) > QUIET ? 0 : Number(row["failures"])) + 1;
    const { free, longest } = RULES[kind];
    const wait = failures < free ? 0 : Math.min(longest, 1000 * 2 ** Math.min(failures - free, 30));
    await tx.run(
      "INSERT INTO identity_guesses (kind, key, failures, last_at, until) VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at, until = excluded.until",
      [kind, key, failures, now, now + wait],
    );
  }

  async #makeRoom(tx: Transaction, kind: Kind, now: number): Promise<void> {
    const row = await tx.get("SELECT count(*) AS n FROM identity_guesses WHERE kind = ?", [kind]);
    if (Number(row?.["n"] ?? 0) < MAX_COUNTS) return;
    await tx.run("DELETE FROM identity_guesses WHERE kind = ? AND last_at < ?", [kind, now - QUIET]);
    await tx.run("DELETE FROM identity_guesses WHERE kind = ? AND key IN (SELECT key FROM identity_guesses WHERE kind = ? ORDER BY last_at LIMIT ?)", [
      kind,
      kind,
      EVICTED_AT_ONCE,
    ]);
  }
}

/** The refusal, for the caller. */
export function tooManyGuesses(wait: number): CofferdamError {
  return new CofferdamError("RATE_LIMITED", `too many failed logins; the next one is looked at in ${formatDuration(Math.ceil(wait / 1000) * 1000)}`, {
    details: { retryAfter: wait },
    hint: "a right code of the second factor is let in at once, and so is another address",
  });
}

function keysOf({ name, userId, address }: Guess): (readonly [Kind, string])[] {
  return [
    ["pair", `${digest(name)} ${digest(address)}`],
    ["address", digest(address)],
    [userId === undefined ? "unknown" : "account", digest(name)],
  ];
}

/** People type passwords where names belong: what was typed is not kept. */
function digest(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

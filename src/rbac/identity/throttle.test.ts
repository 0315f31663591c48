/** Guesses by an attacker who never waits longer than needed, against the figures of docs/identity.md; tables that stay small. */
import { expect, test } from "vitest";
import { SetTime } from "../../../test/world/identity.ts";
import { SqliteStore } from "../../store/index.ts";
import { RBAC_MIGRATIONS, RBAC_ROOM } from "../tables.ts";
import { IdentityClock } from "./identity-clock.ts";
import { IDENTITY_MIGRATIONS, IDENTITY_ROOM } from "./tables.ts";
import { type Guess, Throttle } from "./throttle.ts";

const DAY: number = 24 * 3_600_000;

async function opened(): Promise<{ readonly store: SqliteStore; readonly throttle: Throttle; readonly time: SetTime } & AsyncDisposable> {
  const store = new SqliteStore();
  const time = new SetTime();
  await store.migrate(RBAC_ROOM, RBAC_MIGRATIONS);
  await store.migrate(IDENTITY_ROOM, IDENTITY_MIGRATIONS);
  const throttle = new Throttle(store, new IdentityClock(store, time.clock, time.uptime));
  return { store, throttle, time, [Symbol.asyncDispose]: () => store.close() };
}

/** Guesses that are looked at within a day; the attacker takes them as they come. */
async function guessesInADay(next: (made: number) => Guess): Promise<number> {
  await using at = await opened();
  let made = 0;
  for (const end = at.time.wall + DAY; at.time.wall < end; ) {
    const wait = await at.throttle.count(next(made), false);
    if (wait === 0) made += 1;
    else at.time.pass(wait);
  }
  return made;
}

const anna = (address: string): Guess => ({ name: "anna", userId: "usr_1", address });

test("a day of guessing: from one address at one account, at many accounts, and from many addresses at one", async () => {
  // Five, ten waits from 1 s to 512 s, then one each quarter of an hour.
  expect(await guessesInADay(() => anna("203.0.113.7"))).toBeLessThanOrEqual(5 + 10 + 95);
  expect(await guessesInADay((made) => ({ name: `user${made}`, userId: `usr_${made}`, address: "203.0.113.7" }))).toBeLessThanOrEqual(30 + 10 + 95);
  expect(await guessesInADay((made) => anna(`address ${made}`))).toBeLessThanOrEqual(50 + 9 + 287);
});

test("codes of the second factor have a count of their own", async () => {
  await using at = await opened();
  let made = 0;
  for (const end = at.time.wall + DAY; at.time.wall < end; ) {
    const wait = await at.throttle.countFactor("usr_1");
    if (wait === 0) made += 1;
    else at.time.pass(wait);
  }
  expect(made).toBeLessThanOrEqual(5 + 10 + 95);
});

test("a hundred at once are a hundred: no more than the free ones are looked at", async () => {
  await using at = await opened();
  const waits = await Promise.all(Array.from({ length: 100 }, () => at.throttle.count(anna("203.0.113.7"), false)));
  expect(waits.filter((wait) => wait === 0)).toHaveLength(5);
});

test("the owner gets in: from a known address however many others guess, and what was wrong before is forgotten", async () => {
  await using at = await opened();
  const home = anna("198.51.100.1");
  for (let wrong = 0; wrong < 3; wrong += 1) expect(await at.throttle.count(home, false)).toBe(0);
  expect(await at.throttle.count(home, false)).toBe(0);
  await at.store.write((tx) => at.throttle.succeeded(tx, home));
  for (let n = 0; n < 60; n += 1) await at.throttle.count(anna(`address ${n}`), false);
  expect(await at.throttle.count(anna("192.0.2.1"), false)).toBeGreaterThan(0);
  for (let login = 0; login < 4; login += 1) {
    expect(await at.throttle.count(home, false)).toBe(0);
    await at.store.write((tx) => at.throttle.succeeded(tx, home));
  }
  // Somebody who recovers the account starts anew.
  await at.store.write((tx) => at.throttle.forget(tx, "anna", "usr_1"));
  expect(await at.throttle.count(anna("192.0.2.1"), false)).toBe(0);
  for (let n = 0; n < 10; n += 1) await at.throttle.count(home, false);
  expect(await at.throttle.count(home, false)).toBeGreaterThan(0);
  await at.store.write((tx) => at.throttle.forget(tx, "anna", "usr_1"));
  expect(await at.throttle.count(home, false)).toBe(0);
});

test("a quiet day, and it is forgotten", async () => {
  await using at = await opened();
  for (let n = 0; n < 10; n += 1) await at.throttle.count(anna("203.0.113.7"), false);
  at.time.pass(DAY + 1000);
  for (let n = 0; n < 4; n += 1) expect(await at.throttle.count(anna("203.0.113.7"), false)).toBe(0);
});

test("names and addresses that are made up fill nothing", async () => {
  await using at = await opened();
  // As a flood left them: full, the oldest first.
  await at.store.write(async (tx) => {
    for (const kind of ["pair", "address", "unknown"])
      for (let n = 0; n < 10_000; n += 1)
        await tx.run("INSERT INTO identity_guesses (kind, key, failures, last_at, until) VALUES (?, ?, 1, ?, 0)", [kind, `k${n}`, at.time.wall - 10_000 + n]);
  });
  for (let n = 0; n < 250; n += 1) await at.throttle.count({ name: `nobody ${n}`, userId: undefined, address: `address ${n}` }, false);
  const rows = await at.store.read((tx) => tx.all("SELECT kind, count(*) AS n FROM identity_guesses GROUP BY kind"));
  for (const { n } of rows) expect(Number(n)).toBeLessThanOrEqual(10_000);
  const stored = JSON.stringify(await at.store.read((tx) => tx.all("SELECT * FROM identity_guesses WHERE last_at >= ?", [at.time.wall])));
  expect(stored).not.toMatch(/nobody|address \d/);
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newId } from "../../foundation/index.ts";
import { SqliteStore, type Transaction } from "../../store/index.ts";
import { InstallHistory } from "./history.ts";
import type { InstalledVersion, RecordedInstall, RememberedScript } from "./install.ts";

const DAY = 86_400_000;
let folder: string;
let store: SqliteStore;
let history: InstallHistory;
let now = 1000 * DAY;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "cofferdam-installs-"));
  store = new SqliteStore({ path: join(folder, "x.db") });
  now = 1000 * DAY;
  history = new InstallHistory(store, { now: () => now, monotonic: () => performance.now() });
  await history.initialize();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const version = (name: string, one = "1.0.0", integrity: string | undefined = `sha512-${name}${one}`): InstalledVersion => ({ name, version: one, integrity });
const script = (name: string, more: Partial<RememberedScript> = {}): RememberedScript => ({
  ...{ name, version: "1.0.0", event: "postinstall", ran: true, why: "approved", exit: 0, killedBy: undefined, refused: [], refusedCount: 0, reached: [] },
  ...more,
});
const install = (packages: readonly InstalledVersion[], more: Partial<RecordedInstall> = {}): RecordedInstall => ({
  ...{ runId: newId("run"), project: "/p", at: now, command: "npm ci", level: "medium", decision: "allowed", code: undefined, onDisk: true },
  ...{ policyDigest: "d", auditRange: [3, 7], packages, scripts: [] },
  ...more,
});
const count = (table: string): Promise<number> => store.read(async (tx: Transaction) => Number((await tx.get(`SELECT count(*) AS n FROM ${table}`))?.["n"]));

describe("where", () => {
  test("what an install was, what it had of the package, and what the package's scripts did", async () => {
    const bare = { name: "a", version: "2.0.0", integrity: undefined };
    const ours = script("a", { exit: undefined, killedBy: "memory", refused: ["network x.example:443"], refusedCount: 99, reached: ["y.example:443"] });
    const one = install([version("a"), bare, version("b")], {
      scripts: [script("b"), ours, script("a", { version: "2.0.0", ran: false })],
    });
    await history.record(one);
    const { packages: _packages, scripts: _scripts, ...facts } = one;
    expect(await history.where({ names: ["a"], version: "1.0.0" })).toEqual({
      installs: [{ ...facts, versions: [version("a")], scripts: [ours] }],
      next: undefined,
    });
    expect((await history.where({ names: ["a"] })).installs[0]).toMatchObject({
      versions: [version("a"), bare],
      scripts: [ours, { ran: false }],
    });
    for (const query of [{ names: ["c"] }, { names: ["a"], version: "3.0.0" }, { names: [] }, { names: ["a' OR 1=1 --"] }])
      expect((await history.where(query)).installs).toEqual([]);
    expect((await history.where({ names: ["z", "b"] })).installs).toHaveLength(1);
  });

  test("stopped ones are found as such; nothing on record is undefined, not zero", async () => {
    await history.record(install([version("a")], { decision: "denied", code: "SECURITY_VIOLATION", onDisk: false, auditRange: undefined }));
    expect((await history.where({ names: ["a"] })).installs[0]).toMatchObject({
      decision: "denied",
      code: "SECURITY_VIOLATION",
      onDisk: false,
      auditRange: undefined,
    });
  });

  test("pages, newest first, whole and without doubles, also when many have one time", async () => {
    const all: string[] = [];
    for (let i = 0; i < 25; i++) {
      now += i % 5 === 0 ? DAY : 0;
      const one = install([version("a"), version(`other-${i % 3}`)]);
      all.push(`${one.at} ${one.runId}`);
      await history.record(one);
    }
    const seen: string[] = [];
    for (let after: string | undefined, page = 0; page < 20; page++) {
      const { installs, next } = await history.where({ names: ["a"], limit: 4, after });
      seen.push(...installs.map(({ at, runId }) => `${at} ${runId}`));
      after = next;
      if (next === undefined) break;
    }
    expect(seen).toEqual(all.sort().reverse());
    for (const after of ["", "x", "1-run_x", "1; DROP TABLE installs"])
      await expect(history.where({ names: ["a"], after })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    for (const limit of [0, 1001, 1.5]) await expect(history.where({ names: ["a"], limit })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("what is kept", () => {
  test("a set is stored once, in whatever order it comes, and goes with its last install", async () => {
    const packages = Array.from({ length: 100 }, (_, i) => version(`p${i}`));
    for (let i = 0; i < 10; i++) {
      await history.record(install(i % 2 === 0 ? packages : [...packages].reverse()));
      now += DAY;
    }
    await history.record(install([...packages, version("extra")]));
    expect([await count("installs"), await count("install_sets"), await count("install_set_packages")]).toEqual([11, 2, 201]);
    expect(await history.prune(now)).toBe(10);
    expect([await count("installs"), await count("install_sets"), await count("install_set_packages")]).toEqual([1, 1, 101]);
    expect((await history.where({ names: ["p7"] })).installs).toHaveLength(1);
    expect(await history.prune(now + 1)).toBe(1);
    expect([await count("installs"), await count("install_sets"), await count("install_set_packages"), await count("install_scripts")]).toEqual([0, 0, 0, 0]);
  });

  test("no doubles, no half of an install, bounds", async () => {
    const one = install([version("a"), version("a")], { scripts: [script("a"), script("a")] });
    await history.record(one);
    await expect(history.record(one)).rejects.toMatchObject({ code: "CONFLICT" });
    expect([await count("installs"), await count("install_scripts"), await count("install_set_packages")]).toEqual([1, 2, 1]);
    const many = script("b", { refused: Array.from({ length: 60 }, () => "x".repeat(1000)), refusedCount: 60 });
    await history.record(install([version("b")], { scripts: [many] }));
    const found = (await history.where({ names: ["b"] })).installs[0]?.scripts[0];
    expect([found?.refused.length, found?.refused[0]?.length, found?.refusedCount]).toEqual([50, 300, 60]);
    await expect(history.record(install(Array.from({ length: 200_001 }, () => version("a"))))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("after 400 days an install is forgotten by the next one", async () => {
    await history.record(install([version("old")], { scripts: [script("old")] }));
    now += 399 * DAY;
    await history.record(install([version("new")]));
    expect((await history.where({ names: ["old"] })).installs).toHaveLength(1);
    now += 2 * DAY;
    await history.record(install([version("new")]));
    expect([await count("installs"), await count("install_scripts"), await count("install_sets")]).toEqual([2, 0, 1]);
  });
});

test("property: what was installed lately, as a plain list has it", async () => {
  const packages = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { maxLength: 4 });
  const runs = fc.array(fc.record({ packages, day: fc.nat(20), onDisk: fc.boolean() }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(runs, fc.nat(20), async (all, since) => {
      await using memory = new SqliteStore();
      const own = new InstallHistory(memory, { now: () => 0, monotonic: () => 0 });
      await own.initialize();
      const recorded = all.map((one) =>
        install(
          one.packages.map((name) => version(name)),
          { at: one.day, onDisk: one.onDisk },
        ),
      );
      for (const one of recorded) await own.record(one);
      const { versions, installs } = await own.recent(since);
      const expected = new Map<string, string[]>();
      for (const one of recorded) {
        if (one.at < since || !one.onDisk) continue;
        for (const { name } of one.packages) expected.set(name, [...(expected.get(name) ?? []), one.runId].sort());
      }
      const found = versions.map(({ name, sets }) => [name, sets.flatMap((set) => (installs.get(set) ?? []).map(({ runId }) => runId)).sort()] as const);
      expect(new Map(found)).toEqual(expected);
      expect(found).toHaveLength(expected.size);
    }),
    { numRuns: 30 },
  );
});

test("1,000 packages: known within 20 ms, new within 60 ms", async () => {
  const packages = Array.from({ length: 1000 }, (_, i) => version(`package-${i}`));
  const took = async (one: RecordedInstall): Promise<number> => {
    const start = performance.now();
    await history.record(one);
    return performance.now() - start;
  };
  const fresh: number[] = [];
  const known: number[] = [];
  for (let i = 0; i < 5; i++) {
    const set = [...packages, version("own", `${i}.0.0`)];
    fresh.push(await took(install(set)));
    known.push(await took(install(set)));
  }
  // The best of five: what it costs, and not what else the machine does.
  expect(Math.min(...fresh)).toBeLessThan(60);
  expect(Math.min(...known)).toBeLessThan(20);
}, 30_000);

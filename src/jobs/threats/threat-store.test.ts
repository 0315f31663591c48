import { expect, test } from "vitest";
import { systemClock } from "../../foundation/index.ts";
import { SqliteStore } from "../../store/index.ts";
import { newThreat, type Threat } from "./threat.ts";
import { ThreatStore } from "./threat-store.ts";

const threat = (more: object = {}): Threat => newThreat({ type: "suspicious_process", severity: "high", ...more }, systemClock);

async function made(): Promise<{ readonly store: SqliteStore; readonly threats: ThreatStore }> {
  const store = new SqliteStore();
  let now = 0;
  const threats = new ThreatStore(store, { now: () => now++, monotonic: () => 0 });
  await threats.initialize();
  return { store, threats };
}

test("what was written is read again; resolved once, by somebody", async () => {
  const { threats } = await made();
  const one = threat({ details: { exe: "/tmp/x" }, jobId: "j1" });
  await threats.add(one);
  expect(await threats.get(one.id)).toEqual(one);
  expect(await threats.open()).toEqual([{ severity: "high", state: "open" }]);
  await expect(threats.resolve(one.id, { by: "", note: "" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  const done = await threats.resolve(one.id, { by: "uid 0", note: "a test" });
  expect(done).toMatchObject({ state: "resolved", resolution: { by: "uid 0", note: "a test" } });
  expect(await threats.get(one.id)).toEqual(done);
  await expect(threats.resolve(one.id, { by: "uid 0", note: "" })).rejects.toMatchObject({ code: "CONFLICT" });
  await expect(threats.resolve("thr_none", { by: "uid 0", note: "" })).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect(await threats.open()).toEqual([]);
});

test("resolved ones go when there are many, open ones never", async () => {
  const { threats } = await made();
  const all = Array.from({ length: 1005 }, () => threat());
  for (const one of all) await threats.add(one);
  for (const { id } of all.slice(0, 1002)) await threats.resolve(id, { by: "x", note: "" });
  expect(await threats.list({ state: "resolved", limit: 2000 })).toHaveLength(1000);
  expect((await threats.list({ state: "open" })).map(({ id }) => id)).toEqual(
    all
      .slice(1002)
      .map(({ id }) => id)
      .toReversed(),
  );
  expect(await threats.list({ limit: 2 })).toHaveLength(2);
});

test("one that cannot be read is INTEGRITY_FAILURE, and not left out", async () => {
  const { store, threats } = await made();
  await threats.add(threat());
  await store.write((tx) => tx.run("UPDATE threats SET body = '{}'"));
  await expect(threats.open()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  await expect(threats.list()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
});

/** How a search is answered: through which index, and in what time when there is little to find. */
import { expect, test } from "vitest";
import { SqliteStore, type SqlValue, type Transaction } from "../store/index.ts";
import { type AuditEventInput, AuditLogger, type AuditQuery } from "./index.ts";
import { searchPage } from "./search.ts";

const event = (more: Partial<AuditEventInput> = {}): AuditEventInput => ({ category: "c", action: "a", result: "success", ...more });

test.each<[AuditQuery, string]>([
  [{ sessionId: "s" }, "audit_events_session (session_id=? AND rowid>? AND rowid<?)"],
  [{ resourceId: "r", category: "c", action: "a" }, "audit_events_resource (resource_id=? AND rowid>? AND rowid<?)"],
  [{ userId: "u", result: "failure", newestFirst: true }, "audit_events_user (user_id=? AND rowid>? AND rowid<?)"],
  [{ userId: "u", sessionId: "s", resourceId: "r" }, "audit_events_session (session_id=? AND rowid>? AND rowid<?)"],
  [{ action: "a", category: "c" }, "audit_events_action (action=? AND rowid>? AND rowid<?)"],
  [{ category: "c", text: "x" }, "audit_events_category (category=? AND rowid>? AND rowid<?)"],
  [{ result: "failure" }, "audit_events_failure (seq>? AND seq<?)"],
  [{ text: "x" }, "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"],
  [{ resourceType: "t" }, "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"],
])("%j goes through %s, and needs no sorting", async (query, index) => {
  await using store = new SqliteStore();
  await using audit = new AuditLogger({ store });
  await audit.initialize();
  await audit.log(event());
  const plans: string[] = [];
  await store.read(async (tx) => {
    const all = async (sql: string, params: readonly SqlValue[] = []): ReturnType<Transaction["all"]> => {
      if (sql.includes("body IS NOT NULL")) plans.push(...(await tx.all(`EXPLAIN QUERY PLAN ${sql}`, params)).map((row) => String(row["detail"])));
      return await tx.all(sql, params);
    };
    await searchPage(
      { run: (sql, params) => tx.run(sql, params), get: (sql, params) => tx.get(sql, params), iterate: (sql, params) => tx.iterate(sql, params), all },
      query,
      10,
      {
        now: () => 0,
        monotonic: () => 0,
      },
    );
  });
  expect(
    plans.some((plan) => plan.includes(index)),
    plans.join("\n"),
  ).toBe(true);
  expect(plans.filter((plan) => plan.includes("TEMP B-TREE"))).toEqual([]);
});

test("a page that finds nothing in its time says where to go on; searching goes on by itself", async () => {
  let ticks = 0;
  const clock = { now: () => 1_800_000_000_000, monotonic: () => (ticks += 30) };
  await using audit = new AuditLogger({ clock, checkpoint: { events: 1_000_000, interval: 1e15 } });
  await audit.initialize();
  for (let i = 0; i < 20; i++)
    await Promise.all(Array.from({ length: 450 }, (_, j) => audit.log(event({ details: { note: i * 450 + j === 8500 ? "needle" : "hay" } }))));
  const first = await audit.searchPage({ text: "needle" });
  expect(first).toEqual({ events: [], next: 4096 });
  const second = await audit.searchPage({ text: "needle", after: first.next });
  expect(second).toEqual({ events: [], next: 8192 });
  expect((await audit.searchPage({ text: "needle", after: second.next })).events).toHaveLength(1);
  expect((await audit.search({ text: "needle" })).map(({ seq }) => seq)).toEqual([8501]);
  expect((await audit.search({ text: "needle", newestFirst: true })).map(({ seq }) => seq)).toEqual([8501]);
});

test("times narrow a search through the tree, and a clock that went back hides nothing", async () => {
  let now = Date.UTC(2026, 0, 1);
  await using audit = new AuditLogger({ clock: { now: () => now, monotonic: () => 0 }, checkpoint: { events: 1_000_000, interval: 1e15 } });
  await audit.initialize();
  const times: number[] = [];
  const add = async (count: number, step: number): Promise<void> => {
    await Promise.all(Array.from({ length: count }, () => audit.log(event())));
    times.push(...Array.from({ length: count }, () => now));
    now += step;
  };
  for (let day = 0; day < 30; day++) await add(170, 86_400_000);
  now -= 20 * 86_400_000;
  for (let day = 0; day < 5; day++) await add(7, 86_400_000);
  for (const [start, end] of [
    [0, 3],
    [9, 12],
    [12, 40],
    [28, 29],
    [-5, -1],
    [60, 90],
  ] as const) {
    const [from, to] = [Date.UTC(2026, 0, 1 + start), Date.UTC(2026, 0, 1 + end)];
    const wanted = times.flatMap((time, i) => (time >= from && time <= to ? [i + 1] : []));
    const found: number[] = [];
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page = await audit.searchPage({ startDate: new Date(from), endDate: new Date(to), limit: 1000, after });
      found.push(...page.events.map(({ seq }) => seq));
      after = page.next;
    }
    expect(found).toEqual(wanted);
  }
});

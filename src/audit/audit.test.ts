import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { type Clock, canonicalText, type JsonObject, type JsonValue } from "../foundation/index.ts";
import { SqliteStore } from "../store/index.ts";
import { type AuditEventInput, AuditLogger, type AuditQuery } from "./index.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "cofferdam-audit-"));
  folders.push(made);
  return made;
}

const event = (more: Partial<AuditEventInput> = {}): AuditEventInput => ({ category: "c", action: "a", result: "success", ...more });

async function memory(clock?: Clock): Promise<AuditLogger> {
  const audit = new AuditLogger(clock === undefined ? {} : { clock });
  await audit.initialize();
  return audit;
}

test("the hashes are the ones of the design, computed here by hand", async () => {
  const state = folder();
  await using audit = new AuditLogger({ storage: { directory: state } });
  await audit.initialize();
  const [one, two] = [await audit.log(event({ details: { é: [1, null, true] } })), await audit.log(event())];
  const sha = (...parts: (string | Buffer)[]): Buffer => parts.reduce((digest, part) => digest.update(part), createHash("sha256")).digest();
  const genesis = sha(canonicalText({ logId: one.logId, publicKey: audit.publicKey }));
  let previous = genesis;
  for (const recorded of [one, two]) {
    const { integrity, ...body } = recorded;
    const leaf = sha(Buffer.from([0]), canonicalText(body));
    const hash = sha("cofferdam/audit/chain/v1\0", previous, leaf);
    expect(integrity).toEqual({ hash: `sha256:${hash.toString("hex")}`, algorithm: "sha256", previousHash: `sha256:${previous.toString("hex")}` });
    previous = hash;
  }
  expect(one.salt).toMatch(/^[0-9a-f]{32}$/);
  expect(one.salt).not.toBe(two.salt);
});

test("sequence numbers without gaps, also for events logged at once; reopened where it ended", async () => {
  const state = folder();
  await using audit = new AuditLogger({ storage: { directory: state } });
  await audit.initialize();
  const events = await Promise.all(Array.from({ length: 1200 }, (_, i) => audit.log(event({ details: { i } }))));
  expect(events.map((one) => one.seq)).toEqual(Array.from({ length: 1200 }, (_, i) => i + 1));
  await audit.close();
  await using again = new AuditLogger({ storage: { directory: state } });
  await again.initialize();
  expect((await again.log(event())).seq).toBe(1201);
  expect(await again.verifyIntegrity()).toMatchObject({ verified: 1201, failed: 0, errors: [], size: 1201, anchored: false });
});

describe("what is refused, and nothing is dropped silently", () => {
  test.each([
    ["a category that is not a token", event({ category: "with space" })],
    ["an empty action", event({ action: "" })],
    ["65 characters", event({ category: "c".repeat(65) })],
    ["a lone surrogate", event({ details: { x: "\ud800" } })],
    ["an integer past 2^53", event({ details: { x: 2 ** 53 } })],
    ["NaN", event({ details: { x: Number.NaN } })],
  ])("%s", async (_name, bad) => {
    await using audit = await memory();
    await expect(audit.log(bad)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect((await audit.log(event({ category: "c".repeat(64) }))).seq).toBe(1);
  });

  test("64 KiB of canonical bytes pass, much more does not, and its neighbours are not harmed", async () => {
    await using audit = await memory();
    const results = await Promise.allSettled([
      audit.log(event()),
      audit.log(event({ details: { x: "y".repeat(70_000) } })),
      audit.log(event({ details: { x: "y".repeat(65_000) } })),
    ]);
    expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((await audit.verifyIntegrity()).verified).toBe(2);
  });

  test("too deep, too many and shared without end: PAYLOAD_TOO_LARGE, soon", async () => {
    await using audit = await memory();
    const nested = (depth: number): JsonObject => (depth === 1 ? {} : { x: nested(depth - 1) });
    const circle: { self?: JsonObject } = {};
    circle.self = circle;
    let shared: JsonValue = "x";
    for (let i = 0; i < 30; i++) shared = [shared, shared];
    const huge = Array.from({ length: 2_000_000 }, () => 0);
    const started = performance.now();
    const text = "x".repeat(100_000_000);
    for (const details of [nested(34), circle, { shared }, { huge }, { text }])
      await expect(audit.log(event({ details }))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    let deepest: JsonValue = 1;
    for (let i = 0; i < 10_000; i++) deepest = [deepest];
    await expect(audit.log(event({ details: { deepest } }))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect(performance.now() - started).toBeLessThan(5000);
    expect((await audit.log(event({ details: nested(33) }))).seq).toBe(1);
  });

  test("the limit is 64 KiB to the byte", async () => {
    await using audit = await memory();
    const { integrity: _, ...body } = await audit.log(event({ details: { x: "" } }));
    // The event is measured with the longest sequence number there is.
    const empty = Buffer.byteLength(canonicalText({ ...body, seq: Number.MAX_SAFE_INTEGER }));
    const room = 64 * 1024 - empty;
    await expect(audit.log(event({ details: { x: "y".repeat(room + 1) } }))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect((await audit.log(event({ details: { x: "y".repeat(room) } }))).seq).toBe(2);
  });

  test("odd keys and characters are recorded as they are", async () => {
    await using audit = await memory();
    const details: JsonObject = JSON.parse('{"__proto__":{"x":1},"constructor":{"__proto__":2},"toString":"a\\u0000b\\nc","":{}}');
    const recorded = await audit.log(event({ details }));
    expect(JSON.stringify(recorded.details)).toBe(canonicalText(details));
    expect(JSON.stringify((await audit.search({ text: "__proto__" }))[0]?.details)).toBe(canonicalText(details));
    expect(await audit.verifyIntegrity()).toMatchObject({ verified: 1, failed: 0 });
  });

  test("what the caller changes after log() is not recorded", async () => {
    await using audit = await memory();
    const details = { x: { y: 1 } };
    const logging = audit.log(event({ details }));
    details.x.y = 2;
    expect((await logging).details).toEqual({ x: { y: 1 } });
  });

  test("undefined members are left out, as in JSON", async () => {
    await using audit = await memory();
    const recorded = await audit.log(event({ userId: undefined, compliance: { standards: ["SOC2"], retentionRequired: undefined } }));
    expect(recorded.compliance).toEqual({ standards: ["SOC2"] });
  });

  test("before initialize and after close: NOT_INITIALIZED; an unknown option: a suggestion", async () => {
    const audit = new AuditLogger();
    await expect(audit.log(event())).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
    await audit.initialize();
    await audit.initialize();
    await audit.close();
    await expect(audit.search()).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
    const closing = new AuditLogger();
    await closing.initialize();
    const last = closing.log(event());
    const closed = closing.close();
    await expect(closing.log(event())).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
    await closed;
    expect((await last).seq).toBe(1);
    expect(() => new AuditLogger(JSON.parse('{"stroage":{}}'))).toThrow(/stroage: unknown key \(did you mean "storage"\?\)/);
  });
});

const inputs = fc.record(
  {
    category: fc.constantFrom("x", "y"),
    action: fc.constantFrom("p", "q"),
    result: fc.constantFrom("success" as const, "failure" as const),
    userId: fc.constantFrom("u1", "u2"),
    resourceId: fc.constantFrom("r1", "100%_\\"),
    details: fc.record({ note: fc.constantFrom("plain", "50%", "a_b", "c:\\d", "Ünïcode", 'say "hi"') }),
  },
  { requiredKeys: ["category", "action", "result"] },
);
const queries: fc.Arbitrary<AuditQuery> = fc.record(
  {
    startDate: fc.integer({ min: 0, max: 30 }).map((n) => new Date(n * 1000)),
    endDate: fc.integer({ min: 0, max: 30 }).map((n) => new Date(n * 1000)),
    category: fc.constantFrom("x", "y"),
    action: fc.constant("p"),
    result: fc.constant("failure" as const),
    userId: fc.constant("u1"),
    resourceId: fc.constant("100%_\\"),
    text: fc.constantFrom("50%", "a_b", "c:", "c:\\d", "plain", "Ün", 'y "HI', "note"),
    limit: fc.integer({ min: 1, max: 40 }),
    after: fc.integer({ min: 0, max: 30 }),
    newestFirst: fc.boolean(),
  },
  { requiredKeys: [] },
);

/** Every name and every text in a value. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, child]) => (child === undefined ? [] : [name, ...textsOf(child)]))
    : [];
}

test("property: search is the naive filter", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(inputs, { maxLength: 30 }), queries, async (events, query) => {
      let seconds = 0;
      await using audit = await memory({ now: () => seconds++ * 1000, monotonic: () => 0 });
      const logged = [];
      for (const one of events) logged.push(await audit.log(one));
      const matches = logged.filter(
        (one) =>
          (query.startDate === undefined || Date.parse(one.timestamp) >= Number(query.startDate)) &&
          (query.endDate === undefined || Date.parse(one.timestamp) <= Number(query.endDate)) &&
          (query.category === undefined || one.category === query.category) &&
          (query.action === undefined || one.action === query.action) &&
          (query.result === undefined || one.result === query.result) &&
          (query.userId === undefined || one.userId === query.userId) &&
          (query.resourceId === undefined || one.resourceId === query.resourceId) &&
          (query.after === undefined || (query.newestFirst === true ? one.seq < query.after : one.seq > query.after)) &&
          (query.text === undefined || textsOf({ ...one, integrity: undefined }).some((text) => text.toLowerCase().includes(query.text?.toLowerCase() ?? ""))),
      );
      const ordered = query.newestFirst === true ? matches.reverse() : matches;
      expect(await audit.search(query)).toEqual(ordered.slice(0, query.limit ?? 100));
    }),
    { numRuns: 150 },
  );
});

test.each(['say "hi"', "c:\\d", "100%", "a_b", "line\nbreak"])("text search finds %j and nothing that only looks like it", async (text) => {
  await using audit = await memory();
  const { seq } = await audit.log(event({ details: { note: `before ${text} after` } }));
  await audit.log(event({ details: { note: `before ${text.replace(/[^a-z ]/, "x")} after` } }));
  expect((await audit.search({ text })).map((one) => one.seq)).toEqual([seq]);
});

test("pages join to the whole", async () => {
  await using audit = await memory();
  for (let i = 0; i < 25; i++) await audit.log(event());
  const seen: number[] = [];
  for (let after: number | undefined = 0; after !== undefined; ) {
    const page = await audit.searchPage({ limit: 10, after });
    seen.push(...page.events.map((one) => one.seq));
    after = page.next;
  }
  expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
});

describe("export", () => {
  test("json is one array of the events", async () => {
    await using audit = await memory();
    expect(JSON.parse(await audit.export({}, "json"))).toEqual([]);
    const events = [await audit.log(event()), await audit.log(event({ category: "d" }))];
    expect(JSON.parse(await audit.export({}, "json"))).toEqual(events);
    expect(JSON.parse(await audit.export({ category: "d" }, "json"))).toEqual([events[1]]);
  });

  test("csv follows RFC 4180, and formulas are disarmed", async () => {
    await using audit = await memory();
    await audit.log(event({ userId: '=HYPERLINK("x")', resourceId: 'a "quoted",\r\nline', details: { k: "v,w" } }));
    const rows = parseCsv(await audit.export({}, "csv"));
    expect(rows).toHaveLength(2);
    const row = Object.fromEntries((rows[0] ?? []).map((name, i) => [name, rows[1]?.[i]]));
    expect(row).toMatchObject({ seq: "1", userId: `'=HYPERLINK("x")`, resourceId: 'a "quoted",\r\nline', details: '{"k":"v,w"}', sessionId: "" });
  });

  test("property: csv gives back every text, one apostrophe taken from what was disarmed", async () => {
    const text = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom("'", "=", "+", "-", "@", "\t", "\r", "\n", ",", '"', "a", "é") });
    await fc.assert(
      fc.asyncProperty(text, text, async (userId, note) => {
        await using audit = await memory();
        await audit.log(event({ userId, details: { note }, compliance: { standards: [note] } }));
        const [names = [], values = []] = parseCsv(await audit.export({}, "csv"));
        const row = Object.fromEntries(names.map((name, i) => [name, values[i] ?? ""]));
        expect(row["userId"]).not.toMatch(/^[=+\-@\t\r\n]/);
        expect(row["userId"]?.replace(/^'(?='*[=+\-@\t\r\n])/, "")).toBe(userId);
        expect(JSON.parse(row["details"] ?? "")).toEqual({ note });
        expect(JSON.parse(row["compliance"] ?? "")).toEqual({ standards: [note] });
      }),
      { numRuns: 60 },
    );
  });

  test("in memory too, one may log while an export runs", async () => {
    await using audit = await memory();
    for (let i = 0; i < 3; i++) await audit.log(event());
    let text = "";
    for await (const piece of audit.exportStream({}, "json")) {
      text += piece;
      await audit.log(event());
    }
    expect(JSON.parse(text)).toHaveLength(3);
  });

  test("a stream that is left early lets the store go; appends go on meanwhile", async () => {
    const state = folder();
    await using audit = new AuditLogger({ storage: { directory: state } });
    await audit.initialize();
    for (let i = 0; i < 5; i++) await audit.log(event());
    let pieces = 0;
    for await (const _piece of audit.exportStream({}, "json")) {
      await audit.log(event());
      if (++pieces === 3) break;
    }
    expect((await audit.verifyIntegrity()).verified).toBe(8);
  });
});

test("verifyIntegrity of a time range counts that range", async () => {
  let day = 0;
  await using audit = await memory({ now: () => Date.UTC(2026, 0, day), monotonic: () => 0 });
  for (day = 1; day <= 10; day++) await audit.log(event());
  expect(await audit.verifyIntegrity(new Date("2026-01-03"), new Date("2026-01-05"))).toMatchObject({ verified: 3, failed: 0, size: 10 });
  expect(await audit.verifyIntegrity("2027-01-01")).toMatchObject({ verified: 0, failed: 0 });
});

test("head is the place and hash of the last event", async () => {
  await using audit = await memory();
  expect(await audit.head()).toBeUndefined();
  await audit.log(event());
  const { seq, integrity } = await audit.log(event());
  expect(await audit.head()).toEqual({ seq, hash: integrity.hash });
});

test("a caller's store is used and left open", async () => {
  await using store = new SqliteStore();
  const audit = new AuditLogger({ store });
  await audit.initialize();
  await audit.log(event());
  await audit.close();
  expect(await store.read((tx) => tx.all("SELECT seq FROM audit_events"))).toHaveLength(1);
});

function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] ?? "";
    if (quoted) {
      if (character !== '"') field += character;
      else if (text[i + 1] === '"') field += text[++i];
      else quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === ",") {
      row.push(field);
      field = "";
    } else if (character === "\r" && text[i + 1] === "\n") {
      rows.push([...row, field]);
      row = [];
      field = "";
      i += 1;
    } else field += character;
  }
  return rows;
}

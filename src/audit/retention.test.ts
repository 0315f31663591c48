/** Retention, holds, erasure: what goes, what stays, and that everything still verifies. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { boundedLines } from "./bounded-lines.ts";
import { type AuditEventInput, AuditLogger, parseVerifierKey, verifyBundle } from "./index.ts";
import { formatProof } from "./proof.ts";
import { daysFor } from "./retention.ts";
import type { RetentionRules } from "./retention-rules.ts";

const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);
let state: string;
let now: number;
let audit: AuditLogger;
const open = async (): Promise<AuditLogger> => {
  const opened = new AuditLogger({
    storage: { directory: state },
    clock: { now: () => now, monotonic: () => performance.now() },
    checkpoint: { events: 1_000_000, interval: 1e15 },
  });
  await opened.initialize();
  return opened;
};
beforeEach(async () => {
  state = mkdtempSync(join(tmpdir(), "cofferdam-retention-"));
  now = START;
  audit = await open();
});
afterEach(async () => {
  await audit.close();
  rmSync(state, { recursive: true });
});

const event = (more: Partial<AuditEventInput> = {}): AuditEventInput => ({ category: "c", action: "a", result: "success", ...more });
/** One event a day, so that time is witnessed. */
async function daily(days: number, make: (day: number) => Partial<AuditEventInput> = () => ({})): Promise<void> {
  for (let day = 0; day < days; day++) {
    await audit.log(event(make(day)));
    now += DAY;
  }
}
const left = async (): Promise<number[]> => (await audit.search({ category: "c", limit: 1000 })).map(({ seq }) => seq);

describe("retention", () => {
  test("texts that are old enough go, by whole groups; places, proofs, bundles and searches still hold", async () => {
    await daily(100);
    const before = await audit.checkpoint();
    const dry = await audit.prune({ rules: { days: 50 }, dryRun: true });
    expect(await left()).toHaveLength(100);
    const { pruned, events } = await audit.prune({ rules: { days: 50 } });
    expect([pruned, dry]).toEqual([48, { pruned: 48, held: 0, events: [] }]);
    expect(events).toMatchObject([{ category: "audit", action: "retention_pruned", details: { count: 48, from: 1, to: 48, rules: { days: 50 } } }]);
    expect((await left())[0]).toBe(49);
    expect(await audit.verify({ checkpoints: [before.note] })).toMatchObject({ verified: 101, failed: 0, pruned: 48, anchored: true });
    expect(await audit.verify({ deep: true })).toMatchObject({ verified: 101, failed: 0 });
    const proof = await audit.prove(3);
    expect([proof.body, formatProof(proof).includes("extra")]).toEqual([undefined, false]);
    async function* chunks(text: string): AsyncGenerator<Uint8Array> {
      yield Buffer.from(text);
    }
    const keys = [parseVerifierKey(await audit.verifierKey())];
    expect(await verifyBundle(boundedLines(chunks(await audit.export({}, "bundle"))), { keys })).toMatchObject({ verified: 101, failed: 0, pruned: 48 });
    // Pruned again, nothing is left to prune.
    expect(await audit.prune({ rules: { days: 50 } })).toMatchObject({ pruned: 0, events: [] });
    await audit.close();
    const file = readFileSync(join(state, "cofferdam.db"));
    expect([file.includes('"seq":5,'), file.includes('"seq":60,')]).toEqual([false, true]);
    audit = await open();
  });

  test.each<[string, string]>([
    ["a text more taken away in its name", "UPDATE audit_events SET body = NULL, pruned = 101 WHERE seq = 60"],
    ["a leaf that is not the one that went", "UPDATE audit_events SET leaf = zeroblob(32) WHERE seq = 5"],
    ["put in another's name", "UPDATE audit_events SET pruned = 60 WHERE seq = 5"],
    ["in nobody's name", "UPDATE audit_events SET pruned = NULL WHERE seq = 5"],
  ])("tampering with what was pruned is found: %s", async (_name, sql) => {
    await daily(100);
    await audit.prune({ rules: { days: 50 } });
    const db = new DatabaseSync(join(state, "cofferdam.db"));
    db.exec(sql);
    db.close();
    expect((await audit.verify({})).errors.map(({ kind }) => kind)).toContain("content");
  });

  test("the age of a time is what events witnessed: never more than the clock says, and a jump counts for a month", async () => {
    await daily(100);
    const atStart = await audit.ageOf(START);
    // All but the last group, which is not full, is witnessed day by day.
    expect(atStart).toBe(100 * DAY);
    expect(await audit.ageOf(now - 3 * DAY)).toBe(3 * DAY);
    expect(await audit.ageOf(now + DAY)).toBe(0);
    now += 5000 * DAY;
    expect(await audit.ageOf(START)).toBeLessThanOrEqual(atStart + 35 * DAY);
    await daily(40);
    expect(await audit.ageOf(START)).toBeLessThanOrEqual(atStart + (2 * 35 + 40) * DAY);
    expect(await audit.ageOf(START)).toBeGreaterThan(atStart);
  });

  test("a hold on a session is one that covers an event of it, or names it", async () => {
    await audit.log(event({ sessionId: "job-1", userId: "alice" }));
    expect(await audit.holdOn("job-1")).toBeUndefined();
    const { id } = await audit.placeHold({ userId: "alice" }, "case 7");
    expect((await audit.holdOn("job-1"))?.id).toBe(id);
    expect(await audit.holdOn("job-2")).toBeUndefined();
    await audit.releaseHold(id, "closed");
    expect(await audit.holdOn("job-1")).toBeUndefined();
    const named = await audit.placeHold({ sessionId: "job-2" }, "case 8");
    expect((await audit.holdOn("job-2"))?.id).toBe(named.id);
  });

  test("a clock that jumps decades ahead, and back, prunes nothing of it and reorders nothing", async () => {
    await daily(40);
    now += 40 * 365 * DAY;
    await audit.log(event());
    expect((await audit.prune({ rules: { days: 90 } })).pruned).toBe(0);
    now -= 40 * 365 * DAY;
    await daily(10);
    expect((await audit.prune({ rules: { days: 90 } })).pruned).toBe(0);
    expect(await left()).toEqual(Array.from({ length: 51 }, (_, i) => i + 1));
    expect(await audit.verify({})).toMatchObject({ failed: 0 });
  });

  test("more than one event's worth", { timeout: 60_000 }, async () => {
    await Promise.all(Array.from({ length: 6000 }, () => audit.log(event())));
    await daily(40);
    const { pruned, events } = await audit.prune({ rules: { days: 20 } });
    expect([pruned > 6000, events.length]).toEqual([true, 2]);
    expect(await audit.verify({})).toMatchObject({ failed: 0, pruned });
    const middle = (await audit.verify({})).state;
    expect(await audit.verify({ resume: middle })).toMatchObject({ failed: 0, verified: 0 });
  });
});

test.each<[string, Partial<AuditEventInput>, RetentionRules, number]>([
  ["the default", {}, { days: 365 }, 365],
  ["a category instead of it, also when shorter", {}, { days: 365, categories: { c: 30 } }, 30],
  ["a standard that asks for longer", { compliance: { standards: ["HIPAA"] } }, { days: 90 }, 2555],
  ["however it is written", { compliance: { standards: ["PCI DSS"] } }, { days: 90 }, 365],
  ["rules over the built-in ones", { compliance: { standards: ["soc-2"] } }, { days: 90, standards: { "SOC 2": 400 } }, 400],
  ["an unknown standard asks for nothing", { compliance: { standards: ["ACME-1"] } }, { days: 90 }, 90],
  ["what the event itself asks for", { compliance: { retentionRequired: 700 } }, { days: 90 }, 700],
  ["the longest of all", { compliance: { standards: ["SOC2", "SOX"], retentionRequired: 1 } }, { days: 90 }, 2555],
  ["names of Object's own members", { category: "constructor", compliance: { standards: ["__proto__", "toString"] } }, { days: 90 }, 90],
])("days of an event: %s", async (_name, more, rules, days) => {
  expect(daysFor(await audit.log(event(more)), rules)).toBe(days);
});

test("property: what is pruned is what a naive reading of the rules lets go, less what is in the last groups", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ gap: fc.integer({ min: 0, max: 20 }), category: fc.constantFrom("x", "y"), hold: fc.boolean() }), { minLength: 1, maxLength: 80 }),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 60 }),
      async (steps, days, ofX) => {
        let at = START;
        await using log = new AuditLogger({ clock: { now: () => at, monotonic: () => 0 }, checkpoint: { events: 1_000_000, interval: 1e15 } });
        await log.initialize();
        const made: { seq: number; at: number; days: number; held: boolean }[] = [];
        for (const { gap, category, hold } of steps) {
          at += gap * DAY;
          const { seq } = await log.log(event({ category, userId: hold ? "held" : "free" }));
          made.push({ seq, at, days: category === "x" ? ofX : days, held: hold });
        }
        await log.placeHold({ userId: "held" }, "case 1");
        const { pruned } = await log.prune({ rules: { days, categories: { x: ofX } } });
        const keptSeqs = (await log.search({ limit: 1000 })).filter(({ category }) => category !== "audit").map(({ seq }) => seq);
        const gone = made.filter(({ seq }) => !keptSeqs.includes(seq));
        expect(gone).toHaveLength(pruned);
        for (const one of gone) expect([one.held, at - one.at >= one.days * DAY]).toEqual([false, true]);
        // A group is as old as its youngest event, and the last one is not full.
        const groupEnd = (seq: number): number => Math.ceil(seq / 16) * 16;
        const size = made.length + 1;
        for (const one of made.filter(({ seq }) => keptSeqs.includes(seq))) {
          const youngest = made.filter(({ seq }) => seq <= groupEnd(one.seq)).at(-1)?.at ?? one.at;
          expect(one.held || groupEnd(one.seq) > size || at - youngest < one.days * DAY + 3_600_000).toBe(true);
        }
        expect(await log.verify({})).toMatchObject({ failed: 0, pruned });
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test("rules and standards among the options are those of every call and event that names none", async () => {
  await using log = new AuditLogger({ retention: { days: 30 }, compliance: { standards: ["SOC2"] } });
  await log.initialize();
  const own = { standards: ["HIPAA"] };
  expect([(await log.log(event())).compliance, (await log.log(event({ compliance: own }))).compliance]).toEqual([{ standards: ["SOC2"] }, own]);
  expect((await log.log(event({ compliance: { dataClassification: "internal" } }))).compliance).toEqual({
    dataClassification: "internal",
    standards: ["SOC2"],
  });
  expect((await log.denied({ category: "c", action: "d" })).compliance).toEqual({ standards: ["SOC2"] });
  expect(await log.prune()).toMatchObject({ pruned: 0 });
  await expect(audit.prune()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(() => new AuditLogger({ retention: { days: -1 } })).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

describe("holds", () => {
  test("what a hold covers stays, and goes after its release; both are events", async () => {
    await daily(60, (day) => ({ userId: day % 2 === 0 ? "alice" : "bob" }));
    const { id } = await audit.placeHold({ userId: "alice", until: "2026-01-15" }, "case 7");
    expect(await audit.holds()).toEqual([{ id, reason: "case 7", scope: { userId: "alice", until: "2026-01-15" } }]);
    expect(await audit.prune({ rules: { days: 10 } })).toMatchObject({ pruned: 40, held: 8 });
    expect((await left()).slice(0, 8)).toEqual([1, 3, 5, 7, 9, 11, 13, 15]);
    await audit.releaseHold(id, "closed");
    await expect(audit.releaseHold(id, "again")).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await audit.prune({ rules: { days: 10 } })).toMatchObject({ pruned: 8, held: 0 });
    expect((await audit.search({ category: "audit" })).map(({ action }) => action)).toEqual([
      "hold_placed",
      "retention_pruned",
      "hold_released",
      "retention_pruned",
    ]);
    expect(await audit.verify({})).toMatchObject({ failed: 0, pruned: 48 });
    await expect(audit.placeHold(JSON.parse('{"user":"x"}'), "y")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("nobody else writes the log's own events", async () => {
    await expect(audit.log(event({ category: "audit", action: "hold_released", details: { id: "x" } }))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(audit.denied({ category: "audit", action: "x" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("erasure", () => {
  const personal = (subject: string, email: string): AuditEventInput["personal"] => ({ subject, data: { email } });

  test("readable until the key is destroyed, then nowhere: not in the log, its files, or a bundle", async () => {
    const one = await audit.log(event({ personal: personal("alice", "alice@example.com") }));
    const two = await audit.log(event({ personal: personal("alice", "alice@example.org") }));
    const other = await audit.log(event({ personal: personal("bob", "bob@example.com") }));
    expect(one.personal?.key).toBe(two.personal?.key);
    expect(one.personal?.sealed).not.toBe(two.personal?.sealed);
    expect([await audit.personalData(one), await audit.personalData(other)]).toEqual([{ email: "alice@example.com" }, { email: "bob@example.com" }]);
    const bundle = await audit.export({}, "bundle");
    const db = new DatabaseSync(join(state, "cofferdam.db"), { readOnly: true });
    const key = db.prepare("SELECT key FROM audit_subjects WHERE subject = 'alice'").get()?.["key"];
    db.close();
    const keyBytes = Buffer.from(key instanceof Uint8Array ? key : []);
    expect(keyBytes).toHaveLength(32);
    const erased = await audit.eraseSubject("alice", "request 12");
    expect(erased).toMatchObject({ action: "subject_erased", details: { key: one.personal?.key, reason: "request 12" } });
    expect([await audit.personalData(one), await audit.personalData(two), await audit.personalData(other)]).toEqual([
      undefined,
      undefined,
      { email: "bob@example.com" },
    ]);
    await expect(audit.eraseSubject("alice", "again")).rejects.toMatchObject({ code: "NOT_FOUND" });
    // A new event of the same person has a new key.
    const later = await audit.log(event({ personal: personal("alice", "alice@example.net") }));
    expect(later.personal?.key).not.toBe(one.personal?.key);
    expect(await audit.verify({ deep: true })).toMatchObject({ failed: 0, verified: 5 });
    await audit.close();
    const files = readdirSync(state, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
    for (const file of files) {
      const bytes = readFileSync(join(file.parentPath, file.name));
      expect([bytes.includes("alice@example"), bytes.includes(keyBytes)], file.name).toEqual([false, false]);
    }
    expect(bundle).not.toContain("example.com");
    audit = await open();
  });

  test("sealed data of another event, person or log does not open", async () => {
    const one = await audit.log(event({ personal: personal("alice", "a") }));
    const two = await audit.log(event({ personal: personal("bob", "b") }));
    const broken = { code: "INTEGRITY_FAILURE" };
    await expect(audit.personalData({ personal: { key: two.personal?.key ?? "", sealed: one.personal?.sealed ?? "" } })).rejects.toMatchObject(broken);
    for (const sealed of ["", "AAAA", "!", `${one.personal?.sealed.slice(0, -4)}AAAA`])
      await expect(audit.personalData({ personal: { key: one.personal?.key ?? "", sealed } })).rejects.toMatchObject(broken);
    expect(await audit.personalData({ personal: { key: "sub_none", sealed: "" } })).toBeUndefined();
  });

  test("limits hold for it as for details", async () => {
    await expect(audit.log(event({ personal: { subject: "a", data: { x: "y".repeat(70_000) } } }))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    await expect(audit.log(event({ personal: { subject: "a", data: { x: "\ud800" } } }))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(audit.log(event({ personal: { subject: "", data: {} } }))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

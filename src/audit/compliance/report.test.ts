/** Compliance reports against counts made by hand, proofs verified as a third party would, and trails that do not hold. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { factsOf } from "../facts.ts";
import {
  type AuditEvent,
  type AuditEventInput,
  AuditLogger,
  CONTROLS,
  type ComplianceReport,
  type ExportOptions,
  parseVerifierKey,
  STANDARDS,
  verifyProof,
} from "../index.ts";
import { quietDays } from "./quiet-days.ts";

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "cofferdam-compliance-"));
});
afterEach(() => rmSync(state, { recursive: true }));

const event = (more: Partial<AuditEventInput> = {}): AuditEventInput => ({ category: "packages", action: "PackageInstall", result: "success", ...more });
async function opened(): Promise<AuditLogger> {
  const audit = new AuditLogger({ storage: { directory: state } });
  await audit.initialize();
  return audit;
}
async function reportOf(audit: AuditLogger, options: ExportOptions = {}, query = {}): Promise<ComplianceReport> {
  return JSON.parse(await audit.export(query, "compliance", options));
}

describe("the tables", () => {
  test("docs/compliance.md has them, line by line", () => {
    const page = readFileSync(fileURLToPath(new URL("../../../docs/compliance.md", import.meta.url)), "utf8");
    const rows = page.split("\n").filter((line) => /^\| [^|-]/.test(line) && !line.startsWith("| control "));
    const table = STANDARDS.flatMap((standard) =>
      CONTROLS[standard].controls.map(
        ({ id, title, evidence, notCovered }) => `| ${id} | ${title} | ${evidence.map((kind) => `\`${kind}\``).join(", ")} | ${notCovered} |`,
      ),
    );
    expect(rows).toEqual(table);
  });

  test("kinds are ones that the product logs, and ids are used once", () => {
    const asEvent = (kind: string): AuditEvent => {
      const [category = "", action = ""] = kind.split("/");
      const integrity = { hash: "", algorithm: "sha256", previousHash: "" } as const;
      return { category, action, result: "success", id: "", seq: 1, timestamp: "", logId: "", schemaVersion: 1, salt: "", integrity };
    };
    for (const standard of STANDARDS) {
      const { controls } = CONTROLS[standard];
      expect(new Set(controls.map(({ id }) => id)).size).toBe(controls.length);
      for (const { evidence, notCovered } of controls) {
        expect(notCovered).not.toBe("");
        for (const kind of evidence) if (!kind.endsWith("*")) expect([kind, factsOf(asEvent(kind)).kind]).not.toContain("other");
      }
    }
  });
});

test("counts, outcomes, first and last of any events are those of a plain filter", async () => {
  const kinds = ["packages/PackageInstall", "packages/VulnerabilityScan", "sandbox/RuntimeProtection", "advisories/AdvisoriesUpdate", "other/thing"] as const;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...kinds), fc.boolean()), { minLength: 1, maxLength: 60 }), async (made) => {
      await using audit = new AuditLogger();
      await audit.initialize();
      const inputs = made.map(([kind, fine]) => {
        const [category = "", action = ""] = kind.split("/");
        return event({ category, action, result: fine ? "success" : "failure" });
      });
      const events = await Promise.all(inputs.map((input) => audit.log(input)));
      const report = await reportOf(audit);
      for (const { standard, controls } of report.standards) {
        for (const [at, { id, events: counted, evidence }] of controls.entries()) {
          const wanted = CONTROLS[standard].controls[at]?.evidence ?? [];
          const naive = events.filter(
            ({ category, action }) => wanted.includes("*") || wanted.includes(`${category}/*`) || wanted.includes(`${category}/${action}`),
          );
          expect([id, counted]).toEqual([id, naive.length]);
          for (const { category, action, count, success, failure, first, last } of evidence) {
            const same = naive.filter((one) => one.category === category && one.action === action);
            expect([count, failure, success]).toEqual([
              same.length,
              same.filter(({ result }) => result === "failure").length,
              same.filter(({ result }) => result === "success").length,
            ]);
            expect([first.seq, first.id, last.seq]).toEqual([same[0]?.seq, same[0]?.id, same.at(-1)?.seq]);
          }
        }
      }
      expect(report.unmapped.map(({ category }) => category)).toEqual(made.some(([kind]) => kind === "other/thing") ? ["other"] : []);
    }),
    { numRuns: 25 },
  );
});

test("what weakens the evidence is counted where it happened", async () => {
  await using audit = await opened();
  await audit.log(event({ userId: "u", details: { mode: "observe" } }));
  await audit.log(
    event({
      action: "VulnerabilityScan",
      userId: "u",
      details: { sources: [{ name: "osv", status: "stale" }], findings: [{ id: "A", exception: { reason: "r", until: null } }] },
    }),
  );
  await audit.log(event({ action: "RuntimeProtection", details: { run: "unjailed" } }));
  await audit.log(event({ category: "advisories", action: "AdvisoriesUpdate", result: "failure", userId: "u", details: { code: "UPSTREAM_UNAVAILABLE" } }));
  // Members of another type than ours say nothing, and harm nothing.
  await audit.log(event({ userId: "u", details: { mode: 1, sources: "osv", findings: { 0: 1 }, refused: [[], null, 7], run: null } }));
  const { gaps } = await reportOf(audit);
  expect(gaps.weaknesses.map(({ what, count, first }) => [what, count, first.seq])).toEqual([
    ["staleData", 1, 2],
    ["failedUpdates", 1, 4],
    ["observeMode", 1, 1],
    ["unjailed", 1, 3],
    ["exceptions", 1, 2],
    ["withoutUser", 1, 3],
  ]);
});

test("days without events, against days walked one by one", () => {
  const day = (n: number): string => new Date(Date.UTC(2026, 0, 1) + n * 86_400_000).toISOString().slice(0, 10);
  fc.assert(
    fc.property(fc.array(fc.nat(60), { maxLength: 30 }), fc.nat(60), fc.nat(60), (busy, one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      const quiet: string[] = [];
      for (let n = from; n <= to; n++) if (!busy.includes(n)) quiet.push(day(n));
      const { count, runs } = quietDays(new Set(busy.map(day)), `${day(from)}T10:00:00.000Z`, day(to));
      const listed = runs.flatMap((run) => {
        const days: string[] = [];
        for (let at = Date.parse(run.from); at <= Date.parse(run.to); at += 86_400_000) days.push(new Date(at).toISOString().slice(0, 10));
        return days;
      });
      expect([count, listed]).toEqual([quiet.length, quiet]);
    }),
  );
});

test("the sample is the one that its rule draws, and every proof holds with the log's key alone", async () => {
  await using audit = await opened();
  for (let i = 0; i < 60; i++) await audit.log(event({ details: { i, bad: "</script>=1\u202e\n" } }));
  const { sample, checkpoint } = await reportOf(audit);
  expect([sample.of, sample.seed]).toEqual([60, checkpoint?.root]);
  const rank = (seq: number): string => createHash("sha256").update(`${sample.seed}\n${seq}`).digest("hex");
  const drawn = Array.from({ length: 60 }, (_, i) => i + 1)
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
    .slice(0, 25);
  expect(sample.events.map(({ seq }) => seq)).toEqual(drawn.sort((a, b) => a - b));
  const keys = [parseVerifierKey(await audit.verifierKey())];
  for (const { seq, proof } of sample.events) expect(verifyProof(proof ?? "", keys).event.seq).toBe(seq);
  expect((await reportOf(audit, { seed: "auditor-7" })).sample.seed).toBe("auditor-7");
});

test("a report is an event with the digest of what was handed out; one that was cut short says so", async () => {
  await using audit = await opened();
  await audit.log(event());
  const text = await audit.export({ startDate: "2020-01-01" }, "compliance", { standard: "gdpr", by: { user: "auditor", uid: 7 } });
  expect((await audit.search({ action: "exported" })).map(({ result, userId, details }) => ({ result, userId, ...details }))).toEqual([
    {
      result: "success",
      userId: "auditor",
      uid: 7,
      format: "compliance",
      asked: { from: "2020-01-01T00:00:00.000Z", standard: "gdpr" },
      bytes: Buffer.byteLength(text),
      sha256: createHash("sha256").update(text).digest("hex"),
    },
  ]);
  await expect(audit.export({}, "compliance", { signal: AbortSignal.abort(new Error("no")) })).rejects.toThrow("no");
  await expect(audit.export({ category: "packages" }, "compliance")).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining("category"),
  });
  expect((await audit.search({ action: "exported", result: "failure" })).map(({ details }) => details?.["code"])).toEqual(["INTERNAL", "INVALID_ARGUMENT"]);
  await audit.export({}, "csv");
  expect(await audit.search({ action: "exported" })).toHaveLength(3);
});

test("an empty log, and a log without its key, are reported as what they are", async () => {
  await using audit = await opened();
  const empty = await reportOf(audit);
  expect([empty.checkpoint, empty.period.events, empty.sample.events]).toEqual([null, null, []]);
  expect(await audit.export({}, "compliance-text")).toContain("no evidence in this period");
  await audit.log(event());
  await audit.checkpoint();
  rmSync(join(state, "keys"), { recursive: true });
  await audit.close();
  await using keyless = await opened();
  await keyless.log(event());
  const { checkpoint, verification } = await reportOf(keyless);
  // The log records the failure too.
  expect(verification.size).toBeGreaterThanOrEqual(4);
  expect(checkpoint).toMatchObject({ size: 3, uncovered: verification.size - 3, problem: expect.stringContaining("key") });
});

test("anchored only by what comes from outside; a changed trail is told, in the report and to the caller", async () => {
  await using audit = await opened();
  for (let i = 0; i < 20; i++) await audit.log(event({ details: { i } }));
  const { note } = await audit.checkpoint();
  expect((await reportOf(audit)).verification.anchored).toBe(false);
  expect((await reportOf(audit, { checkpoints: [note] })).verification.anchored).toBe(true);
  await audit.close();
  const db = new DatabaseSync(join(state, "cofferdam.db"));
  db.exec(`UPDATE audit_events SET body = replace(body, '"i":6}', '"i":7}') WHERE seq = 7`);
  db.close();
  await using tampered = await opened();
  const told: number[] = [];
  const report = await reportOf(tampered, { onVerified: ({ failed }) => told.push(failed) });
  expect(report.verification).toMatchObject({ failed: 1, errors: [{ seq: 7, kind: "content" }] });
  expect(told).toEqual([1]);
  expect(report.sample.events.filter(({ proof }) => proof === null).map(({ seq }) => seq)).toEqual([7]);
  expect(await tampered.export({}, "compliance-text")).toContain("content, event 7");
});

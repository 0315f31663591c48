/** What every level makes of advisories and of their age: the cells of docs/policy.md, one by one. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Level, presetOf } from "../../policy/index.ts";
import { SqliteStore } from "../../store/index.ts";
import type { Finding, SourceStatus } from "../../vulnerability/index.ts";
import { judgeFreshness } from "./freshness.ts";
import { latestTime } from "./known-time.ts";
import { Ratchet } from "./ratchet.ts";
import { type JudgementContext, judgeFinding } from "./verdict.ts";

const LEVELS: readonly Level[] = ["low", "medium", "high", "paranoid"];
const NOW = Date.parse("2026-06-01T00:00:00Z");
const DAY = 86_400_000;

const found = (more: Partial<Finding> = {}): Finding => ({
  ...{ id: "GHSA-aaaa-aaaa-aaaa", aliases: [], package: "a", version: "1.0.0", ecosystem: "npm", severity: "medium", malware: false, fixed: [] },
  ...more,
});
const judge = (level: Level, finding: Finding, more: Partial<JudgementContext> = {}): string =>
  judgeFinding(finding, { values: presetOf(level), allowance: () => undefined, base: "abc", hadSince: () => undefined, now: NOW, ...more }).verdict;
const atLevels = (finding: Finding, more: Partial<JudgementContext> = {}): string[] => LEVELS.map((level) => judge(level, finding, more));

describe("findings at low, medium, high and paranoid", () => {
  const kev = { cve: "CVE-2024-1", dateAdded: "2024-01-01", ransomware: false };
  test.each<[string, Finding, Partial<JudgementContext>, readonly string[]]>([
    ["malware", found({ malware: true }), {}, ["deny", "deny", "deny", "deny"]],
    ["malware that the base had", found({ malware: true }), { hadSince: () => NOW }, ["deny", "deny", "deny", "deny"]],
    ["known to be exploited", found({ kev, severity: "low" }), {}, ["warn", "deny", "deny", "deny"]],
    ["known to be exploited, and the base had it", found({ kev, severity: "low" }), { hadSince: () => NOW }, ["warn", "deny", "deny", "deny"]],
    ["critical with a fix, new", found({ severity: "critical", fixed: ["2.0.0"] }), {}, ["warn", "deny", "deny", "deny"]],
    ["critical with a fix, had", found({ severity: "critical", fixed: ["2.0.0"] }), { hadSince: () => NOW }, ["warn", "had", "deny", "deny"]],
    [
      "critical with a fix, had for 91 days",
      found({ severity: "critical", fixed: ["2.0.0"] }),
      { hadSince: () => NOW - 91 * DAY },
      ["warn", "deny", "deny", "deny"],
    ],
    [
      "critical with a fix, had for 89 days",
      found({ severity: "critical", fixed: ["2.0.0"] }),
      { hadSince: () => NOW - 89 * DAY },
      ["warn", "had", "deny", "deny"],
    ],
    ["critical without a fix", found({ severity: "critical" }), {}, ["warn", "warn", "warn", "deny"]],
    ["high with a fix", found({ severity: "high", fixed: ["2.0.0"] }), {}, ["warn", "warn", "deny", "deny"]],
    ["medium", found({ severity: "medium" }), {}, ["warn", "warn", "warn", "deny"]],
    ["of unknown severity", found({ severity: "unknown" }), {}, ["warn", "warn", "warn", "deny"]],
    ["low with a fix", found({ severity: "low", fixed: ["2.0.0"] }), {}, ["warn", "warn", "warn", "warn"]],
  ])("%s", (_, finding, context, verdicts) => {
    expect(atLevels(finding, context)).toEqual(verdicts);
  });

  test("observe lets go what would be denied, but malware", () => {
    const observe = (finding: Finding): string[] => LEVELS.map((level) => judge(level, finding, { values: { ...presetOf(level), mode: "observe" } }));
    expect(observe(found({ severity: "critical", fixed: ["2.0.0"], kev }))).toEqual(["warn", "warn", "warn", "warn"]);
    expect(observe(found({ malware: true }))).toEqual(["deny", "deny", "deny", "deny"]);
  });

  test("an exception under any of its ids; for malware only one with an end", () => {
    const allowing = (what: string, until?: string): Partial<JudgementContext> => ({
      allowance: (asked) => (asked === what ? { what, reason: "ours", until } : undefined),
    });
    const one = found({ severity: "critical", fixed: ["2.0.0"], aliases: ["CVE-2024-1"] });
    expect(judge("paranoid", one, allowing("CVE-2024-1 a@1.0.0"))).toBe("accepted");
    expect(judge("paranoid", one, allowing("CVE-2024-1 a@1.0.1"))).toBe("deny");
    expect(judge("low", found({ malware: true }), allowing("GHSA-aaaa-aaaa-aaaa a@1.0.0"))).toBe("deny");
    expect(judge("low", found({ malware: true }), allowing("GHSA-aaaa-aaaa-aaaa a@1.0.0", "2026-12-31"))).toBe("accepted");
  });
});

describe("the age of the data at low, medium, high and paranoid", () => {
  const source = (name: string, days: number): SourceStatus => ({
    ...{ name, advisories: 1, withdrawn: 0, unparsable: 0 },
    freshAsOf: new Date(NOW - days * DAY).toISOString(),
  });
  const states = (sources: readonly SourceStatus[]): string[] =>
    LEVELS.map((level) => {
      const { refusals, warnings } = judgeFreshness(sources, presetOf(level), NOW);
      return refusals.length > 0 ? "refuse" : warnings.length > 0 ? "warn" : "fine";
    });

  test.each<[number, readonly string[]]>([
    [2 / 24, ["fine", "fine", "fine", "fine"]],
    [4 / 24, ["fine", "fine", "fine", "warn"]],
    [7 / 24, ["fine", "fine", "fine", "refuse"]],
    [13 / 24, ["fine", "fine", "warn", "refuse"]],
    [1.1, ["fine", "warn", "refuse", "refuse"]],
    [7.1, ["warn", "refuse", "refuse", "refuse"]],
    [-5, ["fine", "fine", "fine", "fine"]],
  ])("%d days old: %j", (days, expected) => {
    expect(states([source("osv:npm", days), source("kev", 0)])).toEqual(expected);
  });

  test("none at all; only our own; the catalogue of exploited ones missing, or a month older", () => {
    expect(states([])).toEqual(["warn", "refuse", "refuse", "refuse"]);
    expect(states([source("acme", 0), source("kev", 0)])).toEqual(["warn", "refuse", "refuse", "refuse"]);
    expect(states([source("osv:npm", 0)])).toEqual(["warn", "refuse", "refuse", "refuse"]);
    expect(states([source("osv:npm", 0), source("kev", 30)])).toEqual(["fine", "fine", "fine", "fine"]);
    expect(states([source("osv:npm", 0), source("kev", 38)])).toEqual(["warn", "refuse", "refuse", "refuse"]);
    // What a site says itself needs no date of today.
    expect(states([source("osv:npm", 0), source("kev", 0), source("acme", 900)])).toEqual(["fine", "fine", "fine", "fine"]);
  });
});

test("a clock that was set back is not believed; the ratchet counts from the first time", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-time-"));
  try {
    await using store = new SqliteStore({ path: join(folder, "x.db") });
    const at = (time: number): Promise<number> => latestTime(store, { now: () => time, monotonic: () => 0 });
    expect(await at(NOW)).toBe(NOW);
    expect(await at(NOW - 400 * DAY)).toBe(NOW);
    expect(await at(NOW + DAY)).toBe(NOW + DAY);
    const ratchet = new Ratchet(store, "/p");
    expect(await ratchet.firstSeen([found()], NOW)).toEqual([NOW]);
    const renamed = found({ id: "GHSA-bbbb-bbbb-bbbb", aliases: ["GHSA-aaaa-aaaa-aaaa"] });
    expect(await ratchet.firstSeen([renamed, found({ package: "b" })], NOW + DAY)).toEqual([NOW, NOW + DAY]);
    expect(await new Ratchet(store, "/other").firstSeen([found()], NOW + DAY)).toEqual([NOW + DAY]);
    expect(await ratchet.firstSeen([found(), renamed], NOW + 2 * DAY)).toEqual([NOW, NOW]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

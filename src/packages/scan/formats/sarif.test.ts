import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import AjvDraft4 from "ajv-draft-04";
import addFormats from "ajv-formats";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { finding, scanResult } from "../../../../test/world/scan-result.ts";
import type { ScanResult } from "../result.ts";
import { sarifText } from "./sarif.ts";

interface Log {
  runs: [
    {
      tool: { driver: { rules: { id: string; help: { text: string; markdown: string }; properties: Record<string, unknown> & { tags: string[] } }[] } };
      results: {
        ruleId: string;
        ruleIndex: number;
        level: string;
        message: { text: string };
        locations: unknown[];
        partialFingerprints: object;
        suppressions?: object[];
      }[];
      invocations: [{ executionSuccessful: boolean; toolExecutionNotifications: { level: string; message: { text: string } }[] }];
      automationDetails: { id: string };
      properties: { leftOut: object };
    },
  ];
}

/** The schema as published, revision 5 of SARIF 2.1.0. */
const validator = (() => {
  const ajv = new AjvDraft4.default({ allErrors: true, strict: false, unicodeRegExp: false });
  addFormats.default(ajv);
  const manifest = createRequire(import.meta.url).resolve("@microsoft/jest-sarif/package.json");
  return ajv.compile(JSON.parse(readFileSync(new URL("lib/schemas/sarif-2.1.0-rtm.5.json", `file://${manifest}`), "utf8")));
})();

function valid(text: string): Log {
  const log = JSON.parse(text);
  validator(log);
  expect(validator.errors ?? []).toEqual([]);
  return log;
}

const run = (more: Partial<ScanResult> = {}, folder = ""): Log["runs"][0] => valid(sarifText(scanResult(more), { version: "0.1.0", folder })).runs[0];
const notes = (of: Log["runs"][0]): string[] => of.invocations[0].toolExecutionNotifications.map(({ level, message }) => `${level}: ${message.text}`);

test("the schema does refuse what is wrong", () => {
  expect(validator({ version: "2.1.0", runs: [{ results: [] }] })).toBe(false);
  expect(validator({ version: "2.1.0", runs: [{ tool: { driver: { name: "x" } }, results: [{ message: { text: "x" }, level: "loud" }] }] })).toBe(false);
});

describe("a log", () => {
  test("without findings", () => {
    const { results, invocations, automationDetails } = run();
    expect(results).toEqual([]);
    expect(invocations).toEqual([{ executionSuccessful: true, toolExecutionNotifications: [] }]);
    expect(automationDetails.id).toBe("cofferdam/scan/package-lock.json/");
  });

  test("a finding, at its lines, with its rule", () => {
    const places = [
      { path: "node_modules/b/node_modules/lodash", file: "package-lock.json", line: 900 },
      { path: "node_modules/lodash", file: "package-lock.json", line: 812 },
    ];
    const { results, tool } = run({ findings: [finding({ places })] }, "web app/#1");
    const region = (line: number): object => ({ startLine: line, startColumn: 1, endLine: line, endColumn: 2 });
    const artifactLocation = { uri: "web%20app/%231/package-lock.json", uriBaseId: "%SRCROOT%" };
    const logicalLocations = [{ fullyQualifiedName: "pkg:npm/lodash@4.17.20", kind: "package" }];
    expect(results[0]).toMatchObject({
      ...{ ruleId: "GHSA-35jh-r3h4-6jhm", ruleIndex: 0, level: "warning" },
      message: {
        text: "lodash@4.17.20: Command Injection in lodash (high). level medium reports it. Path: app > a@1.0.0 > lodash@4.17.20. Fix: npm update lodash --package-lock-only",
      },
      locations: [
        { physicalLocation: { artifactLocation, region: region(812) }, logicalLocations },
        { physicalLocation: { artifactLocation, region: region(900) }, logicalLocations },
      ],
      partialFingerprints: { primaryLocationLineHash: expect.stringMatching(/^[0-9a-f]{32}:1$/) },
    });
    expect(tool.driver.rules[0]).toMatchObject({
      ...{ id: "GHSA-35jh-r3h4-6jhm", shortDescription: { text: "Command Injection in lodash" }, helpUri: "https://github.com/advisories/GHSA-35jh-r3h4-6jhm" },
      fullDescription: { text: expect.stringContaining("through `template`") },
      help: { text: expect.stringContaining("Fixed in: 4.17.21"), markdown: expect.stringContaining("- Affected: `<4.17.21`") },
      properties: { tags: ["security", "vulnerability", "external/cwe/cwe-94"], "security-severity": "7.2" },
    });
  });

  test("the fingerprint stays when lines move, and differs with advisory, version and file", () => {
    const print = (more: Parameters<typeof finding>[0], folder = ""): object | undefined =>
      run({ findings: [finding(more)] }, folder).results[0]?.partialFingerprints;
    const here = print({});
    expect(print({ places: [{ path: "node_modules/x/node_modules/lodash", file: "package-lock.json", line: 3 }], reason: "other", verdict: "deny" })).toEqual(
      here,
    );
    for (const other of [print({ id: "GHSA-other" }), print({ version: "4.17.19" }), print({ package: "lodash-es" }), print({}, "web")])
      expect(other).not.toEqual(here);
  });

  test("levels, suppressions, malware and what is exploited", () => {
    const kev = { cve: "CVE-2021-23337", dateAdded: "2026-01-01", ransomware: false };
    const { results, tool } = run({
      findings: [
        finding({ id: "A", verdict: "deny", kev }),
        finding({ id: "B", verdict: "accepted", exception: { reason: "unreachable, SEC-1", until: "2027-01-31" } }),
        finding({ id: "C", severity: "low", score: undefined }),
        finding({ id: "MAL-1", malware: true, severity: "unknown", score: undefined, details: undefined, verdict: "deny" }),
        finding({ id: "E", severity: "unknown", score: undefined, verdict: "had" }),
      ],
    });
    expect(results.map(({ ruleId, level, suppressions }) => [ruleId, level, suppressions])).toEqual([
      ["MAL-1", "error", undefined],
      ["A", "error", undefined],
      ["C", "note", undefined],
      ["E", "warning", undefined],
      ["B", "note", [{ kind: "external", status: "accepted", justification: "unreachable, SEC-1 (until 2027-01-31)" }]],
    ]);
    expect(Object.fromEntries(tool.driver.rules.map(({ id, properties }) => [id, properties["security-severity"]]))).toEqual({
      ...{ "MAL-1": "9.5", A: "7.2", C: "2.0", E: undefined, B: "7.2" },
    });
    expect(tool.driver.rules[0]?.properties.tags).toContain("malware");
    expect(tool.driver.rules[1]?.properties.tags).toContain("known-exploited");
  });

  test("a severity word and a score that disagree: the word", () => {
    const rated = (severity: "critical" | "medium", score: number): unknown =>
      run({ findings: [finding({ severity, score })] }).tool.driver.rules[0]?.properties["security-severity"];
    expect([rated("critical", 9), rated("critical", 7.2), rated("medium", 0), rated("medium", 6.9)]).toEqual(["9.0", "9.5", "5.5", "6.9"]);
  });

  test("not scanned, old, unread and unjudged are said", () => {
    const sources = [{ name: "osv:npm", advisories: 1, withdrawn: 0, unparsable: 3, freshAsOf: "2026-01-01T00:00:00Z", status: "stale" as const }];
    const said = run({
      decision: "not-scanned",
      reasons: ["too old for level high"],
      sources,
      unjudged: [{ package: "b", version: "x", id: "GHSA-1", why: "no version" }],
    });
    expect(said.invocations[0].executionSuccessful).toBe(false);
    expect(notes(said)).toEqual([
      "error: not scanned: too old for level high",
      "warning: advisories of osv:npm are stale, as of 2026-01-01T00:00:00Z",
      "warning: 3 records of osv:npm could not be read",
      "warning: b@x was not judged by GHSA-1: no version",
    ]);
  });

  test("a package URL without a lockfile has a logical place only", () => {
    const { results } = run({ file: undefined, target: "pkg:npm/lodash@4.17.20", findings: [finding({ places: [{ path: "", file: "" }] })] });
    expect(results[0]?.locations).toEqual([{ logicalLocations: [{ fullyQualifiedName: "pkg:npm/lodash@4.17.20", kind: "package" }] }]);
  });

  test("property: whatever records and lockfiles hold, the log is valid and a title makes no link and no placeholder", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.constantFrom("[x](https://evil.example)", "{0}", "\ud800", "x".repeat(9000), "`", "__proto__"),
    );
    fc.assert(
      fc.property(text, text, fc.array(text, { maxLength: 30 }), (one, two, many) => {
        const base = finding();
        const details =
          base.details === undefined ? undefined : { ...base.details, title: one, description: two, references: many, cwes: many, affectedVersions: many };
        const hostile = finding({ id: two, package: one, version: two, path: many, reason: one, fix: { version: one, note: two }, aliases: many, details });
        const log = run({
          target: one,
          file: two,
          findings: [{ ...hostile, places: [{ path: one, file: two }] }],
          unjudged: [{ package: one, version: two, why: one }],
        });
        for (const { message } of [...log.results, ...log.invocations[0].toolExecutionNotifications]) expect(message.text).not.toMatch(/\]\(|(?<!\{)\{\d+\}/);
      }),
      { numRuns: 200 },
    );
  });
});

describe("GitHub's limits", () => {
  let large: Log["runs"][0];
  let text: string;
  beforeAll(() => {
    const findings = Array.from({ length: 26_000 }, (_, i) => finding({ id: `GHSA-${i}`, package: `p${i}`, verdict: i < 25_990 ? "warn" : "deny" }));
    text = sarifText(scanResult({ findings }), { version: "0.1.0" });
    large = JSON.parse(text).runs[0];
  });

  test("25,000 results and rules, the most urgent ones; what is left out is said", () => {
    expect(large.results).toHaveLength(25_000);
    expect(large.tool.driver.rules).toHaveLength(25_000);
    expect(large.results.slice(0, 10).every(({ level }) => level === "error")).toBe(true);
    expect(large.properties.leftOut).toMatchObject({ results: 1000 });
    expect(notes(large)).toContain("warning: 1000 results left out, the least urgent ones: GitHub takes 25000 results and 10 MB");
    expect(large.results.every(({ ruleId, ruleIndex }) => large.tool.driver.rules[ruleIndex]?.id === ruleId)).toBe(true);
    expect(gzipSync(text).byteLength).toBeLessThanOrEqual(10_000_000);
  });

  test("1,000 locations a result, 20 tags a rule", () => {
    const places = Array.from({ length: 1500 }, (_, i) => ({ path: `node_modules/p${i}/node_modules/lodash`, file: "package-lock.json", line: i + 1 }));
    const details = finding().details;
    const cwes = Array.from({ length: 25 }, (_, i) => `CWE-${i + 1}`);
    const log = run({ findings: [finding({ places, details: details === undefined ? undefined : { ...details, cwes } })] });
    expect(log.results[0]?.locations).toHaveLength(1000);
    expect(log.tool.driver.rules[0]?.properties.tags).toHaveLength(20);
    expect(notes(log)).toEqual(["warning: 500 locations left out: GitHub takes 1000 a result", "warning: 7 tags left out"]);
  });

  test("10 MB compressed: first without the advisories' texts, then without the least urgent results", () => {
    // Text that does not compress: what base64 of random bytes keeps is three quarters.
    const noise = (length: number): string => Buffer.from(crypto.getRandomValues(new Uint8Array(length))).toString("base64");
    const details = finding().details;
    const texts = (count: number): ScanResult["findings"] =>
      Array.from({ length: count }, (_, i) =>
        finding({ id: `GHSA-${i}`, details: details === undefined ? undefined : { ...details, description: noise(6000) } }),
      );
    const first = sarifText(scanResult({ findings: texts(2500) }), { version: "0.1.0" });
    expect(gzipSync(first).byteLength).toBeLessThanOrEqual(10_000_000);
    expect(notes(valid(first).runs[0])).toEqual(["warning: the advisories' own texts are left out: GitHub takes 10 MB"]);
    const wide = Array.from({ length: 3000 }, (_, i) => finding({ id: `GHSA-${i}`, verdict: i === 2999 ? "deny" : "warn", aliases: [noise(6000)] }));
    const second = sarifText(scanResult({ findings: wide }), { version: "0.1.0" });
    expect(gzipSync(second).byteLength).toBeLessThanOrEqual(10_000_000);
    const log = valid(second).runs[0];
    expect(log.results).toHaveLength(1500);
    expect(log.results[0]?.ruleId).toBe("GHSA-2999");
    expect(log.properties.leftOut).toMatchObject({ results: 1500, texts: true });
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { finding, SCANNED_AT, scanResult } from "../../../test/world/scan-result.ts";
import type { ScannedFinding, ScanResult } from "../../packages/scan/index.ts";
import { scanReport } from "./scan-report.ts";

const report = (more: Partial<ScanResult> = {}): string => scanReport(scanResult(more), SCANNED_AT);
const [source] = scanResult().sources;
const osv = (more: Partial<ScanResult["sources"][number]>): ScanResult["sources"] => (source === undefined ? [] : [{ ...source, ...more }]);

describe("nothing known bad", () => {
  test("is one line", () => expect(report()).toBe("cofferdam: 1,578 packages, none known bad; advisories 3 hours old\n"));

  test("old data, unread records and what was not judged are said with it", () => {
    const unjudged = [{ package: "b", version: "x", id: "GHSA-1", why: "its version is not a version" }];
    expect(report({ unjudged, packages: 1, sources: osv({ status: "old", freshAsOf: "2026-11-25T12:00:00Z", unparsable: 2 }) })).toBe(
      [
        "cofferdam: 1 package, 1 not judged in full, nothing else known bad; advisories 2 days old",
        "data     osv:npm: old, 2 days old (cofferdam db update)",
        "data     osv:npm: 2 records not read",
        "unjudged b@x (GHSA-1): its version is not a version",
        "",
      ].join("\n"),
    );
  });

  test("no data is not fine, also where the level lets it go", () => {
    const missing = osv({ status: "missing", advisories: 0, freshAsOf: undefined });
    const own = osv({ name: "our-own", freshAsOf: undefined });
    expect(report({ sources: [...missing, ...own] })).toBe(
      "cofferdam: 1,578 packages, NOT SCANNED; no public advisories\ndata     osv:npm: missing (cofferdam db update)\n",
    );
    expect(report({ sources: missing, findings: [finding()] })).toContain("1,578 packages: 1 warned, not scanned.");
    expect(report({ sources: [...osv({}), ...own] })).toBe("cofferdam: 1,578 packages, none known bad; advisories 3 hours old\n");
  });

  test("a clock that is behind the data does not make it new", () =>
    expect(report({ sources: osv({ freshAsOf: "2027-01-01T00:00:00Z" }) })).toContain("advisories dated 2027-01-01T00:00:00Z, after this machine's clock"));

  test("data without a date is of unknown age", () => expect(report({ sources: osv({ freshAsOf: undefined }) })).toContain("; advisories of unknown age\n"));
});

test("not scanned is never fine, and what was found all the same is shown", () => {
  const without = report({ decision: "not-scanned", reasons: ["no advisory data"], sources: [], stoppedBy: "SCAN_STALE" });
  expect(without).toBe(
    [
      "cofferdam: package-lock.json, level medium, no public advisories",
      "",
      "NOT SCANNED: no advisory data",
      "         fix: cofferdam db update, or cofferdam db import FILE",
      "",
      "1,578 packages: not scanned.  exit 8  record 4182",
      "",
    ].join("\n"),
  );
  const some = report({ decision: "not-scanned", reasons: ["too old"], findings: [finding()], sources: osv({ status: "stale" }) });
  expect(some).toContain("warned   lodash@4.17.20");
  expect(some).toContain("1 warned, not scanned.  exit 0");
  expect(without).not.toContain("none known bad");
});

test("denied first; the advisories of a package together, with the way to it, the fix and what would allow it", () => {
  const kev = { cve: "CVE-2021-23337", dateAdded: "2026-01-01", ransomware: true };
  const denied = finding({ verdict: "deny", reason: "known exploited", kev, score: 7.2 });
  const accepted = finding({ id: "GHSA-29mw", severity: "medium", score: undefined, verdict: "accepted", reason: "accepted: unreachable, SEC-1" });
  const malware = finding({
    ...{ id: "MAL-2026-1", package: "axios", version: "1.14.1", malware: true, severity: "critical", score: undefined, verdict: "deny", reason: "malware" },
    ...{ allow: undefined, details: undefined, path: ["app", "axios@1.14.1"], dev: true },
    places: [
      { path: "node_modules/axios", file: "package-lock.json", line: 40 },
      { path: "node_modules/b/node_modules/axios", file: "package-lock.json", line: 90 },
    ],
    fix: { note: "malware, and no clean version is on record" },
  });
  const had = finding({
    package: "zod",
    verdict: "had",
    reason: "critical with a fix, 1f3a2b4 had it",
    hadUntil: "2027-01-31",
    fix: { version: "9.0.0", note: "a@1 asks for ^1" },
  });
  const text = report({ findings: [had, accepted, denied, malware], decision: "denied", stoppedBy: "SECURITY_VIOLATION" });
  expect(text).toBe(
    `${[
      "cofferdam: package-lock.json, level medium, advisories 3 hours old",
      "",
      "denied   axios@1.14.1, package-lock.json:40 and 1 more place, development only",
      "         MAL-2026-1 malware",
      "         path: app > axios@1.14.1",
      "         fix: malware, and no clean version is on record",
      "denied   lodash@4.17.20, package-lock.json:812",
      "         GHSA-35jh-r3h4-6jhm high 7.2, known exploited by ransomware (KEV): Command Injection in lodash (known exploited)",
      "         GHSA-29mw medium: Command Injection in lodash (accepted: unreachable, SEC-1)",
      "         path: app > a@1.0.0 > lodash@4.17.20",
      "         fix: npm update lodash --package-lock-only",
      "         allow: cofferdam policy allow 'GHSA-35jh-r3h4-6jhm lodash@4.17.20' --reason TEXT",
      "had      zod@4.17.20, package-lock.json:812",
      "         GHSA-35jh-r3h4-6jhm high 7.2: Command Injection in lodash (critical with a fix, 1f3a2b4 had it, until 2027-01-31)",
      "         path: app > a@1.0.0 > lodash@4.17.20",
      "         fix: 9.0.0, a@1 asks for ^1",
      "base     1f3a2b4 (merge base with origin/main)",
      "",
      "1,578 packages: 2 denied, 1 had before.  exit 3  record 4182",
    ].join("\n")}\n`,
  );
});

test("every denial is shown, of the others thirty packages and the count", () => {
  const many = (count: number, verdict: ScannedFinding["verdict"]): ScannedFinding[] =>
    Array.from({ length: count }, (_, i) => finding({ package: `${verdict}-${i}`, verdict }));
  const text = report({ findings: [...many(42, "warn"), ...many(100, "deny")] });
  expect(text.match(/^denied /gm)).toHaveLength(100);
  expect(text.match(/^warned /gm)).toHaveLength(30);
  expect(text).toContain("\n         and 12 more packages (--json lists them)\n");
  expect(text).toContain("1,578 packages: 100 denied, 42 warned.");
});

test("a long way is cut in its middle", () => {
  const path = Array.from({ length: 40 }, (_, i) => `p${i}@1.0.0`);
  expect(report({ findings: [finding({ path })] })).toContain("path: p0@1.0.0 > p1@1.0.0 > p2@1.0.0 > p3@1.0.0 > ... > p37@1.0.0 > p38@1.0.0 > p39@1.0.0\n");
});

test("property: no text of a record or a lockfile makes a line of ours, or moves a cursor", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 400 }),
    fc.constantFrom("\ncofferdam: 3 packages, none known bad", "\u001b[2J", "\u202e", "x".repeat(100_000), "$(reboot)", "a\r\nb\u0085c\u2028d"),
  );
  fc.assert(
    fc.property(text, text, fc.array(text), (one, two, path) => {
      const hostile = finding({
        id: one,
        package: two,
        version: one,
        verdict: "deny",
        reason: two,
        path,
        allow: one,
        fix: { version: one, command: two, note: one },
      });
      const details = hostile.details === undefined ? undefined : { ...hostile.details, title: two };
      const places = [{ path: one, file: two, line: 3 }];
      const out = report({
        target: one,
        findings: [{ ...hostile, details, places }],
        decision: "denied",
        unjudged: [{ package: one, version: two, why: one }],
      });
      expect(out).toMatch(/^cofferdam: /);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is what is tested
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/);
      // Head, subject, advisory, fix with its note, allow, unjudged with its allow, base, closing, and three ends of blocks.
      expect(out.split("\n")).toHaveLength(path.length > 1 ? 14 : 13);
      expect(out.length).toBeLessThan(12_000);
    }),
    { numRuns: 500 },
  );
});

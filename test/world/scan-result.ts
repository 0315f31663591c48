/** A scan's result as the flow would give it, for what is made from one. Figures and ids are invented. */
import type { ScannedFinding, ScanResult } from "../../src/packages/index.ts";

/** Noon of the day that the invented results are from. */
export const SCANNED_AT: number = Date.parse("2026-11-27T12:00:00Z");

export function scanResult(more: Partial<ScanResult> = {}): ScanResult {
  return {
    target: "package-lock.json",
    root: "/srv/app",
    file: "package-lock.json",
    packages: 1578,
    findings: [],
    unjudged: [],
    sources: [{ name: "osv:npm", advisories: 220_000, withdrawn: 900, unparsable: 0, freshAsOf: "2026-11-27T09:00:00Z", status: "fresh" }],
    decision: "allowed",
    reasons: [],
    base: { ref: "1f3a2b4", note: "1f3a2b4 (merge base with origin/main)" },
    level: "medium",
    mode: "enforce",
    policyDigest: "0".repeat(64),
    stoppedBy: undefined,
    tookMs: 41,
    auditRange: [4182, 4182],
    ...more,
  };
}

export function finding(more: Partial<ScannedFinding> = {}): ScannedFinding {
  return {
    id: "GHSA-35jh-r3h4-6jhm",
    aliases: ["CVE-2021-23337"],
    package: "lodash",
    version: "4.17.20",
    ecosystem: "npm",
    severity: "high",
    score: 7.2,
    malware: false,
    kev: undefined,
    fixed: ["4.17.21"],
    verdict: "warn",
    reason: "level medium reports it",
    path: ["app", "a@1.0.0", "lodash@4.17.20"],
    places: [{ path: "node_modules/lodash", file: "package-lock.json", line: 812 }],
    fix: { version: "4.17.21", command: "npm update lodash --package-lock-only" },
    dev: false,
    allow: "GHSA-35jh-r3h4-6jhm lodash@4.17.20",
    details: {
      id: "GHSA-35jh-r3h4-6jhm",
      title: "Command Injection in lodash",
      description: "`lodash` before 4.17.21 is vulnerable to command injection through `template`.",
      published: "2021-05-06T16:05:51Z",
      modified: "2025-08-12T00:00:00Z",
      references: ["https://nvd.nist.gov/vuln/detail/CVE-2021-23337"],
      vectors: ["CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"],
      cwes: ["CWE-94"],
      affectedVersions: ["<4.17.21"],
      patchedVersions: ["4.17.21"],
      source: "osv:npm",
    },
    ...more,
  };
}

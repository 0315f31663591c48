/** What a scan leaves in the audit trail. */
import type { AuditSink } from "../../audit/index.ts";
import type { ScannedFinding, ScanResult } from "./result.ts";

const MAX_FINDINGS = 100;

/** @returns first and last sequence number. */
export async function recordScan(audit: AuditSink, result: ScanResult): Promise<readonly [number, number]> {
  const { seq } = await audit.log({
    category: "packages",
    action: "VulnerabilityScan",
    result: result.decision === "allowed" ? "success" : "failure",
    resourceType: "project",
    resourceId: result.root.slice(0, 1024),
    details: {
      target: result.target.slice(0, 512),
      packages: result.packages,
      decision: result.decision,
      reasons: result.reasons.slice(0, 20).map((reason) => reason.slice(0, 300)),
      level: result.level,
      mode: result.mode,
      policy: result.policyDigest,
      base: result.base.ref ?? null,
      sources: result.sources.map(({ name, freshAsOf, status }) => ({ name: name.slice(0, 128), freshAsOf: freshAsOf ?? null, status })),
      findings: result.findings.slice(0, MAX_FINDINGS).map(findingRecord),
      findingCount: result.findings.length,
      unjudged: result.unjudged.length,
    },
  });
  return [seq, seq];
}

export function findingRecord({ id, package: name, version, severity, verdict, exception }: ScannedFinding): {
  readonly id: string;
  readonly subject: string;
  readonly severity: string;
  readonly verdict: string;
  readonly exception?: { readonly reason: string; readonly until: string | null };
} {
  const subject = `${name}@${version}`.slice(0, 300);
  // Who accepted a risk, why and for how long is part of the evidence.
  return { id, subject, severity, verdict, ...(exception === undefined ? {} : { exception: { reason: exception.reason, until: exception.until ?? null } }) };
}

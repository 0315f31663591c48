/** A scan as the JSON document that other programs rely on: fields may be added, never renamed. */
import type { ErrorCode } from "../../../foundation/index.ts";
import type { Ecosystem, KnownExploited, Severity, Unjudged } from "../../../vulnerability/index.ts";
import type { Fix, JudgedSource, Place, ScannedFinding, ScanResult, Verdict } from "../result.ts";
import { byUrgency } from "../urgency.ts";

export interface ScanDocument {
  readonly schema: "cofferdam/scan/v1";
  /** As the user named it, or the file that was found. */
  readonly target: string;
  /** How many packages were looked at. */
  readonly packages: number;
  /** Denied first, then by severity. */
  readonly findings: readonly FindingDocument[];
  /** What could not be judged, and why; never counted as fine. */
  readonly unjudged: readonly Unjudged[];
  readonly sources: readonly SourceDocument[];
  readonly decision: ScanResult["decision"];
  readonly reasons: readonly string[];
  readonly base: ScanResult["base"];
  readonly level: string;
  readonly mode: ScanResult["mode"];
  readonly policyDigest: string;
  /** The error code behind an exit code other than 0. */
  readonly stoppedBy?: ErrorCode | undefined;
  readonly tookMs: number;
  /** First and last number on record; null when nothing is. */
  readonly auditRange: readonly [number, number] | null;
}

export interface FindingDocument {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly package: string;
  readonly version: string;
  readonly ecosystem: Ecosystem;
  readonly severity: Severity;
  /** CVSS base score. */
  readonly score?: number | undefined;
  /** Versions above this one that a record names as fixed. */
  readonly fixed: readonly string[];
  /** In CISA's catalogue of known exploited vulnerabilities. */
  readonly kev: boolean;
  readonly kevEntry?: KnownExploited | undefined;
  readonly malware: boolean;
  /** One of the shortest ways from the project to the package. */
  readonly path: readonly string[];
  readonly places: readonly Place[];
  readonly verdict: Verdict;
  readonly reason: string;
  readonly fix: Fix;
  readonly dev: boolean;
  readonly title?: string | undefined;
  readonly cwes?: readonly string[] | undefined;
  readonly references?: readonly string[] | undefined;
  /** What `cofferdam policy allow` takes. */
  readonly allow?: string | undefined;
  readonly exception?: ScannedFinding["exception"];
  readonly hadUntil?: string | undefined;
}

export interface SourceDocument extends Omit<JudgedSource, "freshAsOf"> {
  /** ISO 8601; null when nothing was read from it. */
  readonly freshAsOf: string | null;
}

export function scanDocument(result: ScanResult): ScanDocument {
  return {
    schema: "cofferdam/scan/v1",
    target: result.target,
    packages: result.packages,
    findings: [...result.findings].sort(byUrgency).map(findingDocument),
    unjudged: result.unjudged,
    sources: result.sources.map(sourceDocument),
    decision: result.decision,
    reasons: result.reasons,
    base: result.base,
    level: result.level,
    mode: result.mode,
    policyDigest: result.policyDigest,
    stoppedBy: result.stoppedBy,
    tookMs: result.tookMs,
    auditRange: result.auditRange ?? null,
  };
}

export function sourceDocument(source: JudgedSource): SourceDocument {
  return { ...source, freshAsOf: source.freshAsOf ?? null };
}

export function findingDocument(finding: ScannedFinding): FindingDocument {
  return {
    id: finding.id,
    aliases: finding.aliases,
    package: finding.package,
    version: finding.version,
    ecosystem: finding.ecosystem,
    severity: finding.severity,
    score: finding.score,
    fixed: finding.fixed,
    kev: finding.kev !== undefined,
    kevEntry: finding.kev,
    malware: finding.malware,
    path: finding.path,
    places: finding.places,
    verdict: finding.verdict,
    reason: finding.reason,
    fix: finding.fix,
    dev: finding.dev,
    title: finding.title ?? finding.details?.title,
    cwes: finding.details?.cwes,
    references: finding.details?.references,
    allow: finding.allow,
    exception: finding.exception,
    hadUntil: finding.hadUntil,
  };
}

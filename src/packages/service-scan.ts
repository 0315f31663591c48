/** SecurityService's look-up of one package version: the report of the seed, with where the knowledge comes from. */
import { type Clock, CofferdamError } from "../foundation/index.ts";
import { type Level, presetOf } from "../policy/index.ts";
import { type AdvisoryDatabase, detailsKey, type Finding, type KnownExploited, match, type Severity } from "../vulnerability/index.ts";
import { judgeFreshness } from "./scan/freshness.ts";
import type { JudgedSource } from "./scan/result.ts";

export interface PackageVulnerability {
  /** The id to speak of it by; every other one is in `aliases`. */
  readonly id: string;
  readonly aliases: readonly string[];
  readonly title: string;
  readonly description: string;
  readonly severity: Severity;
  /** Base score, 0 to 10, and the vector it was computed from; undefined where no record has one. */
  readonly cvss: { readonly score: number; readonly vector: string | undefined } | undefined;
  /** The package itself is malicious. */
  readonly malware: boolean;
  /** Ranges in npm's notation. */
  readonly affectedVersions: readonly string[];
  readonly patchedVersions: readonly string[];
  readonly references: readonly string[];
  /** The source whose record is quoted. */
  readonly source: string;
  /** CISA's entry, where the vulnerability is known to be exploited. */
  readonly kev: KnownExploited | undefined;
}

export interface VulnerabilityReport {
  readonly packageName: string;
  readonly packageVersion: string;
  readonly vulnerabilities: readonly PackageVulnerability[];
  /** Records that could not be compared with this version, and why: neither affected nor fine. */
  readonly unjudged: readonly { readonly id: string | undefined; readonly why: string }[];
  /** ISO 8601. */
  readonly scanTimestamp: string;
  readonly sources: readonly JudgedSource[];
}

/** Throws SCAN_STALE when there is no data, or it is older than the level allows. */
export async function scanPackage(database: AdvisoryDatabase, name: string, version: string, level: Level, clock: Clock): Promise<VulnerabilityReport> {
  const index = await database.open();
  const now = clock.now();
  const { sources, refusals } = judgeFreshness(index?.meta.sources ?? [], presetOf(level), now);
  if (index === undefined || refusals.length > 0)
    throw new CofferdamError("SCAN_STALE", `${name}@${version} was not scanned: ${refusals.join("; ") || "no data"}`, {
      details: { sources },
      hint: "cofferdam db update, or cofferdam db import FILE",
    });
  const { findings, unjudged } = match(index, [{ name, version }]);
  const vulnerabilities = await described(findings, database);
  return {
    packageName: name,
    packageVersion: version,
    vulnerabilities,
    unjudged: unjudged.map(({ id, why }) => ({ id, why })),
    scanTimestamp: new Date(now).toISOString(),
    sources,
  };
}

async function described(findings: readonly Finding[], database: AdvisoryDatabase): Promise<PackageVulnerability[]> {
  const details = await database.details(findings.flatMap((finding) => [finding.id, ...finding.aliases].map((id) => ({ id, name: finding.package }))));
  return findings.map((finding) => {
    const own = [finding.id, ...finding.aliases].map((id) => details.get(detailsKey(id, finding.package))).find((one) => one !== undefined);
    const { id, aliases, severity, malware, score, kev, fixed } = finding;
    return {
      ...{ id, aliases, severity, malware, kev },
      title: own?.title ?? id,
      description: own?.description ?? "",
      cvss: score === undefined ? undefined : { score, vector: own?.vectors[0] },
      affectedVersions: own?.affectedVersions ?? [],
      patchedVersions: own?.patchedVersions ?? fixed,
      references: own?.references ?? [],
      source: own?.source ?? "",
    };
  });
}

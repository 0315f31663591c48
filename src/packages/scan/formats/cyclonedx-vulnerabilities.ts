/** CycloneDX's vulnerabilities: one for every advisory, with everything installed that it affects. */
import type { Severity } from "../../../vulnerability/index.ts";
import type { ScannedFinding } from "../result.ts";
import { byCode } from "../urgency.ts";
import { advisoryPage, bounded, webAddresses } from "./advisory-text.ts";
import { npmPackageUrl } from "./package-url.ts";

/** In the order of their ids. An advisory that is accepted in one version and not in another is there twice: an analysis is of a whole entry. */
export function bomVulnerabilities(findings: readonly ScannedFinding[]): object[] {
  const groups = new Map<string, [ScannedFinding, ...ScannedFinding[]]>();
  for (const finding of findings) {
    const key = JSON.stringify([finding.id, analysisOf(finding)]);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [finding]);
    else known.push(finding);
  }
  return [...groups].sort(([a], [b]) => byCode(a, b)).map(([, group]) => vulnerability(group));
}

function vulnerability(group: readonly [ScannedFinding, ...ScannedFinding[]]): object {
  const sorted = [...group].sort((a, b) => byCode(npmPackageUrl(a.package, a.version), npmPackageUrl(b.package, b.version)));
  const [first = group[0]] = sorted;
  const { id, details } = first;
  const analysis = analysisOf(first);
  const cwes = [...new Set((details?.cwes ?? []).flatMap((cwe) => /^CWE-([1-9]\d{0,5})$/.exec(cwe)?.[1] ?? []))].map(Number);
  return {
    "bom-ref": `vulnerability:${id.toWellFormed()}${analysis === undefined ? "" : ":accepted"}:${npmPackageUrl(first.package, first.version)}`,
    id: id.toWellFormed(),
    source: advisoryPage(id),
    references: [...new Set(first.aliases.map((alias) => alias.toWellFormed()))].map((alias) => ({ id: alias, source: advisoryPage(alias) })),
    ratings: ratings(first),
    cwes,
    ...(details === undefined ? {} : { description: bounded(details.title || id, 500), detail: bounded(details.description, 8000) }),
    recommendation: bounded([...new Set(sorted.map(recommendation))].join("\n"), 4000),
    advisories: webAddresses(details?.references ?? [], 50).map((url) => ({ url })),
    ...dates(details?.published, details?.modified),
    ...(analysis === undefined ? {} : { analysis }),
    affects: affects(sorted),
    properties: [
      ...sorted.map((one) => ({ name: "cofferdam:verdict", value: bounded(`${one.verdict} ${subjectOf(one)}: ${one.reason}`, 1000) })),
      { name: "cofferdam:malware", value: String(first.malware) },
      ...(first.kev === undefined ? [] : [{ name: "cofferdam:kev", value: bounded(`${first.kev.cve} ${first.kev.dateAdded}`, 100) }]),
    ],
  };
}

/** An exception says that somebody lives with it, and why; not that the code is out of reach. So there is a response and no state. */
function analysisOf({ verdict, reason, exception }: ScannedFinding): { readonly response: readonly string[]; readonly detail: string } | undefined {
  if (verdict !== "accepted") return undefined;
  const until = exception?.until === undefined ? "" : ` (until ${exception.until})`;
  return { response: ["will_not_fix"], detail: bounded(`accepted: ${exception?.reason ?? reason}${until}`, 1000) };
}

/** The score, and every vector as the record has it; together where there is only one that it can be of. */
function ratings({ severity, score, details }: ScannedFinding): object[] {
  const vectors = (details?.vectors ?? []).slice(0, 10).map((vector) => ({ method: methodOf(vector), vector: bounded(vector, 500) }));
  const rating = { ...(score === undefined ? {} : { score }), severity: WORDS[severity] };
  return vectors.length === 1 ? [{ ...rating, ...vectors[0] }] : [rating, ...vectors];
}

const WORDS: Readonly<Record<Severity, string>> = { critical: "critical", high: "high", medium: "medium", low: "low", unknown: "unknown" };

function methodOf(vector: string): string {
  const known = [
    ["CVSS:4.0/", "CVSSv4"],
    ["CVSS:3.1/", "CVSSv31"],
    ["CVSS:3.0/", "CVSSv3"],
    ["AV:", "CVSSv2"],
  ].find(([start = ""]) => vector.startsWith(start));
  return known?.[1] ?? "other";
}

function recommendation(finding: ScannedFinding): string {
  const { version, command, note } = finding.fix;
  const parts = [version === undefined ? undefined : `use ${version}`, command, note].filter((part) => part !== undefined);
  return `${subjectOf(finding)}: ${parts.length === 0 ? "no fix is known" : parts.join("; ")}`;
}

function subjectOf({ package: name, version }: ScannedFinding): string {
  return `${name}@${version}`;
}

function affects(group: readonly ScannedFinding[]): object[] {
  const byRef = new Map(group.map((one) => [npmPackageUrl(one.package, one.version), bounded(one.version, 1024)]));
  return [...byRef].map(([ref, version]) => ({ ref, versions: [{ version: version === "" ? "unknown" : version, status: "affected" }] }));
}

function dates(published: string | undefined, updated: string | undefined): { readonly published?: string; readonly updated?: string } {
  const [from, to] = [published, updated].map((date) => (date !== undefined && !Number.isNaN(Date.parse(date)) ? new Date(date).toISOString() : undefined));
  return { ...(from === undefined ? {} : { published: from }), ...(to === undefined ? {} : { updated: to }) };
}

/**
 * The known vulnerabilities of a list of packages, each with its verdict: what `cofferdam scan` reports and what the guarded
 * install is stopped by are the same.
 */
import type { DependencyGraph } from "../../inventory/index.ts";
import type { EffectivePolicy, PolicyValues } from "../../policy/index.ts";
import type { Store } from "../../store/index.ts";
import { type AdvisoryIndex, type Finding, isAffected, match, type Subject, type Unjudged } from "../../vulnerability/index.ts";
import type { Base } from "./base-packages.ts";
import { smallestFix } from "./fix.ts";
import { Ratchet } from "./ratchet.ts";
import type { Place, ScannedFinding, ScanResult } from "./result.ts";
import { byUrgency } from "./urgency.ts";
import { isDeniedSeverity, type Judgement, judgeFinding } from "./verdict.ts";

/** A package to look up, where it stands. */
export interface ScannedPackage {
  readonly name: string;
  readonly version: string | undefined;
  readonly path: string;
}

export interface JudgeRequest {
  readonly index: AdvisoryIndex;
  readonly packages: readonly ScannedPackage[];
  /** Who asks for whom; undefined for packages without a project. */
  readonly graph: DependencyGraph | undefined;
  /** File that places are in, and the line of a package in it. */
  readonly file: string | undefined;
  readonly lineOf: (path: string) => number | undefined;
  readonly policy: EffectivePolicy;
  /** What the merge base had; asked for only where that changes a verdict or a way out. */
  readonly readBase: () => Promise<Base>;
  readonly store: Store;
  /** Real path of the project. */
  readonly project: string;
  readonly now: number;
}

export interface Judged {
  /** Without details. */
  readonly findings: readonly ScannedFinding[];
  readonly unjudged: readonly Unjudged[];
  readonly base: ScanResult["base"];
}

export async function judgePackages(request: JudgeRequest): Promise<Judged> {
  const { index, packages } = request;
  const { findings, unjudged } = match(index, subjectsOf(packages));
  const base = needsBase(findings, request.policy.values) ? await request.readBase() : NO_BASE;
  const judgements = await judgeAll(findings, base.packages, request);
  const places = Map.groupBy(packages, (one) => `${one.name}@${one.version ?? ""}`);
  const scanned = findings.map((finding, i): ScannedFinding => {
    const standing = places.get(`${finding.package}@${finding.version}`) ?? [];
    const { verdict, reason, allow, exception, hadUntil } = judgements[i] ?? { ...UNREACHED, allow: undefined, exception: undefined, hadUntil: undefined };
    return {
      ...finding,
      ...{ verdict, reason, allow, exception, hadUntil },
      path: wayOf(standing, request),
      places: placesOf(standing, request),
      fix: {},
      dev: standing.length > 0 && standing.every(({ path }) => request.graph?.isDev(path) === true),
    };
  });
  return { findings: withFixes(scanned, base.packages, request).sort(byUrgency), unjudged: [...unjudged, ...withoutVersion(index, packages)], base: base.said };
}

const NO_BASE: Base = { said: { note: "" }, packages: undefined };

/** Starting git costs more than everything else here. */
function needsBase(findings: readonly Finding[], values: PolicyValues): boolean {
  return findings.some(({ malware, severity }) => malware || (values["advisories.only-new"] && isDeniedSeverity(severity, values["advisories.deny"])));
}

/** A package that was named by itself stands nowhere. */
function placesOf(standing: readonly ScannedPackage[], { file, lineOf }: JudgeRequest): Place[] {
  return file === undefined ? [] : standing.map(({ path }) => ({ path, file, line: lineOf(path) }));
}

/** Every finding has a judgement; a program that lost one must not let it pass. */
const UNREACHED = { verdict: "deny", reason: "not judged" } as const;

function subjectsOf(packages: readonly ScannedPackage[]): Subject[] {
  return packages.flatMap(({ name, version }) => (version === undefined ? [] : [{ name, version }]));
}

/** A package without a version can only be told from those that no record names. */
function withoutVersion(index: AdvisoryIndex, packages: readonly ScannedPackage[]): Unjudged[] {
  const names = new Set(packages.filter(({ version }) => version === undefined).map(({ name }) => name));
  return [...names].filter((name) => index.entriesOf(name).length > 0).map((name) => ({ package: name, version: "", why: "its version is not known" }));
}

async function judgeAll(findings: readonly Finding[], base: Base["packages"], { index, store, project, policy, now }: JudgeRequest): Promise<Judgement[]> {
  const had = new Set(base === undefined ? [] : match(index, subjectsOf(base.packages)).findings.flatMap(keysOf));
  const before = findings.filter((finding) => keysOf(finding).some((key) => had.has(key)));
  const times = await new Ratchet(store, project).firstSeen(before, now);
  const since = new Map(before.map((finding, i) => [finding, times[i] ?? now]));
  const context = {
    values: policy.values,
    allowance: (what: string) => policy.allowance(what),
    base: base?.ref,
    hadSince: (finding: Finding) => since.get(finding),
    now,
  };
  return findings.map((finding) => judgeFinding(finding, context));
}

/** Another version of the package with the same vulnerability does not introduce it. */
function keysOf(finding: Finding): string[] {
  return [finding.id, ...finding.aliases].map((id) => `${finding.package} ${id}`);
}

/** The shortest of the ways to any of its places. */
function wayOf(standing: readonly ScannedPackage[], { graph }: JudgeRequest): readonly string[] {
  const ways = standing.map(({ path }) => graph?.wayTo(path) ?? []).filter((way) => way.length > 0);
  return ways.sort((a, b) => a.length - b.length)[0] ?? [];
}

/** One way out for all findings of a package version. */
function withFixes(findings: readonly ScannedFinding[], base: Base["packages"], { index, graph }: JudgeRequest): ScannedFinding[] {
  const bySubject = Map.groupBy(findings, (finding) => `${finding.package}@${finding.version}`);
  const fixes = new Map(
    [...bySubject].map(([subject, [first, ...others]]) => {
      if (first === undefined) return [subject, {}];
      const { package: name, version, dev } = first;
      const fix = smallestFix({
        name,
        version,
        findings: [first, ...others],
        isAffected: (candidate) => isAffected(index, { name, version: candidate }),
        dependents: first.places.flatMap(({ path }) => graph?.dependentsOf(path) ?? []),
        dev,
        known: (base?.packages ?? []).flatMap((one) => (one.name === name ? (one.version ?? []) : [])),
      });
      return [subject, fix];
    }),
  );
  return findings.map((finding) => ({ ...finding, fix: fixes.get(`${finding.package}@${finding.version}`) ?? {} }));
}

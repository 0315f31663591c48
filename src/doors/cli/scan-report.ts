/**
 * A scan in words: one line when nothing is known bad, else packages in the order in which somebody would act on them. Every
 * text of a record or a lockfile becomes one bounded line, so that none can write a line of ours.
 */
import { ERROR_TABLE, formatDuration } from "../../foundation/index.ts";
import { allowanceOf, byUrgency, type JudgedSource, type ScannedFinding, type ScanResult, VERDICTS, type Verdict } from "../../packages/scan/index.ts";
import { plain } from "./output.ts";
import { shellWord } from "./shell-word.ts";

/** Packages shown that were not denied, advisories of one of them, and subjects that were not judged. Denials are all shown. */
const SHOWN_PACKAGES = 30;
const SHOWN_ADVISORIES = 8;
const SHOWN_UNJUDGED = 10;

/** @param now milliseconds since the Unix epoch; what the age of the data is counted to. */
export function scanReport(result: ScanResult, now: number): string {
  const lines = isQuiet(result) ? [`cofferdam: ${quietLine(result, now)}`, ...dataLines(result, now)] : fullLines(result, now);
  return `${lines.join("\n")}\n`;
}

function isQuiet(result: ScanResult): boolean {
  return result.findings.length === 0 && result.decision === "allowed";
}

function quietLine(result: ScanResult, now: number): string {
  const unjudged = new Set(result.unjudged.map((one) => `${one.package}@${one.version}`)).size;
  if (result.packages === 0) return `no packages in ${line(result.target)}`;
  // A level may let it go; fine it is not.
  if (!hasData(result)) return `${packages(result)}, NOT SCANNED; ${age(result, now)}`;
  const bad = unjudged === 0 ? "none known bad" : `${counted(unjudged)} not judged in full, nothing else known bad`;
  return `${packages(result)}, ${bad}; ${age(result, now)}`;
}

function fullLines(result: ScanResult, now: number): string[] {
  const observed = result.mode === "observe" ? " (observe only: nothing is refused)" : "";
  const head = `cofferdam: ${line(result.target)}, level ${result.level}${observed}, ${age(result, now)}`;
  return [
    ...(result.decision === "not-scanned" ? [head, "", ...notScanned(result)] : [head, ""]),
    ...groupLines(result),
    ...dataLines(result, now),
    ...(result.findings.length > 0 && result.base.note !== "" ? [`base     ${line(result.base.note)}`] : []),
    "",
    closing(result),
  ];
}

function notScanned(result: ScanResult): string[] {
  return [
    `NOT SCANNED: ${result.reasons.map((reason) => line(reason)).join("; ")}`,
    "         fix: cofferdam db update, or cofferdam db import FILE",
    ...(result.findings.length === 0 ? [] : ["         what the data there is says, which is not all:"]),
  ];
}

interface Group {
  readonly subject: string;
  readonly verdict: Verdict;
  /** In the order shown. */
  readonly findings: readonly [ScannedFinding, ...ScannedFinding[]];
}

const WORDS = { deny: "denied", warn: "warned", had: "had", accepted: "accepted" } as const;

function groupLines(result: ScanResult): string[] {
  const groups = groupsOf(result.findings);
  const denied = groups.filter((group) => group.verdict === "deny");
  const others = groups.filter((group) => group.verdict !== "deny");
  const more = others.length - SHOWN_PACKAGES;
  return [
    ...[...denied, ...others.slice(0, SHOWN_PACKAGES)].flatMap(groupBlock),
    ...(more > 0 ? [`         and ${counted(more)} more ${more === 1 ? "package" : "packages"} (--json lists them)`] : []),
  ];
}

function groupsOf(findings: readonly ScannedFinding[]): Group[] {
  const byPackage = new Map<string, [ScannedFinding, ...ScannedFinding[]]>();
  for (const finding of [...findings].sort(byUrgency)) {
    const subject = `${finding.package}@${finding.version}`;
    const known = byPackage.get(subject);
    if (known === undefined) byPackage.set(subject, [finding]);
    else known.push(finding);
  }
  // The first finding of a package is its most urgent one, so packages are in order already.
  return [...byPackage].map(([subject, list]) => ({ subject, verdict: list[0].verdict, findings: list }));
}

function groupBlock(group: Group): string[] {
  const [first] = group.findings;
  const shown = group.findings.filter((one, i) => one.verdict === "deny" || i < SHOWN_ADVISORIES);
  const more = group.findings.length - shown.length;
  const allow = group.findings.flatMap((one) => (one.verdict === "deny" && one.allow !== undefined ? [one.allow] : []));
  return [
    `${WORDS[group.verdict].padEnd(8)} ${line(group.subject)}${where(first)}${first.dev ? ", development only" : ""}`,
    ...shown.map((one) => `         ${advisory(one, group.verdict)}`),
    ...(more > 0 ? [`         and ${counted(more)} more (--json lists them)`] : []),
    ...(first.path.length > 1 ? [`         path: ${way(first.path)}`] : []),
    ...(group.verdict === "accepted" ? [] : fixLines(first)),
    ...allow.map((what) => `         allow: cofferdam policy allow ${shellWord(line(what, 500))} --reason TEXT`),
  ];
}

/** `GHSA-... high 7.5, known exploited: Title (denied: why)` */
function advisory(finding: ScannedFinding, verdict: Verdict): string {
  const severity = finding.severity === "unknown" ? "severity unknown" : `${finding.severity}${finding.score === undefined ? "" : ` ${finding.score}`}`;
  const ransomware = finding.kev?.ransomware === true ? " by ransomware" : "";
  const marks = [finding.malware ? "malware" : severity, ...(finding.kev === undefined ? [] : [`known exploited${ransomware} (KEV)`])].join(", ");
  const title = line(finding.title ?? finding.details?.title ?? "", 120);
  const word = WORDS[finding.verdict];
  const why = finding.verdict === verdict || finding.reason.startsWith(word) ? "" : `${word}: `;
  const until = finding.verdict === "had" && finding.hadUntil !== undefined && !finding.reason.includes(finding.hadUntil) ? `, until ${finding.hadUntil}` : "";
  // "malware (malware)" says nothing twice.
  const judged = finding.reason === marks ? "" : ` (${why}${line(finding.reason)}${until})`;
  return `${line(finding.id)} ${marks}${title === "" ? "" : `: ${title}`}${judged}`;
}

function where({ places }: ScannedFinding): string {
  const [first] = places;
  if (first === undefined) return "";
  const more = places.length === 1 ? "" : ` and ${counted(places.length - 1)} more ${places.length === 2 ? "place" : "places"}`;
  return `, ${line(first.line === undefined ? first.path : `${first.file}:${first.line}`)}${more}`;
}

/** The middle of a long way tells nothing that both ends do not. */
function way(path: readonly string[]): string {
  const names = path.map((name) => line(name, 100));
  return (names.length <= 8 ? names : [...names.slice(0, 4), "...", ...names.slice(-3)]).join(" > ");
}

function fixLines({ fix }: ScannedFinding): string[] {
  const note = fix.note === undefined ? undefined : line(fix.note, 600);
  if (fix.command !== undefined) return [`         fix: ${line(fix.command, 1000)}`, ...(note === undefined ? [] : [`              ${note}`])];
  const parts = [fix.version === undefined ? undefined : line(fix.version), note].filter((part) => part !== undefined);
  return parts.length === 0 ? [] : [`         fix: ${parts.join(", ")}`];
}

/** What there is to say about the data itself: never nothing when part of it was not looked at. */
function dataLines(result: ScanResult, now: number): string[] {
  const sources = result.sources.flatMap((source) => [
    ...(source.status === "fresh" ? [] : [`data     ${line(source.name)}: ${condition(source, now)}`]),
    ...(source.unparsable === 0
      ? []
      : [`data     ${line(source.name)}: ${counted(source.unparsable)} ${source.unparsable === 1 ? "record" : "records"} not read`]),
  ]);
  const unjudged = result.unjudged.slice(0, SHOWN_UNJUDGED).flatMap((one) => {
    const record = one.id === undefined ? "" : ` (${line(one.id)})`;
    const said = `unjudged ${line(`${one.package}@${one.version}`)}${record}: ${line(one.why)}`;
    return result.decision !== "denied" ? [said] : [said, `         allow: cofferdam policy allow ${shellWord(line(allowanceOf(one)))} --reason TEXT`];
  });
  const more = result.unjudged.length - SHOWN_UNJUDGED;
  return [...sources, ...unjudged, ...(more > 0 ? [`         and ${counted(more)} more (--json lists them)`] : [])];
}

function condition(source: JudgedSource, now: number): string {
  if (source.status === "missing") return "missing (cofferdam db update)";
  const days = source.freshAsOf === undefined ? "of unknown age" : since(source.freshAsOf, now);
  return `${source.status === "old" ? "old" : "too old"}, ${days} (cofferdam db update)`;
}

/** Sources that tell of everything known; a site's own advisories and KEV only add to them. */
function general(result: ScanResult): JudgedSource[] {
  return result.sources.filter((source) => source.name.startsWith("osv:") && source.status !== "missing");
}

function hasData(result: ScanResult): boolean {
  return general(result).length > 0;
}

/** Of the oldest advisories: the whole is as old as that. */
function age(result: ScanResult, now: number): string {
  const sources = general(result);
  if (sources.length === 0) return "no public advisories";
  const dates = sources.flatMap((source) => source.freshAsOf ?? []).sort();
  return dates.length < sources.length ? "advisories of unknown age" : `advisories ${since(dates[0] ?? "", now)}`;
}

function since(date: string, now: number): string {
  const ms = now - Date.parse(date);
  if (Number.isNaN(ms)) return "of unknown age";
  // A clock that is behind would make old data look new.
  return ms < -3_600_000 ? `dated ${line(date)}, after this machine's clock` : `${formatDuration(Math.max(0, ms))} old`;
}

function closing(result: ScanResult): string {
  const subjects = groupsOf(result.findings);
  const counts = VERDICTS.map((verdict) => [WORDS[verdict], subjects.filter((group) => group.verdict === verdict).length] as const);
  const said = counts.filter(([, count]) => count > 0).map(([word, count]) => `${counted(count)} ${word === "had" ? "had before" : word}`);
  const unjudged = new Set(result.unjudged.map((one) => `${one.package}@${one.version}`)).size;
  if (unjudged > 0) said.push(`${counted(unjudged)} not judged in full`);
  if (result.decision === "not-scanned" || !hasData(result)) said.push("not scanned");
  const exit = result.stoppedBy === undefined ? 0 : ERROR_TABLE[result.stoppedBy].exit;
  const [first, last] = result.auditRange ?? [undefined, undefined];
  const record = first === undefined ? "not on record" : first === last ? `record ${first}` : `records ${first}-${last}`;
  return `${packages(result)}: ${said.length === 0 ? "none known bad" : said.join(", ")}.  exit ${exit}  ${record}`;
}

function packages(result: ScanResult): string {
  return `${counted(result.packages)} ${result.packages === 1 ? "package" : "packages"}`;
}

/** `1,578` */
function counted(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** One line, bounded, without control characters. */
function line(text: string, most = 200): string {
  const one = plain(text.replaceAll(/\s+/g, " ").trim());
  return one.length <= most ? one : `${[...one.slice(0, most - 3)].join("").replace(/[\ud800-\udbff]$/, "")}...`;
}

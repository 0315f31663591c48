/**
 * A scan as a SARIF 2.1.0 log that GitHub code scanning takes: one rule an advisory, one result an advisory in a package
 * version, at the lines of the lockfile that install it. What GitHub's limits leave out is counted in the log itself.
 * Sources: OASIS SARIF 2.1.0; GitHub's documentation of its SARIF support and limits.
 */
import { hash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { CofferdamError } from "../../../foundation/index.ts";
import type { Place, ScannedFinding, ScanResult } from "../result.ts";
import { byCode, byUrgency } from "../urgency.ts";
import { bounded } from "./advisory-text.ts";
import { npmPackageUrl } from "./package-url.ts";
import { type Message, type SarifLevel, type SarifRule, sarifRule, severityLevel } from "./sarif-rules.ts";

export interface SarifOptions {
  /** Of Cofferdam. */
  readonly version: string;
  /** The scanned folder as seen from the repository's root, `/`-separated; empty for the root itself. */
  readonly folder?: string | undefined;
}

/** GitHub's limits. As many rules as results are allowed, and every rule has a result. */
const MAX_RESULTS = 25_000;
const MAX_LOCATIONS = 1000;
const MAX_GZIP_BYTES = 10_000_000;
/** Things not judged that are named one by one. */
const MAX_NAMED = 100;

/**
 * The log as text, at most 10 MB when compressed. A larger one first goes without the advisories' own texts, then without
 * its least urgent results. Throws PAYLOAD_TOO_LARGE when not even one result fits, which takes names of megabytes.
 */
export function sarifText(result: ScanResult, options: SarifOptions): string {
  const findings = [...result.findings].sort(byUrgency);
  let count = Math.min(findings.length, MAX_RESULTS);
  let brief = false;
  for (;;) {
    const text = `${JSON.stringify(sarifLog(result, findings.slice(0, count), options, brief))}\n`;
    if (fits(text)) return text;
    if (brief && count === 0) throw new CofferdamError("PAYLOAD_TOO_LARGE", "the scan does not fit into a SARIF log of 10 MB");
    if (brief) count = Math.floor(count / 2);
    brief = true;
  }
}

function fits(text: string): boolean {
  // What is not larger uncompressed needs no trying; a little is kept for gzip's own bytes.
  return Buffer.byteLength(text) < MAX_GZIP_BYTES - 10_000 || gzipSync(text).byteLength <= MAX_GZIP_BYTES;
}

interface LeftOut {
  readonly results: number;
  readonly locations: number;
  readonly tags: number;
  readonly texts: boolean;
}

function sarifLog(result: ScanResult, findings: readonly ScannedFinding[], options: SarifOptions, brief: boolean): object {
  const rules = new Map<string, { readonly index: number; readonly rule: SarifRule }>();
  let tags = 0;
  for (const finding of findings) {
    if (rules.has(finding.id)) continue;
    const { rule, tagsLeftOut } = sarifRule(finding, brief);
    tags += tagsLeftOut;
    rules.set(finding.id, { index: rules.size, rule });
  }
  const locations = findings.reduce((sum, { places }) => sum + Math.max(0, places.length - MAX_LOCATIONS), 0);
  const leftOut: LeftOut = { results: result.findings.length - findings.length, locations, tags, texts: brief };
  const file = inRepository(result.file ?? result.target, options);
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "Cofferdam", semanticVersion: options.version, rules: [...rules.values()].map(({ rule }) => rule) } },
        // GitHub's category is what stands before the last slash; the part after it would name one run.
        automationDetails: { id: `cofferdam/scan/${bounded(file, 500)}/` },
        invocations: [{ executionSuccessful: result.decision !== "not-scanned", toolExecutionNotifications: notifications(result, leftOut) }],
        originalUriBaseIds: { "%SRCROOT%": { description: { text: "the root of the repository" } } },
        columnKind: "utf16CodeUnits",
        results: findings.map((finding) => sarifResult(finding, rules.get(finding.id)?.index ?? -1, file, options)),
        properties: {
          target: bounded(result.target, 500),
          packages: result.packages,
          decision: result.decision,
          level: result.level,
          mode: result.mode,
          policyDigest: result.policyDigest,
          base: result.base,
          sources: result.sources,
          leftOut,
        },
      },
    ],
  };
}

function sarifResult(finding: ScannedFinding, ruleIndex: number, file: string, options: SarifOptions): object {
  const { id, package: name, version, exception } = finding;
  return {
    ruleId: id,
    ruleIndex,
    level: levelOf(finding),
    message: { text: messageText(finding) },
    locations: locationsOf(finding, options),
    // Not of the line: a lockfile's lines move with every install, and the alert must stay the same one.
    partialFingerprints: { primaryLocationLineHash: `${hash("sha256", JSON.stringify([id, name, version, file]), "hex").slice(0, 32)}:1` },
    ...(finding.verdict !== "accepted"
      ? {}
      : { suppressions: [{ kind: "external", status: "accepted", justification: bounded(accepted(finding.reason, exception), 1000) }] }),
    properties: {
      package: name.toWellFormed(),
      version: version.toWellFormed(),
      purl: npmPackageUrl(name, version),
      aliases: finding.aliases,
      severity: finding.severity,
      score: finding.score,
      malware: finding.malware,
      kev: finding.kev,
      verdict: finding.verdict,
      hadUntil: finding.hadUntil,
      fix: finding.fix,
      path: finding.path.slice(0, 100),
      dev: finding.dev,
    },
  };
}

function levelOf({ verdict, severity }: ScannedFinding): SarifLevel {
  return verdict === "deny" ? "error" : verdict === "accepted" ? "note" : severityLevel(severity);
}

function accepted(reason: string, exception: ScannedFinding["exception"]): string {
  return exception === undefined ? reason : `${exception.reason}${exception.until === undefined ? "" : ` (until ${exception.until})`}`;
}

function messageText({ package: name, version, details, id, severity, malware, kev, reason, fix, path }: ScannedFinding): string {
  const marks = [malware ? "malware" : severity === "unknown" ? "severity unknown" : severity, ...(kev === undefined ? [] : ["known exploited"])].join(", ");
  const sentences = [
    `${bounded(name, 214)}@${bounded(version, 64)}: ${bounded(details?.title ?? id, 200)} (${marks}).`,
    `${bounded(reason, 300)}.`,
    ...(path.length > 1 ? [`Path: ${bounded(path.join(" > "), 500)}.`] : []),
    ...(fix.command === undefined ? (fix.version === undefined ? [] : [`Fixed in ${bounded(fix.version, 64)}.`]) : [`Fix: ${bounded(fix.command, 500)}`]),
  ];
  return literal(sentences.join(" "));
}

/** Without what SARIF would read in a message: placeholders, and links that a title could smuggle in. */
function literal(text: string): string {
  return text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/\{(\d+)\}/g, "{{$1}}")
    .replaceAll("](", "] (");
}

function locationsOf({ package: name, version, places }: ScannedFinding, options: SarifOptions): object[] {
  const logicalLocations = [{ fullyQualifiedName: npmPackageUrl(name, version), kind: "package" }];
  // A package URL alone stands in no file.
  const inFiles = places.filter(({ file }) => file !== "");
  if (inFiles.length === 0) return [{ logicalLocations }];
  const sorted = inFiles.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || byCode(a.path, b.path));
  return sorted.slice(0, MAX_LOCATIONS).map((place) => ({ physicalLocation: physicalLocation(place, options), logicalLocations }));
}

function physicalLocation({ file, line }: Place, options: SarifOptions): object {
  const uri = inRepository(file, options)
    .split("/")
    .map((part) => encodeURIComponent(part.toWellFormed()))
    .join("/");
  // A whole line has no known end here; its first character stands for it.
  const startLine = line ?? 1;
  return { artifactLocation: { uri, uriBaseId: "%SRCROOT%" }, region: { startLine, startColumn: 1, endLine: startLine, endColumn: 2 } };
}

function inRepository(file: string, { folder = "" }: SarifOptions): string {
  return folder === "" ? file : `${folder}/${file}`;
}

interface Notification {
  readonly level: SarifLevel;
  readonly message: Message;
}

/** What a reader must know to tell "nothing found" from "not looked". */
function notifications(result: ScanResult, leftOut: LeftOut): Notification[] {
  const say = (level: SarifLevel, text: string): Notification => ({ level, message: { text: literal(bounded(text, 1000)) } });
  const failed = result.decision === "not-scanned" ? (result.reasons.length === 0 ? ["no reason given"] : result.reasons) : [];
  const unjudged = result.unjudged
    .slice(0, MAX_NAMED)
    .map((one) => `${one.package}@${one.version} was not judged${one.id === undefined ? "" : ` by ${one.id}`}: ${one.why}`);
  const cut = [
    ...(leftOut.results > 0 ? [`${leftOut.results} results left out, the least urgent ones: GitHub takes ${MAX_RESULTS} results and 10 MB`] : []),
    ...(leftOut.locations > 0 ? [`${leftOut.locations} locations left out: GitHub takes ${MAX_LOCATIONS} a result`] : []),
    ...(leftOut.tags > 0 ? [`${leftOut.tags} tags left out`] : []),
    ...(leftOut.texts ? ["the advisories' own texts are left out: GitHub takes 10 MB"] : []),
  ];
  return [
    ...failed.map((reason) => say("error", `not scanned: ${reason}`)),
    ...result.sources
      .filter(({ status }) => status !== "fresh")
      .map(({ name, status, freshAsOf }) => say("warning", `advisories of ${name} are ${status}${freshAsOf === undefined ? "" : `, as of ${freshAsOf}`}`)),
    ...result.sources
      .filter(({ unparsable }) => unparsable > 0)
      .map(({ name, unparsable }) => say("warning", `${unparsable} records of ${name} could not be read`)),
    ...unjudged.map((text) => say("warning", text)),
    ...(result.unjudged.length > MAX_NAMED ? [say("warning", `${result.unjudged.length - MAX_NAMED} more were not judged`)] : []),
    ...cut.map((text) => say("warning", text)),
  ];
}

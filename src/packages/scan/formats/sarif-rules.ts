/** SARIF's rules: one for every advisory, which is what GitHub groups, names and rates alerts by. */
import type { Severity } from "../../../vulnerability/index.ts";
import type { ScannedFinding } from "../result.ts";
import { advisoryPage, bounded, webAddresses } from "./advisory-text.ts";

export interface SarifRule {
  readonly id: string;
  readonly shortDescription: Message;
  readonly fullDescription: Message;
  readonly help: Message & { readonly markdown: string };
  readonly helpUri: string;
  readonly defaultConfiguration: { readonly level: SarifLevel };
  readonly properties: { readonly tags: readonly string[]; readonly precision: "very-high"; readonly "security-severity"?: string | undefined };
}

export interface Message {
  readonly text: string;
}

export type SarifLevel = "error" | "warning" | "note";

/** GitHub's limit; ten of them are shown. */
export const MAX_TAGS = 20;

/** @param brief without the advisory's own text, for a log that would be too large. */
export function sarifRule(finding: ScannedFinding, brief: boolean): { readonly rule: SarifRule; readonly tagsLeftOut: number } {
  const { details } = finding;
  const title = bounded(details?.title.replaceAll(/\s+/g, " ").trim() || `${finding.id} in ${finding.package}`, 200);
  const description = brief ? "" : bounded(details?.description ?? "", 8000);
  const tags = tagsOf(finding);
  const rule: SarifRule = {
    id: finding.id,
    shortDescription: { text: title },
    // GitHub shows the first 1,000 characters.
    fullDescription: { text: bounded(description.trim() || title, 1000) },
    help: help(finding, title, description, brief),
    helpUri: advisoryPage(finding.id).url,
    defaultConfiguration: { level: severityLevel(finding.severity) },
    properties: { tags: tags.slice(0, MAX_TAGS), precision: "very-high", "security-severity": securitySeverity(finding) },
  };
  return { rule, tagsLeftOut: Math.max(0, tags.length - MAX_TAGS) };
}

export function severityLevel(severity: Severity): SarifLevel {
  return severity === "low" ? "note" : "warning";
}

function tagsOf({ malware, kev, details }: ScannedFinding): string[] {
  const cwes = (details?.cwes ?? []).flatMap((cwe) => /^CWE-(\d{1,6})$/.exec(cwe)?.[1] ?? []);
  return [
    "security",
    "vulnerability",
    ...(malware ? ["malware"] : []),
    ...(kev === undefined ? [] : ["known-exploited"]),
    ...[...new Set(cwes)].map((cwe) => `external/cwe/cwe-${cwe}`),
  ];
}

const LOWEST = { critical: 9, high: 7, medium: 4, low: 0.1 } as const;
const MIDDLE = { critical: "9.5", high: "8.0", medium: "5.5", low: "2.0" } as const;

/**
 * The score where GitHub would call it by the same word as we do, else the middle of that word's range: the record may have
 * a word and no vector. Malware has no score and is the worst there is. Nothing where the severity is not known.
 */
function securitySeverity({ severity, score, malware }: ScannedFinding): string | undefined {
  if (severity === "unknown") return malware ? MIDDLE.critical : undefined;
  const word =
    score === undefined ? undefined : score >= LOWEST.critical ? "critical" : score >= LOWEST.high ? "high" : score >= LOWEST.medium ? "medium" : "low";
  return score !== undefined && score > 0 && word === severity ? score.toFixed(1) : MIDDLE[severity];
}

function help({ id, package: name, aliases, details }: ScannedFinding, title: string, description: string, brief: boolean): SarifRule["help"] {
  const facts = [
    ["Package", name],
    ["Other ids", aliases.slice(0, 20).join(", ")],
    ["Affected", (details?.affectedVersions ?? []).slice(0, 20).join(" || ")],
    ["Fixed in", (details?.patchedVersions ?? []).slice(0, 20).join(", ")],
  ].flatMap(([label = "", value = ""]) => (value === "" ? [] : [{ label, value: bounded(value, 500) }]));
  const links = brief ? [] : webAddresses(details?.references ?? [], 20);
  const text = [`${id}: ${title}`, description, facts.map(({ label, value }) => `${label}: ${value}`).join("\n"), links.join("\n")];
  const markdown = [
    `**${id}**: ${escaped(title)}`,
    facts.map(({ label, value }) => `- ${label}: ${code(value)}`).join("\n"),
    description,
    links.map((link) => `- <${link}>`).join("\n"),
  ];
  return { text: text.filter((part) => part !== "").join("\n\n"), markdown: markdown.filter((part) => part !== "").join("\n\n") };
}

function escaped(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]()<>#+!|~-]/g, (character) => `\\${character}`);
}

function code(text: string): string {
  return `\`${text.replaceAll(/[`\r\n]/g, " ")}\``;
}

/** Lists of processes as rules: what must not run, and the only ones that may. By the file that runs, never by part of a name. */
import type { NamedRules } from "../rules/rule-set.ts";
import type { RuleFile } from "../rules/schema.ts";

export const SUSPICIOUS_RULE = "suspicious-process";
export const UNEXPECTED_RULE = "unexpected-process";

/** @param names programs' names, or absolute paths. */
export function suspiciousRules(names: readonly string[]): NamedRules {
  const rule: RuleFile = {
    id: SUSPICIOUS_RULE,
    title: "a process that is on the list of suspicious ones",
    says: "{process.line} is on the list of suspicious processes",
    severity: "high",
    attack: ["T1059"],
    on: ["exec"],
    when: { any: matching(names) },
  };
  return { path: "suspiciousProcesses", file: { rules: names.length === 0 ? [] : [rule] } };
}

export function expectedRules(names: readonly string[]): NamedRules {
  const rule: RuleFile = {
    id: UNEXPECTED_RULE,
    title: "a process that is not among the expected ones",
    says: "{process.line} is none of the expected processes",
    severity: "medium",
    attack: ["T1059"],
    on: ["exec"],
    when: { not: { any: matching(names) } },
  };
  return { path: "expectedProcesses", file: { rules: names.length === 0 ? [] : [rule] } };
}

function matching(names: readonly string[]): Readonly<Record<string, unknown>>[] {
  const paths = names.filter((name) => name.startsWith("/"));
  const bare = names.filter((name) => !name.startsWith("/"));
  return [...(paths.length === 0 ? [] : [{ "process.path": paths }]), ...(bare.length === 0 ? [] : [{ "process.name": bare }])];
}

/** What is said after a script, on standard error. A script that was refused nothing gets no word. */
import { type DecidedScript, type ScriptOutcome, scriptAdvice } from "../../packages/index.ts";
import type { Level } from "../../policy/index.ts";
import { refusalLine } from "../cli/sandbox-report.ts";

const SHOWN = 6;

/** @param root the project. */
export function shellReport(outcome: ScriptOutcome, root: string, level: Level): string {
  const { run, decision } = outcome;
  if (run === undefined) return "";
  const name = `${outcome.package} ${outcome.event}`;
  const lines = run.refused.slice(0, SHOWN).map((refusal) => `cofferdam: refused ${name}: ${refusalLine(refusal).replace(/^refused\s+/, "")}`);
  if (run.refused.length > SHOWN) lines.push(`cofferdam: and ${run.refused.length - SHOWN} more: cofferdam audit search --limit 1 --json`);
  for (const { path, why } of run.leftOut.slice(0, SHOWN)) lines.push(`cofferdam: left out ${path}: ${why}`);
  // At level high no grant is for code that has no hash.
  const useful = level !== "high" || decision.subject.origin !== "own";
  const { yaml, skip } = useful ? scriptAdvice(outcome, { root, level }) : {};
  if (yaml !== undefined) lines.push(`cofferdam: allow in cofferdam.yaml, if you trust it with that: ${yaml}${skip === undefined ? "" : ` (or set ${skip})`}`);
  return lines.join("\n");
}

/** @param denied by the team, in the client's own file. */
export function skippedReport({ decision, asker }: DecidedScript, denied: boolean): string {
  const name = `${decision.package} ${asker.event}`;
  if (denied) return `cofferdam: skipped ${name}: ${decision.why}`;
  const allow = decision.review?.allow;
  return `cofferdam: refused ${name}: ${decision.why}; it did not run${allow === undefined ? "" : `; allow: ${allow}`}`;
}

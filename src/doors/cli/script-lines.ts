/** What became of install scripts, in words: who ran, what was refused and what would allow it, what waits for a decision. */
import { type InstallResult, type ScriptOutcome, scriptAdvice } from "../../packages/index.ts";
import { oneLine, refusalLine } from "./sandbox-report.ts";

const SHOWN = 20;
const REFUSALS = 6;
const TAIL = 12;

export function scriptLines(result: InstallResult): string[] {
  const ran = result.scripts.filter((one) => one.run !== undefined);
  const quiet = ran.filter((one) => !speaks(one)).map((one) => one.package);
  const lines: string[] = [];
  if (quiet.length > 0) lines.push(`jailed   ${named([...new Set(quiet)])}: nothing refused`);
  for (const one of ran.filter(speaks).slice(0, SHOWN)) lines.push(...spokenLines(one, result));
  const asked = new Map(result.scripts.filter((one) => one.decision.review !== undefined).map((one) => [one.package, one.decision.review]));
  for (const [name, review] of [...asked].slice(0, SHOWN)) {
    lines.push(`review   ${name}: ${review?.message ?? ""}; skipped, loading it may fail`, `         read: ${review?.read ?? ""}`);
    if (review?.allow !== undefined) lines.push(`         allow: ${review.allow}`);
  }
  const skipped = result.scripts.filter((one) => one.run === undefined && one.decision.review === undefined);
  for (const [why, names] of byReason(skipped)) lines.push(`skipped  scripts of ${named(names)}: ${why}`);
  return lines;
}

/** True when there is something to say besides that it ran. */
export function speaks({ run }: ScriptOutcome): boolean {
  return run !== undefined && (run.exit !== 0 || run.refused.length > 0 || run.leftOut.length > 0);
}

function spokenLines(one: ScriptOutcome, result: InstallResult): string[] {
  const { run } = one;
  if (run === undefined) return [];
  const name = `${one.package} ${one.event}`;
  const lines = run.refused.slice(0, REFUSALS).map((refusal) => `refused  ${name}: ${refusalLine(refusal).replace(/^refused\s+/, "")}`);
  if (run.refused.length > REFUSALS) lines.push(`         and ${run.refused.length - REFUSALS} more (--json lists them)`);
  for (const { path, why } of run.leftOut.slice(0, REFUSALS)) lines.push(`left out ${oneLine(path)}: ${why}`);
  lines.push(ending(one, run));
  const advice = scriptAdvice(one, result);
  if (advice.yaml !== undefined) lines.push("         allow in cofferdam.yaml, if you trust it with that:", `           ${advice.yaml}`);
  if (advice.skip !== undefined) lines.push(`         or set ${advice.skip}`);
  if (run.exit !== 0) lines.push(...tail(run.output));
  return lines;
}

function ending({ package: name, event, optional }: ScriptOutcome, run: NonNullable<ScriptOutcome["run"]>): string {
  if (run.killedBy !== undefined) return `stopped  ${name} ${event}: its ${run.killedBy} limit was reached`;
  if (run.exit === 0) return "         the script went on without, and exited 0";
  const how = run.exit === undefined ? `was ended by signal ${run.signal ?? "?"}` : `exited ${run.exit}`;
  return `failed   ${name} ${event} ${how}${optional ? " (an optional package: the install goes on)" : ""}`;
}

function tail(output: string): string[] {
  const text = output.trim();
  return text === ""
    ? []
    : [
        "         it said:",
        ...text
          .split("\n")
          .slice(-TAIL)
          .map((line) => `           ${line}`),
      ];
}

function byReason(skipped: readonly ScriptOutcome[]): ReadonlyMap<string, string[]> {
  const reasons = new Map<string, string[]>();
  for (const { package: name, decision } of skipped) {
    const names = reasons.get(decision.why) ?? [];
    if (!names.includes(name)) names.push(name);
    reasons.set(decision.why, names);
  }
  return reasons;
}

function named(names: readonly string[]): string {
  const more = names.length - SHOWN;
  return `${names.slice(0, SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

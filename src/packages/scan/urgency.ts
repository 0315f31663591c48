/** The order in which somebody would act on findings; reports that show only so many show the first of it. */
import { SEVERITIES } from "../../vulnerability/index.ts";
import type { ScannedFinding, Verdict } from "./result.ts";

/** From what stops to what somebody accepted. */
export const VERDICTS: readonly Verdict[] = ["deny", "warn", "had", "accepted"];

/** What is denied first, then malware, what is known to be exploited, severity, and names: the same findings, the same order. */
export function byUrgency(a: ScannedFinding, b: ScannedFinding): number {
  return (
    VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict) ||
    Number(b.malware) - Number(a.malware) ||
    Number(b.kev !== undefined) - Number(a.kev !== undefined) ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    (b.score ?? 0) - (a.score ?? 0) ||
    byCode(a.package, b.package) ||
    byCode(a.version, b.version) ||
    byCode(a.id, b.id)
  );
}

/** By UTF-16 code units: no locale of the machine changes a report. */
export function byCode(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

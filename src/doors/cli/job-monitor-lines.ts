/** What the monitor saw of a job, in lines of its report. */
import type { JobReport, Threat } from "../../jobs/index.ts";
import { counted } from "./counted.ts";
import { line } from "./line.ts";

/** What a threat of the monitor was, under its line, and what was done about it where its rule had a say. */
export function saidLine({ source, details }: Threat): string {
  const { message, times, answer } = details;
  if (source !== "monitor" || typeof message !== "string") return "";
  const done = typeof answer === "string" ? `\n         done: ${line(answer, 300)}` : "";
  return `\n         ${line(message, 300)}${typeof times === "number" && times > 1 ? `, ${times} times` : ""}${done}`;
}

/** Where what it was doing is kept. */
export function keptLines({ monitoring }: JobReport): string[] {
  return (monitoring?.evidence ?? []).map(({ path, sha256 }) => `kept     ${line(path, 400)} (sha256 ${line(sha256, 16)})`);
}

/** Whoever did not turn it off is told that it was not there. */
export function unseenLines({ monitoring, verdict }: JobReport): string[] {
  if (monitoring === undefined || verdict === "blocked" || (monitoring.state !== "absent" && monitoring.state !== "degraded")) return [];
  const { state, why, lacks, events } = monitoring;
  const nobody = `${events > 0 ? "for a while " : ""}nobody watched what its processes did`;
  const what = state === "absent" ? nobody : `of what its processes did: ${lacks.map((one) => line(one)).join(", ")}`;
  return [`unseen   ${what}${why === undefined ? "" : ` (${line(why, 300)})`}`, "         fix: cofferdam doctor; jobs: {monitor: off} if it is to be so"];
}

export function seenLines({ monitoring }: Pick<JobReport, "monitoring">): string[] {
  if (monitoring === undefined || monitoring.state === "off" || (monitoring.state === "absent" && monitoring.events === 0)) return [];
  const { state, events, programs, lost, gaps, lacks } = monitoring;
  const missed = [
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(gaps > 0 ? ["for a while nobody looked"] : []),
    ...(lacks.length > 0 && state === "degraded" ? [`not ${lacks.map((one) => line(one)).join(", ")}`] : []),
  ];
  return [`seen     ${events} events of ${counted(programs, "program")}, ${missed.length === 0 ? "none lost" : missed.join(", ")}`];
}

/** What it was compared with, and who says that it is that job. */
export function baselineLines({ monitoring }: JobReport): string[] {
  if (monitoring?.baseline === undefined) return [];
  const { workflow, job, from, runs } = monitoring.baseline;
  const names = [...(workflow === undefined ? [] : [`workflow ${line(workflow)}`]), ...(job === undefined ? [] : [`job ${line(job)}`])];
  return [`baseline ${counted(runs, "run")} before it, by ${names.length === 0 ? line(from) : `${names.join(", ")} (${line(from)})`}`];
}

/** What is no threat, and worth a line of the whole page. */
export function observedLines({ monitoring }: JobReport): string[] {
  return (monitoring?.notes ?? []).map(
    ({ rule, message, times, excepted }) =>
      `note     ${line(rule)}: ${line(message, 300)}${times > 1 ? `, ${times} times` : ""}${excepted === undefined ? "" : ` (accepted: ${line(excepted)})`}`,
  );
}

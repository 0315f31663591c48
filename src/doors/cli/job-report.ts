/**
 * A job in words: the line before it runs, and what it came to. Two lines when all is well, else one for each thing of note.
 * Commands, image names and details are strangers' texts; each becomes one bounded line.
 */
import { ERROR_TABLE, formatBytes, formatDuration } from "../../foundation/index.ts";
import { type JobReport, type ResourceAmounts, sizeText, type Threat } from "../../jobs/index.ts";
import { counted } from "./counted.ts";
import { keptLines, saidLine, seenLines, unseenLines } from "./job-monitor-lines.ts";
import { blockedLines, reachedLines, refusedDestinations } from "./job-network-lines.ts";
import { line } from "./line.ts";
import { shellWord } from "./shell-word.ts";

/** Entries of one kind that are shown; `--json` has those that the report keeps. */
const SHOWN = 10;

/** What is said before the command's own output. */
export function jobHeader(
  job: Pick<JobReport, "jobId" | "repository" | "level" | "mode"> & { readonly image: string; readonly quota: ResourceAmounts },
): string {
  const observed = job.mode === "observe" ? " (observe only: nothing is refused)" : "";
  const parts = [
    `job ${line(job.jobId)}`,
    ...(job.repository === undefined ? [] : [line(job.repository)]),
    `level ${job.level}${observed}`,
    shortImage(job.image),
    ...(job.quota.cpu === undefined ? [] : [`${job.quota.cpu} cpu`]),
    ...(job.quota.memory === undefined ? [] : [quotaText(job.quota.memory)]),
  ];
  return `cofferdam: ${parts.join(", ")}`;
}

/** What is said after it. */
export function jobEnd(report: JobReport): string {
  const notes = noteLines(report);
  const quiet = report.verdict === "passed" && report.mode === "enforce" && notes.length === 0;
  const rest = quiet ? [absentLine(report)] : ["", ...notes, ...measureLines(report), absentLine(report), "", closing(report)];
  return `${[headline(report), ...rest].join("\n")}\n`;
}

/** Exit code of the command line: the command's own, unless we ended the job or it never ran. */
export function jobExit({ verdict, exit, stoppedBy }: JobReport): number {
  if (stoppedBy !== undefined) return ERROR_TABLE[stoppedBy.code].exit;
  return verdict === "passed" || verdict === "failed" ? (exit ?? ERROR_TABLE.INTERNAL.exit) : ERROR_TABLE.INTERNAL.exit;
}

/** `job 8f2c PASSED in 72 s: npm test exited 0` */
export function headline(report: JobReport): string {
  const { jobId, verdict, times, stoppedBy, mode } = report;
  const took = formatDuration(times.totalMs);
  const why = stoppedBy === undefined ? "" : `: ${line(stoppedBy.message, 400)}`;
  const said = {
    passed: `PASSED in ${took}: ${ending(report)}`,
    failed: `FAILED in ${took}: ${ending(report)}`,
    blocked: `BLOCKED before it started${why}`,
    stopped: `STOPPED after ${took}${why}`,
    aborted: `ABORTED${why === "" ? ": the process that ran it died" : why}`,
  }[verdict];
  return `job ${line(jobId)} ${said}${mode === "observe" ? " (observe only: nothing was refused)" : ""}`;
}

function ending(report: JobReport): string {
  const blocked = refusedDestinations(report).length;
  const refused = [
    ...(report.refused.length === 0 ? [] : [`, ${report.refused.length} refused`]),
    ...(blocked === 0 ? [] : [`, ${counted(blocked, "destination")} blocked`]),
  ].join("");
  return `${commandText(report.command)} ${report.exit === undefined ? "ended, nobody saw how" : `exited ${report.exit}`}${refused}`;
}

/** Word by word as a shell would take it, bounded. */
export function commandText(command: readonly string[], most = 80): string {
  return command.length === 0 ? "the image's command" : line(command.map((word) => shellWord(word)).join(" "), most);
}

/** Things of note, the worst first. Empty when there are none. */
export function noteLines(report: JobReport): string[] {
  const { stoppedBy, threats, violations, refused, leftBehind, workspace, reconciled, proof, resources, log } = report;
  const differs = (proof?.controls ?? []).filter(({ ok }) => !ok);
  const fix = stoppedBy?.hint === undefined ? [] : [`         fix: ${line(stoppedBy.hint, 600)}`];
  const limits = resources.limits.filter(({ by }) => by === "watched" || by === "none");
  return [
    ...fix,
    ...shown(differs, ({ name, what, expected, actual }) => `differs  ${line(name)}, ${line(what)}: expected ${line(expected)}, found ${line(actual)}`),
    ...shown(threats, (threat) => `${threatLine(threat)}${saidLine(threat)}`),
    ...keptLines(report),
    ...unseenLines(report),
    ...shown(violations, ({ rule, message, times }) => `violated ${line(rule)}: ${line(message)}${times > 1 ? `, ${times} times` : ""}`),
    ...shown(refused, (one) => `refused  ${line(one)}`),
    ...blockedLines(report),
    ...shown(workspace.leftOut, ({ path, why }) => `left out ${line(path)}: ${line(why)}`),
    ...shown(workspace.planted ?? [], (path) => `planted  ${line(path)}: a later command runs it by itself, look at it first`),
    ...shown(leftBehind, ({ what, why }) => `remains  ${line(what)}: ${line(why)}`),
    ...(reconciled === undefined ? [] : shown(reconciled.found, (one) => `found    ${line(one)}`)),
    ...limits.map(({ resource, by, note }) => `${by === "none" ? "no limit" : "watched "} ${resource}${note === undefined ? "" : `: ${line(note)}`}`),
    ...(log.truncated ? [`output   ${formatBytes(log.kept)} of ${formatBytes(log.bytes)} are kept`] : []),
    ...(proof === undefined && report.verdict !== "blocked" ? ["unproven its container was not looked at before it started"] : []),
  ];
}

function threatLine({ severity, type, source, state, anomaly, details }: Threat): string {
  const place = type === "leaked_secret" ? ` (${line(`${String(details["kind"])} in ${String(details["where"])}:${String(details["line"])}`)})` : "";
  return `threat   ${severity}${anomaly ? " anomaly" : ""}: ${line(type)}${place}, seen by ${line(source)}, ${state}`;
}

/** What it used and what was proven. */
export function measureLines({ monitoring, network, resources: { peak, quota }, proof, verdict }: JobReport): string[] {
  const parts = [
    ...(peak.memory === undefined ? [] : [`memory ${share(peak.memory, quota.memory)}`]),
    ...(peak.cpu === undefined ? [] : [`cpu ${peak.cpu < 0.05 ? "below 0.1" : rounded(peak.cpu)}${quota.cpu === undefined ? "" : ` of ${quota.cpu}`}`]),
    ...(peak.pids === undefined ? [] : [`processes ${peak.pids}${quota.pids === undefined ? "" : ` of ${quota.pids}`}`]),
    ...(peak.disk === undefined ? [] : [`disk ${share(peak.disk, quota.disk)}`]),
  ];
  const held = (proof?.held ?? []).filter((name) => name !== "proven-before-start").map((name) => line(name).replace(/-(?:limit|isolation)$/, ""));
  return [
    ...reachedLines(network),
    ...(verdict === "blocked" ? [] : [`peak     ${parts.length === 0 ? "not measured" : parts.join(", ")}`]),
    ...seenLines({ monitoring }),
    ...(held.length === 0 ? [] : [`proven   ${held.join(", ")}`]),
  ];
}

function absentLine({ notCovered, jobId }: JobReport): string {
  return `absent   ${notCovered.map(({ what }) => line(what)).join(", ")} (cofferdam job report ${shellWord(line(jobId))})`;
}

function closing(report: JobReport): string {
  const id = shellWord(line(report.jobId));
  return `exit ${jobExit(report)}  ${recordText(report)}  cofferdam job report ${id}`;
}

export function recordText({ auditTrail: { first, last } }: JobReport): string {
  if (first === undefined || last === undefined) return "not on record";
  return first === last ? `record ${first}` : `records ${first}-${last}`;
}

/** `node@sha256:41c0`: enough to tell images apart by eye. */
export function shortImage(reference: string): string {
  return line(reference.replace(/(sha256:[0-9a-f]{4})[0-9a-f]{60}$/, "$1"), 120);
}

/** `1.9 of 8 GiB`, in the unit of the quota; an amount that would read as nothing has its own. */
function share(used: number, quota: number | undefined): string {
  if (quota === undefined || quota === 0) return formatBytes(Math.round(used));
  const [number = "1", unit = "B"] = quotaText(quota).split(" ");
  const inUnit = (used * Number(number)) / quota;
  return inUnit < 0.1 ? `${formatBytes(Math.round(used))} of ${number} ${unit}` : `${rounded(inUnit)} of ${number} ${unit}`;
}

/** As it was written where that is short; a share of the host comes to any number of bytes. */
function quotaText(bytes: number): string {
  const exact = sizeText(bytes);
  return exact.length <= "9999 MiB".length ? exact : formatBytes(bytes);
}

function rounded(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value));
}

export function shown<T>(entries: readonly T[], say: (entry: T) => string): string[] {
  const more = entries.length - SHOWN;
  return [...entries.slice(0, SHOWN).map(say), ...(more > 0 ? [`         and ${more} more (--json lists them)`] : [])];
}

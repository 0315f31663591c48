/** `job report ID` in words, and the document of `job run --json`. What is not covered is said with what that means. */
import { formatBytes, formatDuration } from "../../foundation/index.ts";
import { CHECK_NAMES, type CheckName, type JobReport, type Score } from "../../jobs/index.ts";
import { counted } from "./counted.ts";
import { baselineLines, observedLines } from "./job-monitor-lines.ts";
import { headline, measureLines, noteLines, recordText, shortImage, shown } from "./job-report.ts";
import { line } from "./line.ts";

export function jobPage(report: JobReport): string {
  const sections = [
    [headline(report)],
    [...aboutLines(report), ...checkLines(report)],
    noteLines(report),
    shown(observedLines(report), (one) => one),
    [...measureLines(report), ...baselineLines(report), ...totalLines(report), ...networkLines(report), ...resultLines(report)],
    scoreLines(report.score),
    report.notCovered.map(({ what, means }) => `absent   ${line(what)}: ${line(means)}`),
    report.recommendations.flatMap(({ priority, message, fix }) => [`${priority.padEnd(8)} ${line(message, 400)}`, `         fix: ${line(fix, 400)}`]),
    cutLines(report.cut),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

/** Fields may be added, never renamed. */
export function jobRunDocument(report: JobReport): object {
  const { jobId, verdict, exit, stoppedBy, checks, threats, network, resources, score, auditTrail } = report;
  const passed = Object.fromEntries(CHECK_NAMES.map((name): [CheckName, boolean] => [name, checks[name].state === "passed"]));
  return {
    schema: "cofferdam/job-run/v1",
    jobId,
    verdict,
    ...(exit === undefined ? {} : { exit }),
    ...(stoppedBy === undefined ? {} : { stoppedBy: stoppedBy.code, reason: stoppedBy.message }),
    checks: passed,
    threats,
    network: network.connections ?? [],
    resources,
    score: score?.value ?? null,
    auditRange: auditTrail.first === undefined || auditTrail.last === undefined ? null : [auditTrail.first, auditTrail.last],
  };
}

function aboutLines({ repository, level, times, identity, image, policyDigest }: JobReport): string[] {
  const who = identity.name ?? (identity.uid === undefined ? "nobody that is known" : `uid ${identity.uid}`);
  return [
    `job      ${repository === undefined ? "" : `${line(repository)}, `}level ${level}, policy ${line(policyDigest, 19)}`,
    `asked    ${minute(times.asked)} by ${line(who)} (${line(identity.rule)}), ended ${minute(times.ended)}`,
    `image    ${shortImage(image.reference)}${image.id === undefined ? "" : `, ${shortImage(image.id)}`}, ${image.scanned.replace("-", " ")}`,
  ];
}

const CHECK_WORDS = { passed: "passed", refused: "refused", "not-checked": "not checked", "not-reached": "not reached" } as const;

function checkLines({ checks }: JobReport): string[] {
  return CHECK_NAMES.map((name) => {
    const { state, why } = checks[name];
    const words = name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    return `check    ${words} ${CHECK_WORDS[state]}${why === "" ? "" : `: ${line(why)}`}`;
  });
}

function totalLines({ resources: { total }, times }: JobReport): string[] {
  const parts = [
    ...(times.runMs === undefined ? [] : [`ran ${formatDuration(times.runMs)}`]),
    ...(total.cpuMs === undefined ? [] : [`cpu ${formatDuration(total.cpuMs)}`]),
    ...(total.readBytes === undefined ? [] : [`read ${formatBytes(total.readBytes)}`]),
    ...(total.writtenBytes === undefined ? [] : [`written ${formatBytes(total.writtenBytes)}`]),
  ];
  return parts.length === 0 ? [] : [`total    ${parts.join(", ")}`];
}

function networkLines({ network }: JobReport): string[] {
  if (network.mode === "none") return ["network  none at all"];
  const { mode, subnet = "", sent = 0, received = 0, dns = [], coalesced = 0, notMeasured } = network;
  const measured = notMeasured === undefined ? `${formatBytes(sent)} from it, ${formatBytes(received)} to it` : `not measured: ${line(notMeasured)}`;
  return [
    `network  ${mode}, ${line(subnet)}, ${measured}`,
    ...shown(
      dns,
      ({ name, type, answers, verdict }) =>
        `asked    ${line(name)} ${line(type)}: ${verdict === "allowed" ? line(answers.join(" ")) || "no address" : verdict}`,
    ),
    ...(coalesced > 0 ? [`network  ${coalesced} attempts more are in no list: too many different ones`] : []),
  ];
}

function resultLines(report: JobReport): string[] {
  const { workspace, log, auditTrail } = report;
  const path = workspace.path === undefined ? "" : ` of ${line(workspace.path)}`;
  const back = workspace.copiedOut === undefined ? "" : `, ${counted(workspace.copiedOut.files, "file")} came back`;
  const checked = `${auditTrail.verified ? "verified" : "not verified"}, ${auditTrail.anchored ? "anchored" : "not anchored"}`;
  return [
    ...secretLines(report),
    workspace.mode === "none" ? "files    no workspace" : `files    ${workspace.mode === "copy" ? "a copy" : "the folder itself"}${path}${back}`,
    `output   ${formatBytes(log.bytes)}${log.truncated ? `, ${formatBytes(log.kept)} kept` : ""}`,
    ...leakLines(report),
    `trail    ${recordText(report)}, ${checked}`,
  ];
}

function secretLines({ secretsUsed, secretVariables = [] }: JobReport): string[] {
  const names = secretsUsed.map((name) => `${line(name)}${secretVariables.includes(name) ? " (variable)" : ""}`);
  return names.length === 0 ? [] : [`secrets  ${names.join(", ")}: masked in its output, gone afterwards`];
}

function leakLines({ leakScan }: JobReport): string[] {
  if (leakScan === undefined) return [];
  const { outputBytes, files, found, accepted, notLookedAt } = leakScan;
  const results = files === 0 ? "" : ` and ${counted(files, "file")}`;
  const except = accepted === 0 ? "" : `, ${accepted} accepted by the policy`;
  return [
    `leaks    ${found === 0 ? "none" : found} found in ${formatBytes(outputBytes)} of output${results}${except}`,
    ...notLookedAt.map((what) => `         not looked at: ${line(what)}`),
  ];
}

function scoreLines(score: Score | undefined): string[] {
  if (score === undefined) return ["score    none: nothing is on record to go by"];
  const cap = score.cap === undefined ? "" : `, capped at ${score.cap.value}: ${line(score.cap.why)}`;
  const penalty = score.penalty === 1 ? "" : `, times ${score.penalty.toFixed(3)} for open threats`;
  return [
    `score    ${score.value} of 100: ${score.base.toFixed(1)} proven${cap}${penalty}`,
    ...shown(score.lines, ({ control, lost, why }) => `${`-${lost.toFixed(1)}`.padStart(8)} ${line(control)}: ${line(why)}`),
  ];
}

function cutLines(cut: JobReport["cut"]): string[] {
  const parts = Object.entries(cut).map(([name, count]) => `${count} of ${line(name)}`);
  return parts.length === 0 ? [] : [`cut      to keep the report bounded: ${parts.join(", ")}`];
}

function minute(time: string): string {
  return `${time.slice(0, 16)}Z`;
}

/** A compliance report in plain text, for people. */
import type { EventRef } from "./counter.ts";
import type { ComplianceReport, ControlEvidence } from "./report.ts";

export function complianceSummary(report: ComplianceReport): string {
  const { period, exported, checkpoint } = report;
  const user = exported.uid === undefined ? exported.user : `${exported.user} (uid ${exported.uid})`;
  return [
    `Audit trail ${report.log}, ${period.from ?? "its beginning"} to ${period.to ?? "its end"}`,
    period.events === null
      ? "no events"
      : `${counted(period.events.count)} (${range(period.events.first, period.events.last)}), ${period.events.failure} of them failures or refusals`,
    report.notice,
    "",
    ...report.standards.flatMap(({ name, controls }) => [name, ...controls.flatMap(controlLines), ""]),
    "Gaps",
    ...indented(gapLines(report)),
    "",
    "The trail",
    ...indented([
      `${report.verification.verified} events verified, ${report.verification.failed} faults`,
      ...report.verification.errors.slice(0, 20).map(({ seq, kind, detail }) => `${kind}, event ${seq}: ${detail}`),
      report.anchoring,
      checkpoint === null
        ? "no checkpoint: nothing in this report can be proven to others"
        : `checkpoint of ${checkpoint.size} events, root ${checkpoint.root}`,
      ...(checkpoint !== null && checkpoint.uncovered > 0
        ? [`${checkpoint.uncovered} events are not covered by it: ${checkpoint.problem ?? "they are newer"}`]
        : []),
    ]),
    "",
    `Sample: ${report.sample.events.length} of ${report.sample.of} events, seed ${report.sample.seed}; the report as JSON has their proofs`,
    ...report.sample.events.flatMap(({ seq, problem }) => (problem === null ? [] : [`  no proof for event ${seq}: ${problem}`])),
    ...holdLines(report),
    `Exported by ${user} at ${exported.at}`,
    "",
  ].join("\n");
}

function controlLines({ id, title, events, evidence, notCovered }: ControlEvidence): string[] {
  const kinds = evidence.map(({ category, action, count, first, last }) => `      ${category}/${action}: ${count} (${range(first, last)})`);
  return [`  ${id}  ${title}`, events === 0 ? "      no evidence in this period" : `      ${counted(events)}`, ...kinds, `      not covered: ${notCovered}`];
}

function gapLines({ gaps, verification }: ComplianceReport): string[] {
  const { count, runs } = gaps.daysWithoutEvents;
  const named = runs.slice(0, 20).map(({ from, to }) => (from === to ? from : `${from} to ${to}`));
  const lines = [
    ...(count === 0 ? [] : [`${count} ${count === 1 ? "day" : "days"} without events: ${named.join(", ")}${runs.length > named.length ? ", ..." : ""}`]),
    ...gaps.weaknesses.map(({ meaning, count: events, first, last }) => `${counted(events)}: ${meaning} (${range(first, last)})`),
    ...(gaps.pruned === 0 ? [] : [`${gaps.pruned} events of the trail have lost their text to retention and are counted nowhere`]),
    ...(verification.failed === 0 ? [] : [`the trail does not hold: ${verification.failed} faults`]),
  ];
  return lines.length === 0 ? ["none found"] : lines;
}

function holdLines({ holds }: ComplianceReport): string[] {
  if (holds.problem !== null) return [`Legal holds cannot be read: ${holds.problem}`];
  return holds.active.map(({ id, reason }) => `Legal hold ${id}: ${reason.replaceAll(/\s+/g, " ")}`);
}

function counted(events: number): string {
  return events === 1 ? "1 event" : `${events} events`;
}

function range(first: EventRef, last: EventRef): string {
  return first.seq === last.seq ? `event ${first.seq}` : `events ${first.seq} to ${last.seq}`;
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

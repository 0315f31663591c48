/** `job list` and `job show`: jobs that run and jobs that ended, one line each. */
import { formatDuration } from "../../foundation/index.ts";
import type { JobReport } from "../../jobs/index.ts";
import { commandText, headline, shortImage } from "./job-report.ts";
import { line } from "./line.ts";

/** A job as the store has it; one without a report has not ended. */
export interface ListedJob {
  readonly jobId: string;
  readonly repository: string;
  readonly state: string;
  readonly level: string;
  readonly command: readonly string[];
  readonly image: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The process that ran it is gone. */
  readonly abandoned: boolean;
  readonly report?: JobReport | undefined;
}

/** In the order given, in columns. "" for none. @param now milliseconds since the epoch. */
export function jobTable(jobs: readonly ListedJob[], now: number): string {
  const rows = jobs.map((job) => [
    `${new Date(job.createdAt).toISOString().slice(0, 16)}Z`,
    line(job.jobId, 64),
    job.report?.verdict ?? stateOf(job),
    formatDuration(job.report?.times.totalMs ?? Math.max(0, now - job.createdAt)),
    job.report?.score === undefined ? "-" : String(job.report.score.value),
    line(job.repository, 60),
    commandText(job.command),
  ]);
  const widths = rows.reduce<number[]>(
    (most, row) => row.map((cell, i) => Math.max(most[i] ?? 0, cell.length)),
    HEADINGS.map(({ length }) => length),
  );
  const text = [HEADINGS, ...rows].map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join("  "));
  return rows.length === 0 ? "" : `${text.join("\n")}\n`;
}

function stateOf({ state, abandoned }: ListedJob): string {
  return abandoned ? "abandoned" : line(state, 12);
}

const HEADINGS = ["started", "job", "state", "time", "score", "repository", "command"];

/** One job: what it is, and where it stands. @param now milliseconds since the epoch. */
export function jobDetails(job: ListedJob, now: number): string {
  const { report } = job;
  const stands = report === undefined ? `job ${line(job.jobId)} is ${stateOf(job)}, for ${formatDuration(Math.max(0, now - job.createdAt))}` : headline(report);
  return `${[
    stands,
    `job      ${line(job.repository)}, level ${line(job.level)}`,
    `command  ${commandText(report?.command ?? job.command, 200)}`,
    `image    ${shortImage(job.image)}`,
    ...(report === undefined ? [] : [`score    ${report.score?.value ?? "none"}`, `more     cofferdam job report ${line(job.jobId)}`]),
  ].join("\n")}\n`;
}

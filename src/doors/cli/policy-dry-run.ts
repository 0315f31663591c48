/** A policy's egress against jobs that ran: which of them it would have blocked. */
import { CofferdamError } from "../../foundation/index.ts";
import { type DryRun, dryRun } from "../../network/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { CommandContext } from "./command.ts";
import { withBook } from "./job-session.ts";
import { line } from "./line.ts";
import { listedEgress, recordedJobs } from "./recorded-jobs.ts";

const SHOWN_JOBS = 20;
const SHOWN_PLACES = 5;

export async function dryRunOf(context: CommandContext, policy: EffectivePolicy): Promise<DryRun> {
  const jobs = await withBook(context, async (book) => await recordedJobs(book, context, []));
  if (jobs.length === 0) throw new CofferdamError("NOT_FOUND", "none of these jobs had a network", { hint: "cofferdam job list --repo OWNER/NAME" });
  return dryRun(jobs, await listedEgress(policy, context.env));
}

export function dryRunText({ blocked, jobs, untold }: DryRun): string {
  const lines = [
    `would have blocked ${blocked.length} of ${jobs}`,
    ...blocked
      .slice(0, SHOWN_JOBS)
      .flatMap((job) => [
        `blocked  ${line(job.jobId)}`,
        ...job.blocked.slice(0, SHOWN_PLACES).map((sentence) => `         ${line(sentence)}`),
        ...(job.blocked.length > SHOWN_PLACES ? [`         and ${job.blocked.length - SHOWN_PLACES} more`] : []),
      ]),
    ...(blocked.length > SHOWN_JOBS ? [`         and ${blocked.length - SHOWN_JOBS} more jobs (--json lists them)`] : []),
    ...untold.slice(0, SHOWN_JOBS).map(({ jobId, why }) => `unknown  ${line(jobId)}: not all of it was checked, ${line(why)}`),
  ];
  return `${lines.join("\n")}\n`;
}

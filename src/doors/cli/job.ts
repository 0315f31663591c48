/** `cofferdam job list|show|logs|report|kill`; `run` and `why-blocked` have files of their own. Looking needs no engine. */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { CofferdamError, systemClock } from "../../foundation/index.ts";
import type { JobBook } from "../../jobs/index.ts";
import { caller } from "./caller.ts";
import type { Command, CommandContext, CommandGroup } from "./command.ts";
import { ENGINE_OPTION } from "./engine-option.ts";
import { jobDetails, jobTable } from "./job-list.ts";
import { jobPage } from "./job-page.ts";
import { jobRun } from "./job-run.ts";
import { withBook, withJobs } from "./job-session.ts";
import { whyBlocked } from "./job-why.ts";

/** Between two looks at what another process writes, ms. */
const LOOK_EVERY = 200;
/** How long `kill` waits for the end of a job. */
const KILL_WAIT = 30_000;

const list: Command = {
  name: "list",
  summary: "Jobs, newest first; those that have ended have a report.",
  usage: "[--repo OWNER/NAME] [--limit N]",
  examples: ["cofferdam job list", "cofferdam job list --repo acme/web --json"],
  options: {
    repo: { type: "string", value: "OWNER/NAME", describe: "only of this one" },
    limit: { type: "string", value: "N", describe: "at most, 1 to 1000 (default 50)" },
  },
  async run(context) {
    const repository = typeof context.values["repo"] === "string" ? context.values["repo"] : undefined;
    const limit = Number(context.values["limit"] ?? 50);
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new CofferdamError("INVALID_ARGUMENT", "--limit is a number from 1 to 1000");
    return await withBook(context, async (book) => {
      const jobs = await book.list({ repository, limit });
      if (context.globals.json) context.out.json({ schema: "cofferdam/job-list/v1", jobs });
      else context.out.data(jobTable(jobs, systemClock.now()));
      return 0;
    });
  },
};

const report: Command = {
  name: "report",
  summary: "The report of a job that has ended.",
  usage: "ID",
  examples: ["cofferdam job report job-8f2c", "cofferdam job report job-8f2c --json"],
  options: {},
  run: async (context) =>
    await withBook(context, async (book) => {
      const found = await book.report(only(context));
      if (context.globals.json) context.out.json(found);
      else context.out.data(jobPage(found));
      return 0;
    }),
};

const show: Command = {
  name: "show",
  summary: "What is known of a job: its report, or how far it is.",
  usage: "ID",
  examples: ["cofferdam job show job-8f2c"],
  options: {},
  run: async (context) =>
    await withBook(context, async (book) => {
      const job = await book.find(only(context));
      if (context.globals.json) context.out.json({ schema: "cofferdam/job-show/v1", ...job });
      else context.out.data(jobDetails(job, systemClock.now()));
      return 0;
    }),
};

const logs: Command = {
  name: "logs",
  summary: "What was kept of a job's output; with --follow, as it comes.",
  usage: "ID [--follow]",
  examples: ["cofferdam job logs job-8f2c", "cofferdam job logs job-8f2c --follow"],
  options: { follow: { type: "boolean", describe: "until the job ends" } },
  run: async (context) => await withBook(context, async (book) => await showLog(book, context)),
};

async function showLog(book: JobBook, context: CommandContext): Promise<number> {
  const { signal, values } = context;
  const id = only(context);
  const take = async (bytes: Buffer): Promise<void> => {
    signal.throwIfAborted();
    if (!process.stdout.write(bytes)) await once(process.stdout, "drain", { signal });
  };
  for (let shown = 0; ; ) {
    // Asked before the look: what it wrote until its end is then in the file.
    const job = await book.find(id);
    shown = await book.log(id, shown, take);
    if (values["follow"] !== true || job.report !== undefined || job.abandoned) return 0;
    await delay(LOOK_EVERY, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

const kill: Command = {
  name: "kill",
  summary: "Ends a job, whichever process runs it; of one that has ended, takes away what was kept frozen.",
  usage: "ID",
  examples: ["cofferdam job kill job-8f2c"],
  options: { ...ENGINE_OPTION },
  run: async (context) =>
    await withJobs(context, async ({ orchestrator }) => {
      const id = only(context);
      await orchestrator.kill(id, caller());
      const until = systemClock.monotonic() + KILL_WAIT;
      while (!(await orchestrator.book.hasEnded(id)) && systemClock.monotonic() < until) await delay(LOOK_EVERY, undefined, { signal: context.signal });
      const ended = await orchestrator.book.hasEnded(id);
      context.out.note(`cofferdam: job ${id} ${ended ? "was ended" : "was told to end, and has not yet"}`);
      return 0;
    }),
};

export const jobCommands: CommandGroup = {
  name: "job",
  summary: "A command in a container that has only what it was given.",
  commands: [jobRun, list, show, logs, report, whyBlocked, kill],
};

function only({ args }: CommandContext): string {
  const [id, ...more] = args;
  if (id === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "one job id, please", { hint: "cofferdam job list" });
  return id;
}

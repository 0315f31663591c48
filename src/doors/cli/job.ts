/** `cofferdam job run|list|show|logs|report|kill`. */
import { resolve } from "node:path";
import type { Attachment, ContainerEngine } from "../../engine/index.ts";
import { CofferdamError, parseDuration, systemClock } from "../../foundation/index.ts";
import { type JobReport, type JobSpec, newJobId } from "../../jobs/index.ts";
import { PRIORITIES } from "../../quota/index.ts";
import type { Command, CommandContext, CommandGroup, OptionValue } from "./command.ts";
import { jobDetails, jobTable } from "./job-list.ts";
import { jobPage, jobRunDocument } from "./job-page.ts";
import { jobEnd, jobExit, jobHeader } from "./job-report.ts";
import { ENGINE_OPTION, withJobs } from "./job-session.ts";

const run: Command = {
  name: "run",
  summary: "Runs a command in a container that has only what it was given, and reports what it did. No network in this version.",
  usage: "--image IMAGE --repo OWNER/NAME [OPTIONS] [-- COMMAND [ARGS]]",
  examples: [
    "cofferdam job run --image node:22 --repo acme/web --workspace . -- npm test",
    "cofferdam job run --image busybox --repo acme/web --memory 512MiB --timeout 5m -- sh -c 'make && make test'",
    "cofferdam job run --image node:22 --repo acme/web -it -- sh",
  ],
  options: {
    ...ENGINE_OPTION,
    image: { type: "string", value: "IMAGE", describe: "tag, digest or id; it must be there: nothing is pulled" },
    repo: { type: "string", value: "OWNER/NAME", describe: "whose job it is" },
    workspace: { type: "string", value: "DIR", describe: "a folder for the job, at /workspace; bound or copied, by level" },
    copy: { type: "boolean", describe: "copy the workspace in and its results out, whatever the level" },
    workdir: { type: "string", value: "PATH", describe: "where the command starts (default /workspace, else the image's)" },
    env: { type: "string", value: "NAME[=VALUE]", multiple: true, describe: "a variable for the job; without a value, the caller's" },
    user: { type: "string", value: "UID[:GID]", describe: "who the job is (default: the image's, where the level allows it)" },
    cpu: { type: "string", value: "N", describe: "cores, e.g. 1.5" },
    memory: { type: "string", value: "SIZE", describe: "all processes together" },
    pids: { type: "string", value: "N", describe: "processes and threads at once" },
    disk: { type: "string", value: "SIZE", describe: "the workspace" },
    priority: { type: "string", value: "NAME", describe: `${PRIORITIES.join(", ")}: place in the queue, and the tier` },
    wait: { type: "string", value: "TIME", describe: "wait so long for resources; without it, what is not free now is refused" },
    limit: { type: "string", value: "TIME", describe: "longest time of the command (default and most: jobs.timeout)" },
    id: { type: "string", value: "ID", describe: "the job's id (default: a new one)" },
    events: { type: "boolean", describe: "what happens, as it happens, one JSON document a line on stderr" },
    interactive: { type: "boolean", describe: "standard input goes to the job (-i)" },
    tty: { type: "boolean", describe: "a terminal for the job (-t)" },
    egress: { type: "string", value: "HOST:PORT", multiple: true, describe: "not in this version: a job has no network" },
    secret: { type: "string", value: "NAME=ID", multiple: true, describe: "not in this version: a job gets no secrets" },
  },
  passthrough: "after-dashes",
  run: execute,
};

async function execute(context: CommandContext): Promise<number> {
  const { values, args, out, globals, signal, env } = context;
  if (values["egress"] !== undefined)
    throw new CofferdamError("FAILED_PRECONDITION", "--egress: this version has no network isolation, so that a job has no network", {
      hint: "run it without, or fetch first",
    });
  if (values["secret"] !== undefined) throw new CofferdamError("FAILED_PRECONDITION", "--secret: this version gives no secrets to jobs");
  const image = needed(context, "image", "--image busybox");
  const repository = needed(context, "repo", "--repo acme/web");
  const jobId = text(values["id"]) ?? newJobId();
  const priority = PRIORITIES.find((name) => name === values["priority"]);
  if (values["priority"] !== undefined && priority === undefined) throw new CofferdamError("INVALID_ARGUMENT", `--priority is one of ${PRIORITIES.join(", ")}`);
  const wait = duration(values["wait"]);
  const resources = resourcesOf(values);
  return await withJobs(context, async ({ orchestrator, engine, policy }) => {
    const say = (event: string, details: object): void => {
      if (values["events"] === true) out.fault(JSON.stringify({ event, at: new Date().toISOString(), jobId, ...details }));
    };
    orchestrator.events.on("securityContextCreated", ({ resources: given }) => say("ready", { resources: given }));
    orchestrator.events.on("jobBlocked", ({ reason }) => say("blocked", { reason }));
    orchestrator.events.on("threatHandled", ({ threat }) => say("threat", { threat: threat.id, type: threat.type }));
    const { level, mode } = policy.values;
    orchestrator.quota.events.on("resourcesAllocated", ({ limits: { cpu, memory, pids, disk } }) =>
      out.note(jobHeader({ jobId, repository, level, mode, image, quota: { cpu, memory, pids, disk } })),
    );
    orchestrator.quota.events.on("resourcesQueued", ({ before }) => out.note(`cofferdam: job ${jobId} waits for resources, ${before} before it`));
    const report = await orchestrator.runJob(
      jobId,
      { repository, image, priority, ...(wait === undefined ? {} : { wait }), ...(resources === undefined ? {} : { resources }) },
      specOf(context, args, env),
      signal,
      {
        onOutput: ({ source, bytes }) => void (globals.json || source === "stderr" ? process.stderr : process.stdout).write(bytes),
        stdin: process.stdin,
        onAttached: (attachment, id) => terminal(attachment, engine, id, values["tty"] === true),
        onStarted: () => say("started", {}),
      },
    );
    process.stdin.unref?.();
    return tell(report, context);
  });
}

function tell(report: JobReport, { out, globals }: CommandContext): number {
  if (globals.json) out.json(jobRunDocument(report));
  else if (report.verdict === "passed") out.note(jobEnd(report));
  else out.fault(jobEnd(report));
  if (report.stoppedBy !== undefined) out.fault(`cofferdam: stopped ${report.stoppedBy.code}`);
  return jobExit(report);
}

/** Keys go to the job as they are typed, and its terminal is as large as ours. */
function terminal(_attachment: Attachment, engine: ContainerEngine, id: string, tty: boolean): void {
  if (!tty || !process.stdin.isTTY || !process.stdout.isTTY) return;
  process.stdin.setRawMode(true);
  process.once("exit", () => process.stdin.setRawMode(false));
  const resize = (): void => {
    void engine.containers.resize(id, { rows: process.stdout.rows, columns: process.stdout.columns }).catch(() => undefined);
  };
  process.stdout.on("resize", resize);
  resize();
}

function specOf({ values, cwd }: CommandContext, args: readonly string[], env: Readonly<NodeJS.ProcessEnv>): JobSpec {
  const workspace = text(values["workspace"]);
  const workdir = text(values["workdir"]);
  const limit = duration(values["limit"]);
  const user = userOf(text(values["user"]));
  return {
    ...(args.length === 0 ? {} : { command: [...args] }),
    env: variables(values["env"], env),
    ...(workdir === undefined ? {} : { workingDir: workdir }),
    ...(user === undefined ? {} : { user }),
    tty: values["tty"] === true,
    stdin: values["interactive"] === true,
    ...(workspace === undefined ? {} : { workspace: { path: resolve(cwd, workspace), ...(values["copy"] === true ? { mode: "copy" as const } : {}) } }),
    ...(limit === undefined ? {} : { timeout: limit }),
  };
}

function variables(option: OptionValue, env: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const all: Record<string, string> = {};
  for (const one of Array.isArray(option) ? option.map(String) : []) {
    const at = one.indexOf("=");
    const [name, value] = at < 0 ? [one, env[one]] : [one.slice(0, at), one.slice(at + 1)];
    if (value !== undefined) all[name] = value;
  }
  return all;
}

function resourcesOf(values: CommandContext["values"]): Record<string, string> | undefined {
  const named = (["cpu", "memory", "pids", "disk"] as const).flatMap((name) => {
    const value = text(values[name]);
    return value === undefined ? [] : [[name, value] as const];
  });
  return named.length === 0 ? undefined : Object.fromEntries(named);
}

function userOf(value: string | undefined): { readonly uid: number; readonly gid: number } | undefined {
  if (value === undefined) return undefined;
  const [, uid, gid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(value) ?? [];
  if (uid === undefined) throw new CofferdamError("INVALID_ARGUMENT", `--user ${value}: not UID or UID:GID`);
  return { uid: Number(uid), gid: Number(gid ?? uid) };
}

const list: Command = {
  name: "list",
  summary: "Jobs, newest first; those that have ended have a report.",
  usage: "[--repo OWNER/NAME] [--limit N]",
  examples: ["cofferdam job list", "cofferdam job list --repo acme/web --json"],
  options: {
    ...ENGINE_OPTION,
    repo: { type: "string", value: "OWNER/NAME", describe: "only of this one" },
    limit: { type: "string", value: "N", describe: "at most, 1 to 1000 (default 50)" },
  },
  async run(context) {
    const repository = text(context.values["repo"]);
    const limit = Number(text(context.values["limit"]) ?? 50);
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new CofferdamError("INVALID_ARGUMENT", "--limit is a number from 1 to 1000");
    return await withJobs(context, async ({ orchestrator }) => {
      const jobs = await orchestrator.list({ repository, limit });
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
  options: { ...ENGINE_OPTION },
  run: async (context) =>
    await withJobs(context, async ({ orchestrator }) => {
      const found = await orchestrator.report(only(context));
      if (context.globals.json) context.out.json(found);
      else context.out.data(jobPage(found));
      return 0;
    }),
};

const show: Command = {
  ...report,
  name: "show",
  summary: "What is known of a job: its report, or how far it is.",
  examples: ["cofferdam job show job-8f2c"],
  run: showJob,
};

async function showJob(context: CommandContext): Promise<number> {
  return await withJobs(context, async ({ orchestrator }) => {
    const job = await orchestrator.find(only(context));
    if (context.globals.json) context.out.json({ schema: "cofferdam/job-show/v1", ...job });
    else context.out.data(jobDetails(job, systemClock.now()));
    return 0;
  });
}

const logs: Command = {
  name: "logs",
  summary: "What was kept of a job's output; with --follow, as it comes.",
  usage: "ID [--follow]",
  examples: ["cofferdam job logs job-8f2c", "cofferdam job logs job-8f2c --follow"],
  options: { ...ENGINE_OPTION, follow: { type: "boolean", describe: "until the job ends" } },
  run: async (context) =>
    await withJobs(context, async ({ orchestrator }) => {
      const id = only(context);
      let shown = 0;
      for (;;) {
        const bytes = await orchestrator.log(id);
        if (bytes.length > shown) process.stdout.write(bytes.subarray(shown));
        shown = bytes.length;
        if (context.values["follow"] !== true || (await orchestrator.hasEnded(id))) return 0;
        context.signal.throwIfAborted();
        await new Promise((done) => setTimeout(done, 250));
      }
    }),
};

const kill: Command = {
  name: "kill",
  summary: "Ends a job that runs, whichever process runs it.",
  usage: "ID",
  examples: ["cofferdam job kill job-8f2c"],
  options: { ...ENGINE_OPTION },
  run: async (context) =>
    await withJobs(context, async ({ orchestrator }) => {
      const id = only(context);
      await orchestrator.kill(id);
      context.out.note(`cofferdam: job ${id} was told to end`);
      return 0;
    }),
};

export const jobCommands: CommandGroup = {
  name: "job",
  summary: "A command in a container that has only what it was given.",
  commands: [run, list, show, logs, report, kill],
};

function only({ args }: CommandContext): string {
  const [id, ...more] = args;
  if (id === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "one job id, please", { hint: "cofferdam job list" });
  return id;
}

function needed({ values }: CommandContext, name: string, example: string): string {
  const value = text(values[name]);
  if (value === undefined) throw new CofferdamError("INVALID_ARGUMENT", `--${name} is missing`, { hint: example });
  return value;
}

function duration(value: OptionValue): number | undefined {
  return typeof value === "string" ? parseDuration(value) : undefined;
}

function text(value: OptionValue): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** `cofferdam quota show`: what jobs may have of this host, who has it, who waits, and what they use. */
import { join } from "node:path";
import { CofferdamError, formatBytes, formatDuration, systemClock } from "../../foundation/index.ts";
import { quotaOptionsOf } from "../../policy/index.ts";
import { type Allocation, type Capacity, type QuotaStatus, type RecordedViolation, ResourceQuotaManager, type ResourceUsage } from "../../quota/index.ts";
import { SqliteStore } from "../../store/index.ts";
import type { Command, CommandContext, CommandGroup } from "./command.ts";
import { plain } from "./output.ts";
import { openPolicy } from "./session.ts";

/** Jobs whose use is looked up: each look takes a quarter of a second, all of them together. */
const MAX_MEASURED = 100;

interface Shown {
  readonly status: QuotaStatus;
  /** By job, of those that run and are watched. */
  readonly usage: ReadonlyMap<string, ResourceUsage>;
}

const show: Command = {
  name: "show",
  summary: "What jobs may have of this host, who has it, who waits for it, what they use, and what went over.",
  usage: "",
  examples: ["cofferdam quota show", "cofferdam quota show --json"],
  options: {},
  async run(context) {
    const { globals, out, args } = context;
    if (args.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "quota show takes no words", { hint: "cofferdam quota show --help" });
    const { status, usage } = await look(context);
    if (globals.json) out.json(documentOf(status, usage));
    else out.data(plain(`${linesOf(status, usage, systemClock.now()).join("\n")}\n`));
    return 0;
  },
};

export const quotaCommands: CommandGroup = { name: "quota", summary: "How much of this host jobs get.", commands: [show] };

async function look(context: CommandContext): Promise<Shown> {
  const { globals } = context;
  const { values } = await openPolicy(context);
  await using store = new SqliteStore({ path: join(globals.state, "cofferdam.db") });
  await using quota = new ResourceQuotaManager(undefined, { ...quotaOptionsOf(values), store, workspaces: join(globals.state, "workspaces") });
  await quota.initialize();
  const status = await quota.getQuotaStatus();
  const usage = new Map<string, ResourceUsage>();
  await Promise.all(
    status.held.slice(0, MAX_MEASURED).map(async ({ jobId }) => {
      try {
        usage.set(jobId, await quota.monitorResourceUsage(jobId));
      } catch (error) {
        // It does not run yet, or not any more, or nobody watches it.
        if (!(error instanceof CofferdamError && error.code === "NOT_FOUND")) throw error;
      }
    }),
  );
  return { status, usage };
}

function documentOf({ capacity, pool, reserved, free, held, waiting, violations }: QuotaStatus, usage: ReadonlyMap<string, ResourceUsage>): object {
  const job = ({ state, since, ...allocation }: Allocation): object => ({ ...allocation, since: new Date(since).toISOString() });
  return {
    schema: "cofferdam/quota-show/v1",
    capacity,
    pool,
    reserved,
    free,
    jobs: held.map((allocation) => ({ ...job(allocation), usage: usage.get(allocation.jobId) ?? null })),
    waiting: waiting.map(job),
    violations: violations.map(({ at, ...violation }) => ({ ...violation, at: new Date(at).toISOString() })),
  };
}

function linesOf({ capacity, pool, reserved, held, waiting, violations }: QuotaStatus, usage: ReadonlyMap<string, ResourceUsage>, now: number): string[] {
  return [
    `pool      ${amounts(pool)}, of a host with ${amounts(capacity)}`,
    `reserved  ${(["cpu", "memory", "disk"] as const).map((name) => `${name} ${percent(reserved[name], pool[name])}`).join(", ")}`,
    ...held.map((job) => jobLine("job", job, now, usage.get(job.jobId))),
    ...waiting.map((job) => jobLine("waiting", job, now, undefined)),
    ...violations.map((violation) => violationLine(violation, now)),
  ];
}

/** `job       8f2c  high  acme/web  4 cpu, 8 GB memory, 20 GB disk  for 3 min  uses cpu 45 %, memory 78 %` */
function jobLine(word: string, { jobId, priority, repository, reserved, overPool, since }: Allocation, now: number, use: ResourceUsage | undefined): string {
  const percents = (["cpu", "memory", "disk", "network", "pids", "io"] as const).flatMap((name) => {
    const value = use?.[name];
    return value === undefined ? [] : [`${name} ${Math.round(value)} %`];
  });
  const parts = [
    jobId,
    priority,
    ...(repository === undefined ? [] : [repository]),
    `${amounts(reserved)}${overPool ? ", over the pool" : ""}`,
    `for ${formatDuration(Math.max(0, now - since))}`,
    ...(percents.length === 0 ? [] : [`uses ${percents.join(", ")}`]),
  ];
  return `${word.padEnd(10)}${parts.join("  ")}`;
}

function violationLine({ jobId, resource, kind, times, at }: RecordedViolation, now: number): string {
  return `${"went over".padEnd(10)}${jobId}  ${resource} ${kind}${times === 1 ? "" : `, ${times} times`}, ${formatDuration(Math.max(0, now - at))} ago`;
}

function amounts({ cpu, memory, disk }: Capacity): string {
  return `${cpu} cpu, ${formatBytes(memory)} memory, ${formatBytes(disk)} disk`;
}

function percent(used: number, all: number): string {
  return all === 0 ? "of nothing" : `${Math.round((100 * used) / all)} %`;
}

/** `cofferdam monitor watch ID`: the processes of a container as they come and go. On a terminal a tree that stays; else a line each. */
import { setTimeout as delay } from "node:timers/promises";
import { CofferdamError } from "../../foundation/index.ts";
import type { MonitorThreat, ProgramFacts } from "../../monitor/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { ENGINE_OPTION } from "./engine-option.ts";
import { line } from "./line.ts";
import { type MonitorSession, withMonitor } from "./monitor-session.ts";

/** Between two pictures, ms. */
const EVERY = 250;
/** Threats under the tree. */
const SHOWN_THREATS = 8;
const MAX_DEPTH = 200;

export const watchCommand: Command = {
  name: "watch",
  summary: "The processes of a job's container as they come and go, and what of it is a threat. Ends with the container, or with Ctrl-C.",
  usage: "JOB|CONTAINER",
  examples: ["sudo cofferdam monitor watch job-036092btzp", "sudo cofferdam monitor watch my-container > processes.txt"],
  options: ENGINE_OPTION,
  run: async (context) =>
    await withMonitor(context, { monitoringInterval: 1000 }, async (session) => {
      const { monitor, containerId, jobId, name } = session;
      const threats: MonitorThreat[] = [];
      monitor.events.on("threatDetected", (threat) => {
        threats.push(threat);
        if (!isTree(context)) context.out.data(`${threatLine(threat)}\n`);
      });
      await monitor.startContainerMonitoring(containerId, jobId ?? name);
      context.out.note(`cofferdam: ${line(name)}, ${statusText(monitor.status)}`);
      await (isTree(context) ? drawTree(context, session, threats) : sayLines(context, session));
      return 0;
    }),
};

function isTree({ globals }: CommandContext): boolean {
  return process.stdout.isTTY === true && !globals.json;
}

async function drawTree({ signal }: CommandContext, session: MonitorSession, threats: readonly MonitorThreat[]): Promise<void> {
  for await (const programs of pictures(session, signal)) {
    const { columns = 80, rows = 24 } = process.stdout;
    const shown = threats.slice(-SHOWN_THREATS).map(threatLine);
    const tree = treeLines(programs, columns);
    const room = Math.max(1, rows - shown.length - 3);
    const more = tree.length > room ? [`... and ${tree.length - room} more`] : [];
    const text = [...tree.slice(0, room), ...more, "", ...shown].map((one) => cut(one, columns)).join("\n");
    // Home, what is written over what was there, and nothing of it below.
    process.stdout.write(`\u001b[H\u001b[2J${text}\n`);
  }
}

/** Each program once, as it begins. */
async function sayLines({ signal, out, globals }: CommandContext, session: MonitorSession): Promise<void> {
  let said: ReadonlySet<ProgramFacts> = new Set();
  for await (const programs of pictures(session, signal)) {
    for (const program of programs) {
      if (said.has(program)) continue;
      if (globals.json) out.json({ schema: "cofferdam/monitor-watch/v1", ...documentOf(program) });
      else out.data(`${programLine(program)}\n`);
    }
    said = new Set(programs);
  }
}

/** Until the container has ended, or the caller has had enough. */
async function* pictures({ monitor, engine, containerId }: MonitorSession, signal: AbortSignal): AsyncGenerator<readonly ProgramFacts[], void, undefined> {
  while (!signal.aborted) {
    yield [...monitor.processes(containerId).running];
    await delay(EVERY, undefined, { signal }).catch(() => undefined);
    const running = await engine.containers.inspect(containerId).then(
      ({ State }) => State.Running,
      (error: unknown) => error instanceof CofferdamError && error.code !== "NOT_FOUND",
    );
    if (!running) return;
  }
}

/** Children below who made them, two blanks deeper. */
export function treeLines(programs: readonly ProgramFacts[], width: number): string[] {
  const running = new Set(programs.map(({ pid }) => pid));
  const children = Map.groupBy(programs, ({ pid, ppid }) => (ppid !== pid && running.has(ppid) ? ppid : undefined));
  const lines: string[] = [];
  const said = new Set<ProgramFacts>();
  const add = (program: ProgramFacts, depth: number): void => {
    if (said.has(program)) return;
    said.add(program);
    lines.push(cut(`${"  ".repeat(Math.min(depth, 20))}${programLine(program)}`, width));
    if (depth < MAX_DEPTH) for (const child of children.get(program.pid) ?? []) add(child, depth + 1);
  };
  for (const program of children.get(undefined) ?? []) add(program, 0);
  // What is left are deeper ones, and rings that reused numbers make.
  for (const program of programs) add(program, 0);
  return lines;
}

/** Of a line of ours: its blanks stay, and what is a stranger's in it went through {@link line} before. */
function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 3))}...`;
}

function programLine({ insidePid, uid, program, args }: ProgramFacts): string {
  const fresh = program?.fresh === true ? " (not of the image)" : "";
  return `${insidePid} uid ${uid} ${line(program?.path ?? "?")}${fresh}: ${line(args.join(" "), 300)}`;
}

function documentOf({ insidePid, uid, program, args, since }: ProgramFacts): object {
  return { pid: insidePid, uid, program: program?.path ?? null, fresh: program?.fresh ?? null, args: args.slice(0, 64), since: new Date(since).toISOString() };
}

export function threatLine({ severity, type, action, details }: MonitorThreat): string {
  const { message } = details;
  return `${severity.padEnd(8)} ${type}: ${line(typeof message === "string" ? message : "", 300)}${action === undefined ? "" : ` (its rule asks for ${action})`}`;
}

export function statusText({ state, source, why }: { readonly state: string; readonly source: string; readonly why: string | undefined }): string {
  if (state === "watching") return `watched by ${source}`;
  return `${state === "absent" ? "not watched, only looked at" : "watched in part"}${why === undefined ? "" : `: ${line(why)}`}`;
}

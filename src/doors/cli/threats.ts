/** `cofferdam threats list|show|resolve`: what was seen, what is open, and who looked into it. */
import { CofferdamError } from "../../foundation/index.ts";
import type { Threat } from "../../jobs/index.ts";
import { caller } from "./caller.ts";
import type { Command, CommandContext, CommandGroup } from "./command.ts";
import { withBook } from "./job-session.ts";
import { line } from "./line.ts";

const list: Command = {
  name: "list",
  summary: "Threats, newest first: the open ones, or all.",
  usage: "[--all] [--limit N]",
  examples: ["cofferdam threats list", "cofferdam threats list --all --json"],
  options: {
    all: { type: "boolean", describe: "those that were resolved too" },
    limit: { type: "string", value: "N", describe: "at most, 1 to 1000 (default 100)" },
  },
  async run({ values, ...context }) {
    const limit = Number(values["limit"] ?? 100);
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw new CofferdamError("INVALID_ARGUMENT", "--limit is a number from 1 to 1000");
    return await withBook({ values, ...context }, async (book) => {
      const threats = await book.listThreats({ limit, ...(values["all"] === true ? {} : { state: "open" }) });
      if (context.globals.json) context.out.json({ schema: "cofferdam/threats-list/v1", threats });
      else context.out.data(threats.map((threat) => `${threatRow(threat)}\n`).join(""));
      return 0;
    });
  },
};

const show: Command = {
  name: "show",
  summary: "One threat, with its details and evidence.",
  usage: "ID",
  examples: ["cofferdam threats show thr_01k2"],
  options: {},
  run: async (context) =>
    await withBook(context, async (book) => {
      const threat = await book.findThreat(only(context));
      if (context.globals.json) context.out.json({ schema: "cofferdam/threats-show/v1", threat });
      else context.out.data(threatPage(threat));
      return 0;
    }),
};

const resolve: Command = {
  name: "resolve",
  summary: "Says that somebody looked into a threat and what it was: it then no longer lowers the score.",
  usage: "ID --note TEXT",
  examples: ['cofferdam threats resolve thr_01k2 --note "our own test, SEC-1423"'],
  options: { note: { type: "string", value: "TEXT", describe: "what it was" } },
  run: async (context) =>
    await withBook(context, async (book) => {
      const { note } = context.values;
      if (typeof note !== "string" || note.trim() === "") throw new CofferdamError("INVALID_ARGUMENT", "--note is missing: say what it was");
      const threat = await book.resolveThreat(only(context), caller(), note);
      if (context.globals.json) context.out.json({ schema: "cofferdam/threats-resolve/v1", threat });
      else context.out.note(`cofferdam: threat ${threat.id} is resolved, on record`);
      return 0;
    }),
};

export const threatCommands: CommandGroup = {
  name: "threats",
  summary: "What was seen in jobs, what is open, and who looked into it.",
  commands: [list, show, resolve],
};

function threatRow({ id, severity, state, timestamp, type, source, jobId }: Threat): string {
  return `${timestamp.slice(0, 16)}Z  ${id}  ${severity.padEnd(8)}  ${state.padEnd(8)}  ${line(type)}, seen by ${line(source)}${jobId === undefined ? "" : `, job ${line(jobId)}`}`;
}

function threatPage(threat: Threat): string {
  const { containerId, recommendedAction, resolution, details, evidence } = threat;
  return `${[
    threatRow(threat),
    ...(containerId === undefined ? [] : [`container ${line(containerId)}`]),
    ...(recommendedAction === undefined ? [] : [`advice    ${line(recommendedAction, 1024)}`]),
    ...(resolution === undefined ? [] : [`resolved  ${resolution.at.slice(0, 16)}Z by ${line(resolution.by)}: ${line(resolution.note, 1024)}`]),
    `details   ${line(JSON.stringify(details), 4000)}`,
    ...evidence.map((one) => `evidence  ${line(JSON.stringify(one), 4000)}`),
  ].join("\n")}\n`;
}

function only({ args }: CommandContext): string {
  const [id, ...more] = args;
  if (id === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "one id of a threat, please", { hint: "cofferdam threats list" });
  return id;
}

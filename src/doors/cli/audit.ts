/** `cofferdam audit search|export|verify`. */

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { AuditQuery } from "../../audit/index.ts";
import { CofferdamError, errnoOf, parseDuration, systemClock, wrapError } from "../../foundation/index.ts";
import type { Command, CommandContext, CommandGroup, OptionSpec } from "./command.ts";
import { withState } from "./session.ts";

const FILTERS: Readonly<Record<string, OptionSpec>> = {
  since: { type: "string", value: "TIME", describe: "2026-01-31, a full ISO time, or how long ago: 24h" },
  until: { type: "string", value: "TIME", describe: "likewise, inclusive" },
  category: { type: "string", value: "NAME", describe: "e.g. packages" },
  action: { type: "string", value: "NAME", describe: "e.g. PackageInstall" },
  result: { type: "string", value: "success|failure", describe: "outcome" },
  user: { type: "string", value: "ID", describe: "user id" },
  session: { type: "string", value: "ID", describe: "session or run id" },
  resource: { type: "string", value: "ID", describe: "resource id, e.g. a project's folder" },
  text: { type: "string", value: "TEXT", describe: "part of the event's text" },
};

const search: Command = {
  name: "search",
  summary: "Lists events, newest first.",
  usage: "[FILTERS] [--limit N] [--after SEQ]",
  examples: ["cofferdam audit search --since 24h --result failure", "cofferdam audit search --action PackageInstall --json"],
  options: {
    ...FILTERS,
    limit: { type: "string", value: "N", describe: "events of one page, 1 to 1000 (default 50)" },
    after: { type: "string", value: "SEQ", describe: "the `next` of the page before" },
  },
  async run(context) {
    const { globals, out } = context;
    const query = { ...queryOf(context), newestFirst: true, limit: integer(context, "limit") ?? 50, after: integer(context, "after") };
    const page = await withState(context, ({ audit }) => audit.searchPage(query));
    if (globals.json) {
      out.json({ schema: "cofferdam/audit-search/v1", events: page.events, ...(page.next === undefined ? {} : { next: page.next }) });
      return 0;
    }
    for (const event of page.events) {
      const resource = event.resourceId === undefined ? "" : ` ${event.resourceId}`;
      out.data(`${String(event.seq).padStart(7)}  ${event.timestamp}  ${event.result.padEnd(7)}  ${event.category}/${event.action}${resource}\n`);
    }
    if (page.events.length === 0) out.note("no event matches");
    if (page.next !== undefined) out.note(`more: --after ${page.next}`);
    return 0;
  },
};

const exportCommand: Command = {
  name: "export",
  summary: "Writes events, oldest first, as JSON or CSV.",
  usage: "[FILTERS] [--format json|csv] [--output FILE]",
  examples: ["cofferdam audit export --format csv --since 30d --output audit.csv", "cofferdam audit export | jq '.[].action'"],
  options: {
    ...FILTERS,
    format: { type: "string", value: "json|csv", describe: "default json" },
    output: { type: "string", value: "FILE", describe: "a new file, mode 0600; without it, stdout" },
  },
  async run(context) {
    const { values, out, cwd, globals } = context;
    const format = values["format"] ?? "json";
    if (format !== "json" && format !== "csv") throw new CofferdamError("INVALID_ARGUMENT", `no format ${String(format)}: json or csv`);
    const path = typeof values["output"] === "string" ? resolve(cwd, values["output"]) : undefined;
    const file = path === undefined ? undefined : await create(path);
    let bytes = 0;
    try {
      await withState(context, async ({ audit }) => {
        for await (const piece of audit.exportStream(queryOf(context), format)) {
          // A reader that went away shows between two turns of the event loop.
          await setImmediate();
          context.signal.throwIfAborted();
          bytes += Buffer.byteLength(piece);
          if (file === undefined) out.data(piece);
          else await file.writeFile(piece);
        }
      });
      await file?.sync();
    } finally {
      await file?.close();
    }
    if (path !== undefined && globals.json) out.json({ schema: "cofferdam/audit-export/v1", file: path, format, bytes });
    else if (path !== undefined) out.note(`wrote ${path} (${bytes} bytes)`);
    return 0;
  },
};

const verify: Command = {
  name: "verify",
  summary: "Recomputes every hash of the trail, and compares its end with the last acknowledged head.",
  usage: "[--since TIME] [--until TIME]",
  examples: ["cofferdam audit verify", "cofferdam audit verify --since 30d --json"],
  options: { since: FILTERS["since"] ?? { type: "string", describe: "" }, until: FILTERS["until"] ?? { type: "string", describe: "" } },
  async run(context) {
    const { globals, out } = context;
    const { startDate, endDate } = queryOf(context);
    const report = await withState(context, ({ audit }) => audit.verifyIntegrity(startDate, endDate));
    if (globals.json) out.json({ schema: "cofferdam/audit-verify/v1", ...report });
    else if (report.failed === 0) {
      const head = report.head === undefined ? "" : `\n  head ${report.head.seq} ${report.head.hash}: keep it elsewhere, and a later change shows`;
      out.note(`audit: ${report.verified} events verified, chain whole; not anchored: no outside copy was given${head}`);
    } else {
      out.fault(`audit: BROKEN, ${report.failed} of ${report.size} events do not verify`);
      for (const fault of report.errors.slice(0, 20)) out.fault(`${fault.kind.padEnd(9)} event ${fault.seq}: ${fault.detail}`);
    }
    return report.failed === 0 ? 0 : 6;
  },
};

export const auditCommands: CommandGroup = {
  name: "audit",
  summary: "The audit trail: what was decided and done, chained by hash.",
  commands: [search, exportCommand, verify],
};

function queryOf({ values }: CommandContext): AuditQuery {
  const word = (name: string): string | undefined => (typeof values[name] === "string" ? values[name] : undefined);
  const result = word("result");
  if (result !== undefined && result !== "success" && result !== "failure") throw new CofferdamError("INVALID_ARGUMENT", "--result is success or failure");
  return {
    startDate: time(word("since")),
    endDate: time(word("until")),
    category: word("category"),
    action: word("action"),
    result,
    userId: word("user"),
    sessionId: word("session"),
    resourceId: word("resource"),
    text: word("text"),
  };
}

function time(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  if (/^[\d.]+(?:ms|s|m|h|d)$/.test(text)) return new Date(systemClock.now() - parseDuration(text));
  const date = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(date.getTime()))
    throw new CofferdamError("INVALID_ARGUMENT", `not a time: ${JSON.stringify(text.slice(0, 40))} (2026-01-31, a full ISO time, or 24h)`);
  return date;
}

function integer({ values }: CommandContext, name: string): number | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !/^\d{1,15}$/.test(value)) throw new CofferdamError("INVALID_ARGUMENT", `--${name} takes a whole number`);
  return Number(value);
}

async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if (errnoOf(error) === "EEXIST") throw new CofferdamError("FAILED_PRECONDITION", `${path} exists`, { hint: "choose a new name; nothing is overwritten" });
    throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${path}`);
  }
}

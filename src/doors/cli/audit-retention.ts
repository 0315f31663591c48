/** `cofferdam audit prune|hold|erase`: what leaves the trail, what must not, and what a person may ask for. */
import type { HoldScope, RetentionRules } from "../../audit/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import { FILTERS, queryOf, wordOf } from "./audit-query.ts";
import type { Command, CommandContext } from "./command.ts";
import { openPolicy, withState } from "./session.ts";

const DAY = 86_400_000;

export const prune: Command = {
  name: "prune",
  summary: "Takes away the texts that retention no longer asks for; their places still verify.",
  usage: "[--dry-run]",
  examples: ["cofferdam audit prune --dry-run", "cofferdam audit prune --json"],
  options: { "dry-run": { type: "boolean", describe: "only say how many would go" } },
  async run(context) {
    const { values, out, globals } = context;
    const rules = rulesOf(await openPolicy(context));
    const dryRun = values["dry-run"] === true;
    const { pruned, held, events } = await withState(context, ({ audit }) => audit.prune({ rules, dryRun }));
    if (globals.json) out.json({ schema: "cofferdam/audit-prune/v1", dryRun, pruned, held, rules, events: events.map(({ seq }) => seq) });
    else {
      const recorded = events.length === 0 ? "" : `, recorded as ${events.map(({ seq }) => seq).join(", ")}`;
      out.note(`audit: ${pruned} texts ${dryRun ? "would go" : "went"}${recorded}; ${held} kept by a hold`);
    }
    return 0;
  },
};

export const hold: Command = {
  name: "hold",
  summary: "Legal holds: what one covers keeps its text, whatever retention says.",
  usage: "list | place [FILTERS] --reason TEXT | release ID --reason TEXT",
  examples: [
    'cofferdam audit hold place --user alice --until 2026-06-30 --reason "case 7"',
    'cofferdam audit hold release hold_... --reason "case closed"',
    "cofferdam audit hold list",
  ],
  options: {
    since: FILTERS.since,
    until: FILTERS.until,
    category: FILTERS.category,
    action: FILTERS.action,
    user: FILTERS.user,
    session: FILTERS.session,
    resource: FILTERS.resource,
    reason: { type: "string", value: "TEXT", describe: "recorded with the hold" },
  },
  async run(context) {
    const [verb, id, ...more] = context.args;
    if (verb === "list" && id === undefined) return await list(context);
    if (verb === "place" && id === undefined) return await place(context);
    if (verb === "release" && id !== undefined && more.length === 0) return await release(context, id);
    throw new CofferdamError("INVALID_ARGUMENT", "which? list, place or release ID", { hint: "cofferdam audit hold --help" });
  },
};

export const erase: Command = {
  name: "erase",
  summary: "Destroys the key of one person's sealed data: it is gone from every event, and every hash stands.",
  usage: "SUBJECT --reason TEXT",
  examples: ['cofferdam audit erase alice --reason "request of 2026-03-01"'],
  options: { reason: { type: "string", value: "TEXT", describe: "recorded; it should not name the person" } },
  async run(context) {
    const { args, out, globals } = context;
    const [subject, ...more] = args;
    if (subject === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "whose data? one subject, as it was recorded");
    const reason = reasonOf(context);
    const event = await withState(context, ({ audit }) => audit.eraseSubject(subject, reason));
    if (globals.json) out.json({ schema: "cofferdam/audit-erase/v1", event });
    else out.note(`audit: erased; event ${event.seq} says so, without the name`);
    return 0;
  },
};

async function list(context: CommandContext): Promise<number> {
  const { out, globals } = context;
  const holds = await withState(context, ({ audit }) => audit.holds());
  if (globals.json) out.json({ schema: "cofferdam/audit-hold/v1", holds });
  else for (const { id, reason, scope } of holds) out.data(`${id}  ${JSON.stringify(scope)}  ${reason}\n`);
  if (holds.length === 0) out.note("no holds");
  return 0;
}

async function place(context: CommandContext): Promise<number> {
  const { out, globals } = context;
  const { startDate, endDate, category, action, userId, sessionId, resourceId } = queryOf(context);
  const iso = (date: Date | string | undefined): string | undefined => (date === undefined ? undefined : new Date(date).toISOString());
  const scope: HoldScope = { category, action, userId, sessionId, resourceId, from: iso(startDate), until: iso(endDate) };
  const reason = reasonOf(context);
  const { id, event } = await withState(context, ({ audit }) => audit.placeHold(scope, reason));
  if (globals.json) out.json({ schema: "cofferdam/audit-hold/v1", id, event });
  else out.note(`audit: hold ${id} placed, event ${event.seq}`);
  return 0;
}

async function release(context: CommandContext, id: string): Promise<number> {
  const { out, globals } = context;
  const reason = reasonOf(context);
  const event = await withState(context, ({ audit }) => audit.releaseHold(id, reason));
  if (globals.json) out.json({ schema: "cofferdam/audit-hold/v1", id, event });
  else out.note(`audit: hold ${id} released, event ${event.seq}`);
  return 0;
}

function reasonOf({ values }: CommandContext): string {
  const reason = wordOf(values["reason"]);
  if (reason === undefined || reason.trim() === "") throw new CofferdamError("INVALID_ARGUMENT", "--reason TEXT: it is recorded");
  return reason;
}

/** Whole days, never fewer than the policy says. */
function rulesOf({ values }: EffectivePolicy): RetentionRules {
  const days = (ms: number): number => Math.ceil(ms / DAY);
  const all = (times: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, days(ms)]));
  return {
    days: days(values["audit.retention.default"]),
    categories: all(values["audit.retention.categories"]),
    standards: all(values["audit.retention.standards"]),
  };
}

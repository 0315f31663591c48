/** `cofferdam audit search`. */
import type { AuditEvent, AuditLogger, AuditPage, AuditQuery } from "../../audit/index.ts";
import { FILTERS, integerOf, queryOf } from "./audit-query.ts";
import type { Command } from "./command.ts";
import { withState } from "./session.ts";

export const search: Command = {
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
    const { globals, out, signal } = context;
    const query = { ...queryOf(context), newestFirst: true, limit: integerOf(context, "limit") ?? 50, after: integerOf(context, "after") };
    const page = await withState(context, ({ audit }) => fullPage(audit, query, signal, (seq) => out.progress(`looking, at event ${seq}`)));
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

/** Pages are bounded in time and may come back with little; whoever asked on a command line waits until there is enough. */
async function fullPage(audit: AuditLogger, query: AuditQuery & { limit: number }, signal: AbortSignal, progress: (seq: number) => void): Promise<AuditPage> {
  const events: AuditEvent[] = [];
  for (let after = query.after; ; ) {
    signal.throwIfAborted();
    const page = await audit.searchPage({ ...query, limit: query.limit - events.length, after });
    events.push(...page.events);
    if (page.next === undefined || events.length === query.limit) return { events, next: page.next };
    progress(page.next);
    after = page.next;
  }
}

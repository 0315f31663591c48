/** `cofferdam evidence list|show|prune`: what was kept of containers that were stopped, and whether it is still what it was. */
import type { AuditLogger } from "../../audit/index.ts";
import { CofferdamError, formatBytes, messageOf, systemClock } from "../../foundation/index.ts";
import { evidenceFolder, type JobBook, pruneEvidence, whyNeeded } from "../../jobs/index.ts";
import { EvidenceFolder, type ReadEvidence } from "../../monitor/index.ts";
import type { Command, CommandContext, CommandGroup } from "./command.ts";
import { counted } from "./counted.ts";
import { withBook } from "./job-session.ts";
import { line } from "./line.ts";
import { openPolicy } from "./session.ts";

const list: Command = {
  name: "list",
  summary: "What is kept, oldest first, and why it may not go yet.",
  usage: "",
  examples: ["sudo cofferdam evidence list", "sudo cofferdam evidence list --json"],
  options: {},
  run: async (context) =>
    await withEvidence(context, async ({ folder, book, audit }) => {
      const { globals, out } = context;
      const listed: Listed[] = [];
      for (const { id, path, bytes } of await folder.list()) {
        try {
          const { document: _, ...read } = await folder.read(id);
          listed.push({ ...read, needed: await whyNeeded(read, { book, audit, stateDir: globals.state }) });
        } catch (error) {
          listed.push({ id, path, bytes, problem: messageOf(error) });
        }
      }
      if (globals.json) out.json({ schema: "cofferdam/evidence-list/v1", evidence: listed });
      else for (const one of listed) out.data(`${rowOf(one)}\n`);
      return 0;
    }),
};

const show: Command = {
  name: "show",
  summary: "One of them, held against the audit trail; exit 6 when it is not what was kept.",
  usage: "ID",
  examples: ["sudo cofferdam evidence show job-036092btzp-01k2...", "sudo cofferdam evidence show job-036092btzp-01k2... --json"],
  options: {},
  run: async (context) =>
    await withEvidence(context, async ({ folder, audit }) => {
      const { args, globals, out } = context;
      const [id, ...more] = args;
      if (id === undefined || more.length > 0) throw new CofferdamError("INVALID_ARGUMENT", "one id of evidence, please", { hint: "cofferdam evidence list" });
      const read = await folder.read(id);
      const record = await recordOf(read, audit);
      if (globals.json) out.json({ schema: "cofferdam/evidence-show/v1", id, sha256: read.sha256, record: record ?? null, evidence: read.document });
      else out.data(`${pageOf(read, record)}\n`);
      if (record !== undefined) return 0;
      throw new CofferdamError(
        "INTEGRITY_FAILURE",
        `no event that the audit trail still has the text of says that this was kept of job ${line(read.job)}: sha256 ${read.sha256}`,
        {
          hint: `cofferdam audit search --action EvidenceKept --session ${line(read.job)}`,
        },
      );
    }),
};

const prune: Command = {
  name: "prune",
  summary: "Takes away what is older than jobs.evidence-keep, and the oldest past jobs.evidence-size; each on record by its hash.",
  usage: "[--dry-run]",
  examples: ["sudo cofferdam evidence prune --dry-run", "sudo cofferdam evidence prune --json"],
  options: { "dry-run": { type: "boolean", describe: "only say what would go" } },
  run: async (context) =>
    await withEvidence(context, async ({ book, audit }) => {
      const { globals, out, values } = context;
      const dryRun = values["dry-run"] === true;
      const policy = await openPolicy(context);
      const { removed, kept, bytes } = await pruneEvidence(
        { book, audit, stateDir: globals.state },
        { policy, clock: systemClock, by: `uid:${process.getuid?.() ?? -1}`, dryRun },
      );
      if (globals.json) {
        out.json({ schema: "cofferdam/evidence-prune/v1", dryRun, removed: removed.map(({ about, ...one }) => ({ ...one, ...about })), kept, bytes });
        return 0;
      }
      for (const { id, why, sha256 } of removed) out.data(`${dryRun ? "would go" : "removed "} ${id}: ${WHY[why]} (sha256 ${sha256.slice(0, 16)})\n`);
      for (const { id, why } of kept) out.data(`stays    ${id}: ${line(why, 300)}\n`);
      out.note(`cofferdam: ${counted(removed.length, "file")} ${dryRun ? "would go" : "went"}, ${formatBytes(bytes)} left`);
      return 0;
    }),
};

export const evidenceCommands: CommandGroup = {
  name: "evidence",
  summary: "What was kept of containers that were stopped, and how it goes.",
  commands: [list, show, prune],
};

const WHY = { age: "old enough", size: "there is too much", unfinished: "never finished" } as const;

type Listed = Pick<ReadEvidence, "id" | "path" | "bytes"> &
  ((Omit<ReadEvidence, "document"> & { readonly needed: string | undefined; readonly problem?: undefined }) | { readonly problem: string });

function rowOf(one: Listed): string {
  const size = formatBytes(one.bytes);
  if (one.problem !== undefined) return `${one.id}  ${size}, cannot be read: ${line(one.problem, 300)}`;
  const { id, takenAt, job, threat, needed } = one;
  return `${id}  ${takenAt.slice(0, 16)}Z  job ${line(job)}, ${threatText(threat)}, ${size}${needed === undefined ? "" : `, stays: ${line(needed)}`}`;
}

interface Opened {
  readonly folder: EvidenceFolder;
  readonly book: JobBook;
  readonly audit: AuditLogger;
}

async function withEvidence<T>(context: CommandContext, work: (opened: Opened) => Promise<T>): Promise<T> {
  return await withBook(context, async (book, audit) => await work({ folder: new EvidenceFolder(evidenceFolder(context.globals.state)), book, audit }));
}

/** Of the event by which it was kept. */
async function recordOf({ job, sha256 }: ReadEvidence, audit: AuditLogger): Promise<number | undefined> {
  for (let after: number | undefined; ; ) {
    const page = await audit.searchPage({ category: "monitor", action: "EvidenceKept", sessionId: job, limit: 1000, after });
    const event = page.events.find(({ details }) => details?.["sha256"] === sha256);
    if (event !== undefined) return event.seq;
    if (page.next === undefined) return undefined;
    after = page.next;
  }
}

function pageOf({ id, path, bytes, sha256, job, container, takenAt, threat, document }: ReadEvidence, record: number | undefined): string {
  const processes = Array.isArray(document["processes"]) ? document["processes"] : [];
  return [
    `${id}  ${formatBytes(bytes)}`,
    `file      ${line(path, 400)}`,
    `sha256    ${sha256}, ${record === undefined ? "NOT on record" : `record ${record}`}`,
    `job       ${line(job)}, container ${line(container, 12)}, ${takenAt}`,
    `threat    ${threatText(threat)}`,
    ...processes.slice(0, 40).map((one) => `process   ${line(JSON.stringify(one), 400)}`),
    ...(processes.length > 40 ? [`          and ${processes.length - 40} more (--json has all of it)`] : []),
  ].join("\n");
}

function threatText(threat: ReadEvidence["threat"]): string {
  return threat === undefined ? "no threat" : `${line(threat.severity)} ${line(threat.type)}${threat.id === undefined ? "" : ` (${line(threat.id)})`}`;
}

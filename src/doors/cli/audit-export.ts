/** `cofferdam audit export`. */
import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type AuditLogger, EXPORT_FORMATS, type ExportFormat, type ExportOptions, STANDARDS, type VerifyReport } from "../../audit/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { checkpointsOf, createFile, FILTERS, keysOf, queryOf, TRUST, wordOf } from "./audit-query.ts";
import type { Command, CommandContext } from "./command.ts";
import { withState } from "./session.ts";

const REPORTS: readonly ExportFormat[] = ["compliance", "compliance-text"];

export const exportCommand: Command = {
  name: "export",
  summary: "Writes events, oldest first; as a bundle, so that others can verify them; as a report for auditors.",
  usage: `[FILTERS] [--format ${EXPORT_FORMATS.join("|")}] [--output FILE]`,
  examples: [
    "cofferdam audit export --format csv --since 30d --output audit.csv",
    "cofferdam audit export --format bundle --output audit.bundle",
    "cofferdam audit export --format compliance --standard soc2 --since 2026-01-01 --until 2026-03-31 --output soc2.json",
    "cofferdam audit export --format compliance-text --since 90d",
    "cofferdam audit export | jq '.[].action'",
  ],
  options: {
    ...FILTERS,
    format: { type: "string", value: EXPORT_FORMATS.join("|"), describe: "default json" },
    standard: { type: "string", value: STANDARDS.join("|"), describe: "of a compliance report; without it, all of them" },
    ...TRUST,
    output: { type: "string", value: "FILE", describe: "a new file, mode 0600; without it, stdout" },
  },
  async run(context) {
    const { values, out, cwd, globals } = context;
    const format = oneOf(EXPORT_FORMATS, values["format"] ?? "json", "format");
    const options = await optionsOf(context, format);
    const query = queryOf(context);
    const path = typeof values["output"] === "string" ? resolve(cwd, values["output"]) : undefined;
    let report: VerifyReport | undefined;
    const bytes = await withState(context, async ({ audit }) =>
      write(context, path, audit.exportStream(query, format, { ...options, onVerified: (verified) => (report = verified) })),
    );
    if (path !== undefined && globals.json) out.json({ schema: "cofferdam/audit-export/v1", file: path, format, bytes });
    else if (path !== undefined) out.note(`wrote ${path} (${bytes} bytes)`);
    if (report !== undefined && report.failed > 0) out.fault(`audit: BROKEN, ${report.failed} faults: the report says which`);
    return report !== undefined && report.failed > 0 ? 6 : 0;
  },
};

/** @returns bytes written. */
async function write({ out, signal }: CommandContext, path: string | undefined, pieces: ReturnType<AuditLogger["exportStream"]>): Promise<number> {
  const file = path === undefined ? undefined : await createFile(path);
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      // A reader that went away shows between two turns of the event loop.
      await setImmediate();
      signal.throwIfAborted();
      bytes += Buffer.byteLength(piece);
      if (file === undefined) out.data(piece);
      else await file.writeFile(piece);
    }
    await file?.sync();
    await file?.close();
    return bytes;
  } catch (error) {
    await file?.close();
    // Half an export looks like a whole one. The file is ours: it was new.
    if (path !== undefined && file !== undefined) await rm(path, { force: true });
    throw error;
  }
}

async function optionsOf(context: CommandContext, format: ExportFormat): Promise<ExportOptions> {
  const { values, signal } = context;
  const standard = wordOf(values["standard"]);
  const [keys, checkpoints] = [await keysOf(context), await checkpointsOf(context)];
  if (!REPORTS.includes(format) && (standard !== undefined || keys.length + checkpoints.length > 0))
    throw new CofferdamError("INVALID_ARGUMENT", "--standard, --key and --checkpoint belong to --format compliance");
  return {
    signal,
    ...(standard === undefined ? {} : { standard: oneOf(STANDARDS, standard, "standard") }),
    ...(keys.length > 0 ? { keys } : {}),
    ...(checkpoints.length > 0 ? { checkpoints } : {}),
  };
}

function oneOf<T extends string>(words: readonly T[], given: unknown, what: string): T {
  const found = words.find((one) => one === given);
  if (found === undefined) throw new CofferdamError("INVALID_ARGUMENT", `no ${what} ${String(given).slice(0, 40)}: ${words.join(", ")}`);
  return found;
}

/** `cofferdam audit export`. */
import { resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { EXPORT_FORMATS } from "../../audit/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { createFile, FILTERS, queryOf } from "./audit-query.ts";
import type { Command } from "./command.ts";
import { withState } from "./session.ts";

export const exportCommand: Command = {
  name: "export",
  summary: "Writes events, oldest first; as a bundle, so that others can verify them.",
  usage: `[FILTERS] [--format ${EXPORT_FORMATS.join("|")}] [--output FILE]`,
  examples: [
    "cofferdam audit export --format csv --since 30d --output audit.csv",
    "cofferdam audit export --format bundle --output audit.bundle",
    "cofferdam audit export | jq '.[].action'",
  ],
  options: {
    ...FILTERS,
    format: { type: "string", value: EXPORT_FORMATS.join("|"), describe: "default json" },
    output: { type: "string", value: "FILE", describe: "a new file, mode 0600; without it, stdout" },
  },
  async run(context) {
    const { values, out, cwd, globals } = context;
    const format = EXPORT_FORMATS.find((one) => one === (values["format"] ?? "json"));
    if (format === undefined) throw new CofferdamError("INVALID_ARGUMENT", `no format ${String(values["format"]).slice(0, 40)}: ${EXPORT_FORMATS.join(", ")}`);
    const path = typeof values["output"] === "string" ? resolve(cwd, values["output"]) : undefined;
    const file = path === undefined ? undefined : await createFile(path);
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

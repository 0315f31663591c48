/** `cofferdam scan`. */
import { relative, resolve } from "node:path";
import { CofferdamError, ERROR_TABLE, replaceFile, systemClock } from "../../foundation/index.ts";
import { bomOf, cycloneDxText, type Scan, sarifText, scan, scanDocument } from "../../packages/scan/index.ts";
import { gitRoot } from "../../policy/index.ts";
import { Telemetry } from "../../telemetry/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { scanReport } from "./scan-report.ts";
import { openAdvisories, openPolicy, withState } from "./session.ts";
import { version } from "./version.ts";

const FORMATS = ["table", "json", "sarif", "cyclonedx"] as const;
type Format = (typeof FORMATS)[number];

export const scanCommand: Command = {
  name: "scan",
  summary: "Looks packages up in the advisories of this machine (cofferdam db), and judges what it finds by the policy.",
  usage: "[DIR|LOCKFILE|pkg:npm/NAME@VERSION] [--format table|json|sarif|cyclonedx] [--output FILE] [--base REF]",
  examples: [
    "cofferdam scan",
    "cofferdam scan --format sarif --output cofferdam.sarif",
    "cofferdam scan --base origin/release-2 path/to/package-lock.json",
    "cofferdam scan pkg:npm/lodash@4.17.20",
  ],
  options: {
    format: { type: "string", value: "FORMAT", describe: "table (default), json, sarif or cyclonedx" },
    output: { type: "string", value: "FILE", describe: "write it there instead; a file of that name is replaced" },
    base: { type: "string", value: "REF", describe: "branch or commit to compare with (default: policy, else the remote's default branch)" },
  },
  run,
};

async function run(context: CommandContext): Promise<number> {
  const { args, values, out, cwd, signal, globals } = context;
  if (args.length > 1) throw new CofferdamError("INVALID_ARGUMENT", "one target at a time", { hint: "cofferdam scan --help" });
  const format = formatOf(values["format"], globals.json);
  const policy = await openPolicy(context);
  for (const notice of policy.notices) out.note(`cofferdam: ${notice}`);
  const telemetry = new Telemetry({ thresholds: { scan: policy.values["thresholds.scan"], audit: policy.values["thresholds.audit"] } });
  const base = typeof values["base"] === "string" ? values["base"] : undefined;
  const done = await withState(context, async ({ store, audit }) => {
    await using advisories = await openAdvisories(context);
    return await scan({ target: args[0], cwd, base, details: format !== "table", policy, store, audit, advisories, clock: systemClock, telemetry, signal });
  });
  const text = textOf(format, done);
  if (typeof values["output"] === "string") {
    await replaceFile(resolve(cwd, values["output"]), text);
    out.note(`cofferdam: ${done.result.findings.length} findings in ${values["output"]}`);
  } else out.data(text);
  const { stoppedBy } = done.result;
  return stoppedBy === undefined ? 0 : ERROR_TABLE[stoppedBy].exit;
}

function formatOf(value: unknown, json: boolean): Format {
  if (value === undefined) return json ? "json" : "table";
  const format = FORMATS.find((name) => name === value);
  if (format === undefined) throw new CofferdamError("INVALID_ARGUMENT", `no format ${JSON.stringify(String(value).slice(0, 40))}: ${FORMATS.join(", ")}`);
  return format;
}

function textOf(format: Format, { result, target }: Scan): string {
  switch (format) {
    case "table":
      return scanReport(result, systemClock.now());
    case "json":
      return `${JSON.stringify(scanDocument(result))}\n`;
    case "sarif":
      return sarifText(result, { version: version(), folder: relative(gitRoot(result.root), result.root) });
    case "cyclonedx":
      return cycloneDxText(result, { ...bomOf(target), version: version(), at: systemClock.now() });
  }
}

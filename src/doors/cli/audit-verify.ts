/** `cofferdam audit verify`: the log of the state directory, a bundle, or the proof of one event. */
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  type AuditFault,
  type BundleReport,
  boundedLines,
  openCheckpoint,
  parseVerifierKey,
  type VerifyReport,
  verifyBundle,
  verifyProof,
} from "../../audit/index.ts";
import { CofferdamError, wrapError } from "../../foundation/index.ts";
import { checkpointsOf, FILTERS, keysOf, queryOf, readText, TRUST, wordOf } from "./audit-query.ts";
import type { Command, CommandContext } from "./command.ts";
import { withState } from "./session.ts";

const MAX_PROOF = 160 * 1024;
const MAX_STATE = 4 * 2 ** 20;

export const verify: Command = {
  name: "verify",
  summary: "Recomputes every hash of the trail; holds it against what you bring from outside.",
  usage: "[--checkpoint FILE]... [--key KEY|FILE]... [--bundle FILE | --proof FILE | --since TIME --until TIME]",
  examples: [
    "cofferdam audit verify",
    "cofferdam audit verify --checkpoint /mnt/elsewhere/checkpoint --key log.key",
    "cofferdam audit verify --bundle audit.bundle --key log.key",
    "cofferdam audit verify --proof 4182.tlog-proof --key log.key",
  ],
  options: {
    ...TRUST,
    bundle: { type: "string", value: "FILE", describe: "verify this bundle; no state directory is opened" },
    proof: { type: "string", value: "FILE", describe: "verify this proof of one event; no state directory is opened" },
    since: FILTERS.since,
    until: FILTERS.until,
    deep: { type: "boolean", describe: "also make every text anew from its values" },
    resume: { type: "string", value: "FILE", describe: "go on where this file says; it is written anew, and believed" },
  },
  async run(context) {
    const { values } = context;
    const [bundle, proof] = [wordOf(values["bundle"]), wordOf(values["proof"])];
    if (bundle !== undefined && proof !== undefined) throw new CofferdamError("INVALID_ARGUMENT", "--bundle and --proof: one of them");
    if (bundle !== undefined) return await verifyBundleFile(context, bundle);
    if (proof !== undefined) return await verifyProofFile(context, proof);
    return await verifyState(context);
  },
};

async function verifyState(context: CommandContext): Promise<number> {
  const { values, out, globals, cwd, signal } = context;
  const { startDate, endDate } = queryOf(context);
  const [keys, checkpoints, file] = [await keysOf(context), await checkpointsOf(context), wordOf(values["resume"])];
  const before = file === undefined ? undefined : await stateIn(resolve(cwd, file));
  const report = await withState(context, ({ audit }) =>
    audit.verify({ startDate, endDate, checkpoints, deep: values["deep"] === true, resume: before, signal, ...(keys.length > 0 ? { keys } : {}) }),
  );
  if (file !== undefined && report.state !== undefined) await writeState(resolve(cwd, file), report.state);
  signal.throwIfAborted();
  if (globals.json) {
    const { state: _state, ...document } = report;
    out.json({ schema: "cofferdam/audit-verify/v1", ...document });
  } else if (report.failed === 0) out.note(wholeWords(report));
  else {
    out.fault(
      `audit: BROKEN, ${faultCount(report.failed)} in ${report.size} events${report.sound === undefined ? "" : `; events ${report.sound.from} to ${report.sound.to} verify`}`,
    );
    sayFaults(context, report.errors);
  }
  return report.failed === 0 ? 0 : 6;
}

function wholeWords(report: VerifyReport): string {
  const pruned = report.pruned === 0 ? "" : `, ${report.pruned} of them without their text (retention)`;
  const lines = [
    `audit: ${report.verified} events verified${pruned}; ${report.anchored ? `anchored at ${report.checkpoint?.size ?? 0}` : "not anchored: no outside copy was given"}`,
  ];
  if (report.keyReplaced) lines.push("  the log's key was lost and replaced: only the log itself vouches for the new one");
  if (!report.anchored && report.head !== undefined) {
    lines.push(
      `  head ${report.head.seq} ${report.head.hash}`,
      "  to anchor: keep `cofferdam audit checkpoint --output FILE` elsewhere, and give it back with --checkpoint",
    );
  }
  return lines.join("\n");
}

async function verifyBundleFile(context: CommandContext, path: string): Promise<number> {
  const { out, globals, cwd } = context;
  const keys = await pinnedKeys(context);
  const outside = (await checkpointsOf(context)).map((note) => openCheckpoint(note, keys));
  let report: BundleReport;
  try {
    report = await verifyBundle(boundedLines(createReadStream(resolve(cwd, path))), { keys, outside });
  } catch (error) {
    throw wrapError(error, "NOT_FOUND", `cannot read the bundle ${path}`);
  }
  if (globals.json) out.json({ schema: "cofferdam/audit-verify/v1", ...report });
  else if (report.failed === 0) {
    const events = report.mode === "all" ? `all ${report.verified} events` : `${report.verified} of ${report.size} events, each with its proof`;
    out.note(`audit: bundle of ${events} verified; signed by ${[...report.signed, ...report.cosigned.map(({ name }) => name)].join(", ")}`);
    out.note(
      report.anchored
        ? "  anchored"
        : "  not anchored: the log's own host could have signed it; a checkpoint kept elsewhere (--checkpoint) or a witness's key would tell",
    );
  } else {
    out.fault(`audit: BROKEN, ${faultCount(report.failed)} in the bundle of ${report.origin}`);
    sayFaults(context, report.errors);
  }
  return report.failed === 0 ? 0 : 6;
}

async function verifyProofFile(context: CommandContext, path: string): Promise<number> {
  const { out, globals, cwd } = context;
  const keys = await pinnedKeys(context);
  const { event, checkpoint } = verifyProof(await readText(path, cwd, MAX_PROOF, "proof"), keys);
  const signed = [...checkpoint.signed, ...checkpoint.cosigned].map(({ key }) => `${key.name}+${key.id}`);
  // A witness whose key was brought from outside saw this tree.
  const anchored = checkpoint.cosigned.length > 0;
  if (globals.json) {
    const { root, size, origin } = checkpoint;
    out.json({ schema: "cofferdam/audit-verify/v1", verified: 1, failed: 0, errors: [], size, root: root.toString("base64"), anchored, origin, signed, event });
  } else
    out.note(
      `audit: event ${event.seq} of ${event.timestamp} (${event.category}/${event.action}) is in the log of ${checkpoint.size}; signed by ${signed.join(", ")}`,
    );
  return 0;
}

async function pinnedKeys(context: CommandContext): Promise<ReturnType<typeof parseVerifierKey>[]> {
  const keys = await keysOf(context);
  if (keys.length === 0)
    throw new CofferdamError("INVALID_ARGUMENT", "which key? --key name+id+base64, from somebody you trust", {
      hint: "its holder prints it: cofferdam audit checkpoint --show-key",
    });
  return keys.map(parseVerifierKey);
}

async function stateIn(path: string): Promise<unknown> {
  try {
    const text = await readText(path, "/", MAX_STATE, "state of a verification");
    return JSON.parse(text);
  } catch (error) {
    // The first run has nothing to go on from.
    if (error instanceof CofferdamError && error.code === "NOT_FOUND") return undefined;
    throw wrapError(error, "INVALID_ARGUMENT", `${path} is not the state of a verification`);
  }
}

async function writeState(path: string, state: object): Promise<void> {
  try {
    await writeFile(path, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  } catch (error) {
    throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${path}`);
  }
}

function sayFaults({ out }: CommandContext, faults: readonly AuditFault[]): void {
  for (const fault of faults.slice(0, 20)) out.fault(`${fault.kind.padEnd(9)} event ${fault.seq}: ${fault.detail}`);
}

function faultCount(count: number): string {
  return count === 1 ? "1 fault" : `${count} faults`;
}

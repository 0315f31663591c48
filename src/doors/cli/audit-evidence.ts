/** `cofferdam audit evidence`: a folder for an auditor, and the check of one. */
import { resolve } from "node:path";
import { checkEvidence, type EvidenceCheck, type EvidenceReport, openCheckpoint, parseVerifierKey } from "../../audit/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { checkpointsOf, integerOf, keysOf, TRUST, time, wordOf } from "./audit-query.ts";
import type { Command, CommandContext } from "./command.ts";
import { withState } from "./session.ts";

export const evidence: Command = {
  name: "evidence",
  summary: "Writes a folder for an auditor: every event of a period, samples, proofs, and how to check them; or checks one.",
  usage: "[--from TIME] [--to TIME] [--output DIR] | --check DIR --key KEY|FILE",
  examples: [
    "cofferdam audit evidence --from 2026-01-01 --to 2026-03-31 --output evidence-q1",
    "cofferdam audit evidence --from 2026-01-01 --checkpoint /mnt/elsewhere/checkpoint --sample 40 --seed audit-2026",
    "cofferdam audit evidence --check evidence-q1 --key log.key",
  ],
  options: {
    from: { type: "string", value: "TIME", describe: "2026-01-31, a full ISO time, or how long ago: 24h; default: the beginning" },
    to: { type: "string", value: "TIME", describe: "likewise, inclusive: of a day, all of it (UTC); default: the end" },
    output: { type: "string", value: "DIR", describe: "a new folder, mode 0700 (default: evidence-FROM-TO here)" },
    sample: { type: "string", value: "N", describe: "samples of each kind of event (default 25)" },
    seed: { type: "string", value: "TEXT", describe: "draws the samples; default: the root of the checkpoint" },
    check: { type: "string", value: "DIR", describe: "check this folder; no state directory is opened" },
    ...TRUST,
  },
  async run(context) {
    const folder = wordOf(context.values["check"]);
    if (folder === undefined) return await write(context);
    const making = ["from", "to", "output", "sample", "seed"].filter((name) => context.values[name] !== undefined);
    if (making.length > 0) throw new CofferdamError("INVALID_ARGUMENT", `--check only looks: no --${making.join(", --")}, please`);
    return await check(context, folder);
  },
};

async function write(context: CommandContext): Promise<number> {
  const { values, out, globals, cwd, signal } = context;
  const [startDate, endDate] = [time(wordOf(values["from"]), "start"), time(wordOf(values["to"]), "end")];
  const [keys, checkpoints, seed] = [await keysOf(context), await checkpointsOf(context), wordOf(values["seed"])];
  const directory = resolve(cwd, wordOf(values["output"]) ?? `evidence-${dayOf(startDate) ?? "start"}-${dayOf(endDate) ?? "end"}`);
  const options = { signal, seed, perKind: integerOf(context, "sample"), ...(keys.length > 0 ? { keys } : {}), checkpoints };
  const report = await withState(context, ({ audit }) => audit.evidence(directory, { startDate, endDate }, options));
  const { verification } = report;
  if (globals.json) out.json(documentOf(report));
  else {
    const anchored = verification.anchored
      ? "anchored"
      : "not anchored: keep `cofferdam audit checkpoint --output FILE` elsewhere, and give it with --checkpoint";
    out.note(`audit: ${report.events} events, ${report.samples} samples with proofs; ${anchored}\n  ${directory}\n  to check it there: VERIFY.md`);
    if (verification.failed > 0) out.fault(`audit: BROKEN, ${verification.failed} faults: index.html says which`);
  }
  return verification.failed === 0 ? 0 : 6;
}

function documentOf({ directory, events, samples, files, sums, verification }: EvidenceReport): object {
  const { state: _state, ...rest } = verification;
  return { schema: "cofferdam/audit-evidence/v1", directory, events, samples, files, sums, verification: rest };
}

async function check(context: CommandContext, folder: string): Promise<number> {
  const { out, globals, cwd } = context;
  const keys = (await keysOf(context)).map(parseVerifierKey);
  if (keys.length === 0)
    throw new CofferdamError("INVALID_ARGUMENT", "which key? --key name+id+base64, from somebody you trust and not from the folder", {
      hint: "its holder prints it: cofferdam audit checkpoint --show-key",
    });
  const outside = (await checkpointsOf(context)).map((note) => openCheckpoint(note, keys));
  const result = await checkEvidence(resolve(cwd, folder), keys, outside);
  if (globals.json) out.json({ schema: "cofferdam/audit-evidence-check/v1", ...result });
  else say(context, result);
  return result.failed === 0 ? 0 : 6;
}

function say({ out }: CommandContext, { files, events, samples, failed, faults, bundle }: EvidenceCheck): void {
  if (failed === 0) {
    const anchored = bundle.anchored ? "anchored" : "not anchored: the log's own host could have signed it";
    out.note(
      `audit: evidence holds: ${files} files, ${events} events, ${samples} samples; signed by ${[...bundle.signed, ...bundle.cosigned.map(({ name }) => name)].join(", ")}; ${anchored}`,
    );
    return;
  }
  out.fault(`audit: BROKEN evidence, ${failed === 1 ? "1 fault" : `${failed} faults`}`);
  for (const { file, detail } of faults.slice(0, 20)) out.fault(`  ${file}: ${detail}`);
}

function dayOf(date: Date | undefined): string | undefined {
  return date?.toISOString().slice(0, 10);
}

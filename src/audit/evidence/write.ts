/** Writes a folder of evidence from one snapshot of the log: what is in it is listed in docs/audit-export.md. */
import { CofferdamError, isoTime, systemClock } from "../../foundation/index.ts";
import { parseBody } from "../body.ts";
import type { SignedCheckpoint } from "../checkpoint-table.ts";
import { anchoringOf, holdsOf, NOTICE } from "../compliance/report.ts";
import { PeriodTally } from "../compliance/tally.ts";
import { bundle } from "../exporters/bundle.ts";
import type { ExportSource } from "../exporters/format.ts";
import { codeOf, type ExportOptions, type ExportParts, recordExport, withSnapshot } from "../exports.ts";
import { eventOf } from "../log-table.ts";
import { formatVerifierKey } from "../note.ts";
import { formatProof, proveEvent } from "../proof.ts";
import { type AuditQuery, isoOf } from "../query.ts";
import { SAMPLE_METHOD } from "../sample.ts";
import { matchingRows } from "../search.ts";
import { ringOf } from "../signer.ts";
import type { VerifyReport } from "../verify.ts";
import { guideText } from "./guide.ts";
import { EVIDENCE_SCHEMA, type EvidenceManifest } from "./manifest.ts";
import { NewFolder } from "./new-folder.ts";
import { evidencePage, type SampleRow, sampleRow } from "./page.ts";
import { POPULATION_HEADER, Population } from "./population.ts";

export interface EvidenceOptions extends ExportOptions {
  /** Samples of each kind of event, 1 to 1000. Default 25. */
  readonly perKind?: number | undefined;
}

export interface EvidenceReport {
  readonly directory: string;
  readonly events: number;
  readonly samples: number;
  readonly files: number;
  /** SHA-256 of SHA256SUMS, hex; the log has it too. */
  readonly sums: string;
  readonly verification: VerifyReport;
}

/**
 * @param directory a new folder. @param period `startDate` and `endDate` alone.
 * Throws FAILED_PRECONDITION (the folder exists, there is no checkpoint), INVALID_ARGUMENT, RESOURCE_EXHAUSTED (the disk is
 * full), INTEGRITY_FAILURE for events that cannot be read. Then there is no folder; from the moment that one was
 * begun, the log says that there was a try. AUDIT_UNAVAILABLE when the folder is there and the log could not record it.
 */
export async function writeEvidence(
  parts: ExportParts,
  directory: string,
  period: Pick<AuditQuery, "startDate" | "endDate">,
  { perKind = 25, ...options }: EvidenceOptions,
): Promise<EvidenceReport> {
  const about = { format: "evidence", query: period, options };
  if (!Number.isInteger(perKind) || perKind < 1 || perKind > 1000) throw new CofferdamError("INVALID_ARGUMENT", "samples of a kind: 1 to 1000");
  const { startDate: _from, endDate: _to, ...filters } = period;
  // A folder of some events would look like one of all.
  if (Object.values<unknown>(filters).some((value) => value !== undefined))
    throw new CofferdamError("INVALID_ARGUMENT", "evidence has all events of a period: startDate and endDate alone, please");
  const folder = await NewFolder.create(directory);
  try {
    const written = await withSnapshot(parts, { query: period, options, checkpoint: "wanted" }, (source) => fill(folder, source, perKind));
    const done = await folder.finish();
    await recordExport(parts, about, { sha256: done.sums });
    return { directory, ...done, ...written };
  } catch (error) {
    await folder.discard();
    await recordExport(parts, about, { code: codeOf(error) }).catch(() => undefined);
    throw error;
  }
}

async function fill(folder: NewFolder, source: ExportSource, perKind: number): Promise<Omit<EvidenceReport, "directory" | "files" | "sums">> {
  const { checkpoint, checkpointProblem, log, tx } = source;
  if (checkpoint === undefined)
    throw checkpointProblem ?? new CofferdamError("FAILED_PRECONDITION", "the audit trail has no checkpoint: there is nothing to prove events with");
  const verification = await source.verify();
  const manifest = await withPopulation(folder, { ...source, checkpoint }, verification, perKind);
  await folder.write("events.bundle", bundle.write(source));
  const rows: SampleRow[] = [];
  for (const seq of manifest.samples.kinds.flatMap(({ seqs }) => seqs).sort((a, b) => a - b)) {
    const proof = await proveEvent(tx, seq, checkpoint);
    const event = parseBody(proof.body ?? "");
    if (proof.body === undefined || event === undefined) throw new CofferdamError("INTERNAL", `event ${seq} was there, and is not any more`);
    await folder.write(`samples/${seq}.json`, [`${proof.body}\n`]);
    await folder.write(`proofs/${seq}.tlog-proof`, [formatProof(proof)]);
    rows.push(sampleRow(event));
    source.signal?.throwIfAborted();
  }
  const keys = (await ringOf(tx, log)).keysFor(checkpoint.size).map(formatVerifierKey);
  await folder.write("checkpoint", [checkpoint.note]);
  await folder.write(
    "log.key",
    keys.map((key) => `${key}\n`),
  );
  await folder.write("evidence.json", [`${JSON.stringify(manifest, null, 1)}\n`]);
  await folder.write("VERIFY.md", [guideText(manifest)]);
  await folder.write("index.html", [evidencePage(manifest, rows, checkpoint.note)]);
  return { events: manifest.population.events, samples: rows.length, verification };
}

/** Writes population.csv. @returns what is known of the period after that. */
async function withPopulation(
  folder: NewFolder,
  source: ExportSource & { readonly checkpoint: SignedCheckpoint },
  { state: _state, ...verification }: VerifyReport,
  perKind: number,
): Promise<EvidenceManifest> {
  const { checkpoint, query, log, by } = source;
  const seed = source.seed ?? checkpoint.root.toString("base64");
  const population = new Population(seed, perKind);
  const tally = new PeriodTally();
  let newer = 0;
  async function* rows(): AsyncGenerator<string> {
    yield POPULATION_HEADER;
    for await (const row of matchingRows(source.tx, query, source.signal)) {
      const { integrity: _integrity, ...event } = eventOf(row, log);
      // Appended since the checkpoint was made: there is no proof for it, so it is not part of this.
      if (event.seq > checkpoint.size) newer += 1;
      else {
        tally.add(event);
        yield population.add(String(row["body"]), event);
      }
    }
  }
  await folder.write("population.csv", rows());
  const at = isoTime(systemClock);
  const [from, to] = [isoOf(query.startDate), isoOf(query.endDate)];
  return {
    schema: EVIDENCE_SCHEMA,
    notice: NOTICE,
    log: log.logId,
    period: { from: from ?? null, to: to ?? null },
    population: { ...population.extent, all: tally.all ?? null },
    kinds: tally.kinds,
    samples: { method: SAMPLE_METHOD, seed, perKind, kinds: population.samples },
    gaps: { daysWithoutEvents: tally.quiet(from, to === undefined || to < at ? to : at), weaknesses: tally.weaknesses },
    holds: await holdsOf(source),
    checkpoint: { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root.toString("base64"), madeAt: checkpoint.madeAt },
    newer,
    verification,
    anchoring: anchoringOf(verification),
    exported: { ...by, at },
  };
}

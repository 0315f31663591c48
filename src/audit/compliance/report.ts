/**
 * The compliance report: for a period, which events are evidence for which control, what weakens that evidence, whether the
 * trail holds, and proofs of a sample. It is evidence and says so; whether a control is met is for an auditor to say.
 */
import { isoTime, messageOf, systemClock } from "../../foundation/index.ts";
import type { Transaction } from "../../store/index.ts";
import type { SignedCheckpoint } from "../checkpoint-table.ts";
import type { ExportedBy } from "../exported-by.ts";
import type { ExportSource } from "../exporters/format.ts";
import { activeHolds, type Hold } from "../holds.ts";
import { formatProof, proveEvent } from "../proof.ts";
import { isoOf } from "../query.ts";
import { SAMPLE_METHOD, Sample } from "../sample.ts";
import type { VerifyReport } from "../verify.ts";
import { CONTROLS, isEvidence, STANDARDS, type Standard } from "./controls.ts";
import type { Tally } from "./counter.ts";
import type { KindTally } from "./kind-tallies.ts";
import type { QuietDays } from "./quiet-days.ts";
import { PeriodTally, type Weakness } from "./tally.ts";

export interface ControlEvidence {
  readonly id: string;
  readonly title: string;
  readonly events: number;
  readonly evidence: readonly KindTally[];
  readonly notCovered: string;
}

export interface ComplianceReport {
  readonly schema: "cofferdam/audit-compliance/v1";
  readonly notice: string;
  readonly log: string;
  readonly period: { readonly from: string | null; readonly to: string | null; readonly events: Tally | null };
  readonly standards: readonly { readonly standard: Standard; readonly name: string; readonly controls: readonly ControlEvidence[] }[];
  /** Kinds of events that are evidence for no control of these standards. */
  readonly unmapped: readonly KindTally[];
  readonly gaps: {
    readonly daysWithoutEvents: QuietDays;
    readonly weaknesses: readonly (Tally & { readonly what: Weakness; readonly meaning: string })[];
    /** Events of the whole trail whose text retention took away: they are in no count of this report. */
    readonly pruned: number;
  };
  /** Of the whole trail, not of the period alone. */
  readonly verification: Omit<VerifyReport, "state">;
  readonly anchoring: string;
  readonly checkpoint: {
    readonly size: number;
    readonly root: string;
    /** By the clock of the log's host; not signed. */
    readonly madeAt: string;
    readonly note: string;
    /** Events of the trail that it does not cover yet, and why. */
    readonly uncovered: number;
    readonly problem: string | null;
  } | null;
  readonly sample: {
    readonly method: string;
    readonly seed: string;
    readonly of: number;
    /** `proof` is null where there is none, and `problem` says why. */
    readonly events: readonly SampledEvent[];
  };
  readonly holds: { readonly active: readonly Hold[]; readonly problem: string | null };
  readonly exported: ExportedBy & { readonly at: string };
}

export interface SampledEvent {
  readonly seq: number;
  /** c2sp.org/tlog-proof@v1, with the event's text. */
  readonly proof: string | null;
  readonly problem: string | null;
}

export const NOTICE =
  "This is evidence from one audit trail: which events were recorded, and whether the trail holds. It is not a certification, and no control is met by it alone.";
const ANCHORED = "anchored: a checkpoint or a witness from outside fits this trail";
const UNANCHORED =
  "not anchored: nothing from outside of the log's own host was brought to compare with. Keep `cofferdam audit checkpoint --output FILE` elsewhere, and export with --checkpoint FILE";
const SAMPLE_SIZE = 25;

/** Reads the whole snapshot. Throws INTEGRITY_FAILURE for events that cannot be read: no count would be true. */
export async function complianceReport(source: ExportSource): Promise<ComplianceReport> {
  const { checkpoint, checkpointProblem, query, tx, log, by } = source;
  const { state: _state, ...verification } = await source.verify();
  const seed = source.seed ?? checkpoint?.root.toString("base64") ?? log.logId;
  const sample = new Sample(seed, SAMPLE_SIZE);
  const tally = new PeriodTally();
  for await (const event of source.events) {
    tally.add(event);
    if (checkpoint !== undefined && event.seq <= checkpoint.size) sample.add(event.seq);
  }
  const proofs: SampledEvent[] = [];
  if (checkpoint !== undefined) for (const seq of sample.seqs) proofs.push(await proofOf(tx, seq, checkpoint));
  const standards = source.standard === undefined ? STANDARDS : [source.standard];
  const at = isoTime(systemClock);
  const [from, to] = [isoOf(query.startDate), isoOf(query.endDate)];
  return {
    schema: "cofferdam/audit-compliance/v1",
    notice: NOTICE,
    log: log.logId,
    period: { from: from ?? null, to: to ?? null, events: tally.all ?? null },
    standards: standards.map((standard) => ({ standard, ...evidenceFor(standard, tally.kinds) })),
    unmapped: tally.kinds.filter(
      ({ category, action }) => !standards.some((standard) => CONTROLS[standard].controls.some((control) => isSpecific(control.evidence, category, action))),
    ),
    gaps: {
      // Days that are still to come are no gap.
      daysWithoutEvents: tally.quiet(from, to === undefined || to < at ? to : at),
      weaknesses: tally.weaknesses,
      pruned: verification.pruned,
    },
    verification,
    anchoring: anchoringOf(verification),
    checkpoint:
      checkpoint === undefined
        ? null
        : {
            size: checkpoint.size,
            root: checkpoint.root.toString("base64"),
            madeAt: checkpoint.madeAt,
            note: checkpoint.note,
            uncovered: Math.max(0, verification.size - checkpoint.size),
            problem: checkpointProblem?.message ?? null,
          },
    sample: { method: SAMPLE_METHOD, seed, of: sample.of, events: proofs },
    holds: await holdsOf(source),
    exported: { ...by, at },
  };
}

/** An event that is not what the checkpoint says has no proof; that is for the report to say, not to fail on. */
async function proofOf(tx: Transaction, seq: number, checkpoint: SignedCheckpoint): Promise<SampledEvent> {
  try {
    return { seq, proof: formatProof(await proveEvent(tx, seq, checkpoint)), problem: null };
  } catch (error) {
    return { seq, proof: null, problem: messageOf(error) };
  }
}

/** Whether the trail is anchored, and how to anchor it. */
export function anchoringOf({ anchored }: Pick<VerifyReport, "anchored">): string {
  return anchored ? ANCHORED : UNANCHORED;
}

function evidenceFor(standard: Standard, kinds: readonly KindTally[]): { readonly name: string; readonly controls: readonly ControlEvidence[] } {
  const { name, controls } = CONTROLS[standard];
  return {
    name,
    controls: controls.map((control) => {
      const evidence = kinds.filter(({ category, action }) => isEvidence(control, category, action));
      return { id: control.id, title: control.title, events: evidence.reduce((sum, { count }) => sum + count, 0), evidence, notCovered: control.notCovered };
    }),
  };
}

/** That every event is evidence of there being a log does not map its kind to anything. */
function isSpecific(evidence: readonly string[], category: string, action: string): boolean {
  return evidence.some((kind) => kind === `${category}/*` || kind === `${category}/${action}`);
}

/** Holds in force, or why they cannot be read. */
export async function holdsOf({ tx }: ExportSource): Promise<ComplianceReport["holds"]> {
  try {
    return { active: await activeHolds(tx), problem: null };
  } catch (error) {
    return { active: [], problem: messageOf(error) };
  }
}

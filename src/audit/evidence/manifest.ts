/** evidence.json: what a folder of evidence is of, and how it was made. */
import { z } from "zod";
import type { Tally } from "../compliance/counter.ts";
import type { KindTally } from "../compliance/kind-tallies.ts";
import type { QuietDays } from "../compliance/quiet-days.ts";
import type { Weakness } from "../compliance/tally.ts";
import type { ExportedBy } from "../exported-by.ts";
import type { Hold } from "../holds.ts";
import type { VerifyReport } from "../verify.ts";
import type { KindSample, Population } from "./population.ts";

export const EVIDENCE_SCHEMA = "cofferdam/audit-evidence-folder/v1";

export interface EvidenceManifest {
  readonly schema: typeof EVIDENCE_SCHEMA;
  readonly notice: string;
  readonly log: string;
  readonly period: { readonly from: string | null; readonly to: string | null };
  readonly population: Population["extent"] & { readonly all: Tally | null };
  readonly kinds: readonly KindTally[];
  readonly samples: { readonly method: string; readonly seed: string; readonly perKind: number; readonly kinds: readonly KindSample[] };
  readonly gaps: {
    readonly daysWithoutEvents: QuietDays;
    readonly weaknesses: readonly (Tally & { readonly what: Weakness; readonly meaning: string })[];
  };
  readonly holds: { readonly active: readonly Hold[]; readonly problem: string | null };
  readonly checkpoint: { readonly origin: string; readonly size: number; readonly root: string; readonly madeAt: string };
  /** Events of the period that are newer than the checkpoint: they are not in this folder. */
  readonly newer: number;
  /** What the exporting host found; whoever holds the folder verifies for himself. */
  readonly verification: Omit<VerifyReport, "state">;
  readonly anchoring: string;
  readonly exported: ExportedBy & { readonly at: string };
}

/** What a check reads of it; the rest is for people. */
export const manifestSchema: z.ZodType<Pick<EvidenceManifest, "schema" | "log" | "period" | "samples">> = z.object({
  schema: z.literal(EVIDENCE_SCHEMA),
  log: z.string().max(128),
  period: z.object({ from: z.iso.datetime().nullable(), to: z.iso.datetime().nullable() }),
  samples: z.object({
    method: z.string().max(1024),
    seed: z.string().max(128),
    perKind: z.int().min(1).max(1000),
    kinds: z
      .array(
        z.object({
          kind: z.enum(["install", "script", "command", "scan", "integrity", "exposed", "decision", "advisories", "trail", "other"]),
          of: z.int().min(0),
          seqs: z.array(z.int().min(1)).max(1000),
        }),
      )
      .max(20),
  }),
});

/** Export formats: one file each, found here by name. A format writes text, piece by piece, from one snapshot of the log. */
import type { CofferdamError } from "../../foundation/index.ts";
import type { Transaction } from "../../store/index.ts";
import type { SignedCheckpoint } from "../checkpoint-table.ts";
import type { Standard } from "../compliance/controls.ts";
import type { AuditEvent } from "../event.ts";
import type { ExportedBy } from "../exported-by.ts";
import type { LogIdentity } from "../log-table.ts";
import type { AuditQuery } from "../query.ts";
import type { VerifyReport } from "../verify.ts";
import { bundle } from "./bundle.ts";
import { compliance, complianceText } from "./compliance.ts";
import { csv } from "./csv.ts";
import type { ExportFormat } from "./format-names.ts";
import { json } from "./json.ts";
import { ndjson } from "./ndjson.ts";
import { ocsf } from "./ocsf.ts";

/** What a format is given. */
export interface ExportSource {
  readonly log: LogIdentity;
  readonly query: AuditQuery;
  /** Matching events in order; read once. */
  readonly events: AsyncIterable<AuditEvent>;
  /** The snapshot that `events` come from, for what a format needs besides. */
  readonly tx: Transaction;
  /** The log's latest checkpoint; where {@link Exporter.checkpoint} asks for it, one of the whole snapshot. */
  readonly checkpoint: SignedCheckpoint | undefined;
  /** Why none could be made, or brought where checkpoints go, though one was wanted. */
  readonly checkpointProblem: CofferdamError | undefined;
  /** Verifies the whole snapshot against what the caller brought from outside. */
  readonly verify: () => Promise<VerifyReport>;
  readonly standard: Standard | undefined;
  readonly seed: string | undefined;
  readonly by: ExportedBy;
  readonly signal: AbortSignal | undefined;
}

export interface Exporter {
  /** A checkpoint of all events is made before the snapshot is taken; only where it is `required` does the export fail without. */
  readonly checkpoint?: "required" | "wanted";
  /** The export is an event itself: what is handed to others as a report. */
  readonly recorded?: boolean;
  /** The pieces of the text, in order. */
  write(source: ExportSource): AsyncGenerator<string>;
}

export const EXPORTERS: Readonly<Record<ExportFormat, Exporter>> = {
  json,
  ndjson,
  csv,
  ocsf,
  bundle,
  compliance,
  "compliance-text": complianceText,
};

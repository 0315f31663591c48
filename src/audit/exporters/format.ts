/** Export formats: one file each, found here by name. A format writes text, piece by piece, from one snapshot of the log. */
import type { Transaction } from "../../store/index.ts";
import type { SignedCheckpoint } from "../checkpointer.ts";
import type { AuditEvent } from "../event.ts";
import type { LogIdentity } from "../log-table.ts";
import type { AuditQuery } from "../query.ts";
import { bundle } from "./bundle.ts";
import { csv } from "./csv.ts";
import { json } from "./json.ts";

/** What a format is given. */
export interface ExportSource {
  readonly log: LogIdentity;
  readonly query: AuditQuery;
  /** Matching events in order; read once. */
  readonly events: AsyncIterable<AuditEvent>;
  /** The snapshot that `events` come from, for what a format needs besides. */
  readonly tx: Transaction;
  /** The log's latest checkpoint; one that covers the whole snapshot where {@link Exporter.needsCheckpoint} says so. */
  readonly checkpoint: SignedCheckpoint | undefined;
}

export interface Exporter {
  /** A checkpoint of all events is made before the snapshot is taken. */
  readonly needsCheckpoint?: boolean;
  /** The pieces of the text, in order. */
  write(source: ExportSource): AsyncGenerator<string>;
}

export const EXPORT_FORMATS = ["json", "csv", "bundle"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];
export const EXPORTERS: Readonly<Record<ExportFormat, Exporter>> = { json, csv, bundle };

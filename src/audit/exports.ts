/**
 * Exports: one snapshot of the log, handed to a format that writes it piece by piece while others go on appending. A reader
 * that is slow holds one piece and the snapshot, nothing more.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { CofferdamError, errnoOf, type JsonObject, messageOf, parseInput } from "../foundation/index.ts";
import type { HeadFile, Store } from "../store/index.ts";
import { Channel } from "./channel.ts";
import { latestCheckpoint } from "./checkpoint-table.ts";
import type { Checkpointer } from "./checkpointer.ts";
import { STANDARDS, type Standard } from "./compliance/controls.ts";
import type { AuditEvent, AuditEventInput } from "./event.ts";
import { type ExportedBy, processUser } from "./exported-by.ts";
import { EXPORTERS, type ExportSource } from "./exporters/format.ts";
import type { ExportFormat } from "./exporters/format-names.ts";
import { eventOf, type LogIdentity } from "./log-table.ts";
import { type AuditQuery, isoOf, parseQuery } from "./query.ts";
import { matchingRows } from "./search.ts";
import type { VerifyReport } from "./verify.ts";
import { verifyIn } from "./verify-request.ts";

/** What a caller may ask of an export besides events. */
export interface ExportOptions {
  /** Of a compliance report: this standard alone. Without it, all of them. */
  readonly standard?: Standard | undefined;
  /** Verifier keys (`name+id+base64`) and signed checkpoints from outside, that compliance and evidence hold the log against. */
  readonly keys?: readonly string[] | undefined;
  readonly checkpoints?: readonly string[] | undefined;
  /** Chooses the samples, with the rule that the report states. Default: the root of the checkpoint, which nobody chose. */
  readonly seed?: string | undefined;
  /** Who exports. Default: the user that this process runs as. */
  readonly by?: ExportedBy | undefined;
  /** Told what the verification of the trail came to, which compliance and evidence include. */
  readonly onVerified?: ((report: VerifyReport) => void) | undefined;
  /** Ends the export, with the signal's reason; the snapshot is let go. */
  readonly signal?: AbortSignal | undefined;
}

/** What exports need of a log. */
export interface ExportParts {
  readonly store: Store;
  readonly log: LogIdentity;
  readonly checkpointer: Checkpointer;
  readonly headFile: HeadFile | undefined;
  readonly record: (event: AuditEventInput) => Promise<AuditEvent>;
}

const line = z.string().min(1).max(4096);
const optionsSchema: z.ZodType<ExportOptions> = z.strictObject({
  standard: z.enum(STANDARDS).optional(),
  keys: z.array(line).max(100).optional(),
  checkpoints: z
    .array(
      z
        .string()
        .min(1)
        .max(64 * 1024),
    )
    .max(100)
    .optional(),
  seed: z
    .string()
    .regex(/^[A-Za-z0-9+/=._-]{1,128}$/, "must be 1 to 128 of A-Z a-z 0-9 + / = . _ -")
    .optional(),
  by: z.strictObject({ user: line, uid: z.int().min(0).optional() }).optional(),
  onVerified: z.custom<(report: VerifyReport) => void>((value) => typeof value === "function").optional(),
  signal: z.instanceof(AbortSignal).optional(),
});

/** The text of an export, piece by piece. Throws INVALID_ARGUMENT, and what the format says. */
export async function* exportStream(parts: ExportParts, query: AuditQuery, format: ExportFormat, options: ExportOptions): AsyncGenerator<string> {
  const exporter = EXPORTERS[format];
  // A read transaction lives in a callback, a generator is pulled from outside: a bounded queue of one joins them.
  const channel = new Channel<string>();
  const { signal } = options;
  const stop = (): void => channel.stop();
  signal?.addEventListener("abort", stop, { once: true });
  const reading = withSnapshot(parts, { query, options, checkpoint: exporter.checkpoint }, async (source) => {
    for await (const piece of exporter.write(source)) if (!(await channel.put(piece))) return;
  })
    .then(() => signal?.throwIfAborted())
    .then(
      () => channel.end(),
      (error: unknown) => channel.end(error),
    );
  const pieces = ended(channel, async () => {
    signal?.removeEventListener("abort", stop);
    channel.stop();
    await reading;
  });
  if (exporter.recorded === true) yield* recorded(parts, pieces, { format, query, options });
  else yield* pieces;
}

/** Opens a snapshot with everything that formats need, for the length of `work`. */
export async function withSnapshot<T>(
  { store, log, checkpointer, headFile }: ExportParts,
  request: { readonly query: AuditQuery; readonly options: ExportOptions; readonly checkpoint: "required" | "wanted" | undefined },
  work: (source: ExportSource) => Promise<T>,
): Promise<T> {
  const query = parseQuery(request.query);
  const { by = processUser(), ...options } = parseInput(optionsSchema, request.options, "export options");
  options.signal?.throwIfAborted();
  let checkpointProblem: CofferdamError | undefined;
  if (request.checkpoint !== undefined) {
    await checkpointer.make().catch((error: unknown) => {
      if (request.checkpoint === "required") throw error;
      checkpointProblem = error instanceof CofferdamError ? error : new CofferdamError("INTERNAL", messageOf(error), { cause: error });
    });
  }
  // Read before the rows: a head that is written meanwhile can only be newer than what is compared with it.
  const head = headFile?.read();
  return await store.read(async (tx) => {
    const { signal, keys, checkpoints } = options;
    async function* events(): AsyncGenerator<AuditEvent> {
      for await (const row of matchingRows(tx, query, signal)) yield eventOf(row, log);
    }
    return await work({
      ...{ log, query, tx, by, signal, checkpointProblem, standard: options.standard, seed: options.seed },
      events: events(),
      checkpoint: await latestCheckpoint(tx, log),
      verify: async () => {
        const report = await verifyIn(tx, log, head, { keys, checkpoints, signal });
        // A verification that was cut short says less than it seems to.
        signal?.throwIfAborted();
        options.onVerified?.(report);
        return report;
      },
    });
  });
}

/** Records what was handed out, with its digest; what was not handed out to its end is recorded as such. */
export async function recordExport(
  { record, log }: ExportParts,
  { format, query, options }: { readonly format: string; readonly query: AuditQuery; readonly options: ExportOptions },
  outcome: { readonly bytes?: number; readonly sha256: string } | { readonly code: string },
): Promise<AuditEvent> {
  const by = options.by ?? processUser();
  const { startDate, endDate, ...filters } = query;
  const asked: JsonObject = Object.fromEntries(
    Object.entries({ ...filters, from: isoOf(startDate), to: isoOf(endDate), standard: options.standard }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === "object" ? null : value]],
    ),
  );
  return await record({
    category: "audit",
    action: EXPORTED,
    result: "code" in outcome ? "failure" : "success",
    userId: by.user,
    resourceType: "audit_log",
    resourceId: log.logId,
    details: { format, asked, ...(by.uid === undefined ? {} : { uid: by.uid }), ...outcome },
  });
}

/** Action of the event that a compliance report or a folder of evidence leaves. */
export const EXPORTED = "exported";

async function* recorded(
  parts: ExportParts,
  pieces: AsyncIterable<string>,
  about: { readonly format: string; readonly query: AuditQuery; readonly options: ExportOptions },
): AsyncGenerator<string> {
  const digest = createHash("sha256");
  let bytes = 0;
  let outcome: { readonly bytes: number; readonly sha256: string } | { readonly code: string } = { code: "CANCELLED" };
  try {
    for await (const piece of pieces) {
      digest.update(piece);
      bytes += Buffer.byteLength(piece);
      yield piece;
    }
    outcome = { bytes, sha256: digest.digest("hex") };
  } catch (error) {
    outcome = { code: codeOf(error) };
    throw error;
  } finally {
    // An export that failed by itself is told by its own error, also where the log takes no event now.
    const done = recordExport(parts, about, outcome);
    await ("code" in outcome ? done.catch(() => undefined) : done);
  }
}

export function codeOf(error: unknown): string {
  return error instanceof CofferdamError ? error.code : (errnoOf(error) ?? "INTERNAL");
}

async function* ended<T>(items: AsyncIterable<T>, end: () => Promise<void>): AsyncGenerator<T> {
  try {
    yield* items;
  } finally {
    await end();
  }
}

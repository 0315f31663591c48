/** What an open log consists of, and how it is put together. */
import type { Clock } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { Checkpointer, type CheckpointOutlet, type SignedCheckpoint } from "./checkpointer.ts";
import { placeKind, withoutCredentials, witnessName } from "./copies/place.ts";
import { Deliveries } from "./deliveries.ts";
import { Denials } from "./denials.ts";
import { type AuditEvent, type AuditEventInput, parseEvent } from "./event.ts";
import type { HeadFile } from "./head-file.ts";
import type { LogKeys } from "./keys.ts";
import type { LogIdentity } from "./log-table.ts";
import { parseVerifierKey } from "./note.ts";
import type { AuditLoggerOptions } from "./options.ts";
import type { LogPaths } from "./paths.ts";
import { Reserve } from "./reserve.ts";
import { Signer } from "./signer.ts";
import { Subjects } from "./subjects.ts";
import { SubtreeCache } from "./tree.ts";
import { Writer } from "./writer.ts";

export interface LogParts {
  readonly log: LogIdentity;
  readonly writer: Writer;
  readonly denials: Denials;
  readonly signer: Signer;
  readonly checkpointer: Checkpointer;
  readonly deliveries: Deliveries;
  readonly subjects: Subjects;
  readonly subtrees: SubtreeCache;
}

/** Validates, seals and writes. Without personal data the event is settled before this returns. */
export async function record({ writer, subjects }: Pick<LogParts, "writer" | "subjects">, event: AuditEventInput): Promise<AuditEvent> {
  const { personal, ...parsed } = parseEvent(event);
  if (personal === undefined) return await writer.log(parsed);
  // What the caller changes while the key is fetched is not recorded.
  return await writer.log(await subjects.seal(structuredClone({ ...parsed, personal })));
}

/** What the parts stand on. */
export interface LogFoundation {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: LogIdentity;
  readonly keys: LogKeys;
  readonly headFile: HeadFile | undefined;
  /** Undefined for a log in memory. */
  readonly paths: LogPaths | undefined;
}

/** @param last the log's latest checkpoint. Throws INVALID_ARGUMENT for a copy or witness that is none. */
export function assemble(foundation: LogFoundation, checkpoint: NonNullable<AuditLoggerOptions["checkpoint"]>, last: SignedCheckpoint | undefined): LogParts {
  const { store, clock, log, paths } = foundation;
  const { events = 1000, interval = 3_600_000, copies = [], witnesses = [] } = checkpoint;
  const signer = new Signer(store, log, foundation.keys);
  const deliveries = new Deliveries(store, log.logId, placesOf(copies, witnesses), clock);
  const outlets = async (): Promise<readonly CheckpointOutlet[]> => (await import("./outlets.ts")).outletsOf({ copies, witnesses }, paths, store, log);
  const own = (event: AuditEventInput): Promise<AuditEvent> => writer.logWith(async () => event);
  const checkpointer = new Checkpointer({ store, log, signer, clock, schedule: { events, interval }, outlets, deliveries, record: own }, last);
  const reserve = paths === undefined ? undefined : new Reserve(paths.reserve);
  const writer = new Writer({ store, log, headFile: foundation.headFile, reserve, clock, appended: (size) => checkpointer.appended(size) });
  const subjects = new Subjects(store, log);
  const denials = new Denials((event) => record({ writer, subjects }, event), clock);
  return { log, writer, subjects, subtrees: new SubtreeCache(), denials, signer, checkpointer, deliveries };
}

/** Names of the places outside. Throws INVALID_ARGUMENT for one that is none: before anything is recorded. */
function placesOf(copies: readonly string[], witnesses: readonly { readonly key: string }[]): readonly string[] {
  for (const address of copies) placeKind(address);
  return [...witnesses.map(({ key }) => witnessName(parseVerifierKey(key))), ...copies.map(withoutCredentials)];
}

/** What an open log consists of, and how it is put together. */
import type { Clock } from "../foundation/index.ts";
import type { HeadFile, Store } from "../store/index.ts";
import type { SignedCheckpoint } from "./checkpoint-table.ts";
import { Checkpointer } from "./checkpointer.ts";
import { placeKind, withoutCredentials, witnessName } from "./copies/place.ts";
import { Deliveries, type Delivery } from "./deliveries.ts";
import { Denials } from "./denials.ts";
import { type AuditEvent, type AuditEventInput, parseEvent } from "./event.ts";
import type { LogKeys } from "./keys.ts";
import { type LogIdentity, lastEvent } from "./log-table.ts";
import { parseVerifierKey } from "./note.ts";
import type { AuditLoggerOptions } from "./options.ts";
import type { LogPaths } from "./paths.ts";
import { Reserve } from "./reserve.ts";
import type { Signer } from "./signer.ts";
import { Subjects } from "./subjects.ts";
import { SubtreeCache } from "./tree.ts";
import { Writer } from "./writer.ts";

export interface LogParts {
  readonly log: LogIdentity;
  readonly writer: Writer;
  readonly denials: Denials;
  /** Loaded when something is signed. */
  readonly signer: () => Promise<Signer>;
  readonly checkpointer: Checkpointer;
  readonly deliveries: Deliveries;
  readonly subjects: Subjects;
  readonly subtrees: SubtreeCache;
}

/** Validates, seals and writes. Without personal data the event is settled before this returns. Throws at once for what is no event. */
export function record({ writer, subjects }: Pick<LogParts, "writer" | "subjects">, event: AuditEventInput): Promise<AuditEvent> {
  const { personal, ...parsed } = parseEvent(event);
  if (personal === undefined) return writer.log(parsed);
  // What the caller changes while the key is fetched is not recorded.
  return subjects.seal(structuredClone({ ...parsed, personal })).then((sealed) => writer.log(sealed));
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
  const deliveries = new Deliveries(store, log.logId, placesOf(copies, witnesses), clock);
  const own = (event: AuditEventInput): Promise<AuditEvent> => writer.logWith(async () => event);
  const signer = once(async () => new (await import("./signer.ts")).Signer(store, log, foundation.keys));
  const maker = once(async () => {
    const [{ CheckpointMaker }, { outletsOf }] = await Promise.all([import("./checkpoint-maker.ts"), import("./outlets.ts")]);
    const outlets = outletsOf({ copies, witnesses }, paths, store, log);
    return new CheckpointMaker({ store, log, signer: await signer(), clock, outlets, deliveries, record: own });
  });
  const checkpointer = new Checkpointer({ clock, schedule: { events, interval }, maker }, last);
  const reserve = paths === undefined ? undefined : new Reserve(paths.reserve);
  const writer = new Writer({ store, log, headFile: foundation.headFile, reserve, clock, appended: (size) => checkpointer.appended(size) });
  const subjects = new Subjects(store, log);
  const denials = new Denials(async (event) => await record({ writer, subjects }, event), clock);
  return { log, writer, subjects, subtrees: new SubtreeCache(), denials, signer, checkpointer, deliveries };
}

/** Signs what there is and brings it to every place; an empty log gets an event for that. @returns what came of it, place by place. */
export async function bringOut(store: Store, { writer, checkpointer, deliveries }: LogParts): Promise<readonly Delivery[]> {
  if ((await store.read(lastEvent)) === undefined) await writer.logWith(async () => ({ category: "audit", action: "copy_wanted", result: "success" }));
  // The place that failed says so in what is returned.
  await checkpointer.make().catch(() => undefined);
  return await deliveries.all();
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Names of the places outside. Throws INVALID_ARGUMENT for one that is none: before anything is recorded. */
function placesOf(copies: readonly string[], witnesses: readonly { readonly key: string }[]): readonly string[] {
  for (const address of copies) placeKind(address);
  return [...witnesses.map(({ key }) => witnessName(parseVerifierKey(key))), ...copies.map(withoutCredentials)];
}

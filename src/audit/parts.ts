/** What an open log consists of, and how it is put together. */
import { tmpdir } from "node:os";
import type { Clock } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import { Checkpointer, type SignedCheckpoint } from "./checkpointer.ts";
import { copyAt } from "./copies/copy.ts";
import { Denials } from "./denials.ts";
import { type AuditEvent, type AuditEventInput, parseEvent } from "./event.ts";
import type { HeadFile } from "./head-file.ts";
import type { LogKeys } from "./keys.ts";
import type { LogIdentity } from "./log-table.ts";
import { parseVerifierKey } from "./note.ts";
import type { AuditLoggerOptions } from "./options.ts";
import { CopyOutlet, LatestFile, WitnessOutlet } from "./outlets.ts";
import type { LogPaths } from "./paths.ts";
import { Reserve } from "./reserve.ts";
import { Signer } from "./signer.ts";
import { Subjects } from "./subjects.ts";
import { SubtreeCache } from "./tree.ts";
import { Witness } from "./witness.ts";
import { Writer } from "./writer.ts";

export interface LogParts {
  readonly log: LogIdentity;
  readonly writer: Writer;
  readonly denials: Denials;
  readonly signer: Signer;
  readonly checkpointer: Checkpointer;
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
  const outlets = [
    ...(paths === undefined ? [] : [new LatestFile(paths.latest)]),
    ...witnesses.map(({ url, key }) => new WitnessOutlet(new Witness(url, parseVerifierKey(key)), store)),
    ...copies.map((address) => new CopyOutlet(copyAt(address, paths?.work ?? tmpdir()), store, log)),
  ];
  const own = (event: AuditEventInput): Promise<AuditEvent> => writer.logWith(async () => event);
  const checkpointer = new Checkpointer({ store, log, signer, clock, schedule: { events, interval }, outlets, record: own }, last);
  const reserve = paths === undefined ? undefined : new Reserve(paths.reserve);
  const writer = new Writer({ store, log, headFile: foundation.headFile, reserve, clock, appended: (size) => checkpointer.appended(size) });
  const subjects = new Subjects(store, log);
  const denials = new Denials((event) => record({ writer, subjects }, event), clock);
  return { log, writer, subjects, subtrees: new SubtreeCache(), denials, signer, checkpointer };
}

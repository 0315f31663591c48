/** Which keys sign a checkpoint now, how one key hands over to the next, and what happens when a key is lost. */
import { CofferdamError } from "../foundation/index.ts";
import type { Store, Transaction } from "../store/index.ts";
import { parseBody } from "./body.ts";
import { type Checkpoint, checkpointText, originOf } from "./checkpoint.ts";
import { firstKey } from "./checkpoint-check.ts";
import type { AuditEvent } from "./event.ts";
import { KEY_REPLACED, KEY_ROTATED, KeyRing, type KnownKey, pinned, replacementEvent, rotationEvent } from "./key-ring.ts";
import type { LogKey, LogKeys } from "./keys.ts";
import type { LogIdentity } from "./log-table.ts";
import { formatVerifierKey, signatureLine, type VerifierKey, verifierKey } from "./note.ts";
import type { Writer } from "./writer.ts";

/** Events after a rotation that checkpoints carry both signatures for, unless told otherwise. */
const OVERLAP = 10_000;

export class Signer {
  readonly #store: Store;
  readonly #log: LogIdentity;
  readonly #keys: LogKeys;

  constructor(store: Store, log: LogIdentity, keys: LogKeys) {
    this.#store = store;
    this.#log = log;
    this.#keys = keys;
  }

  /** The key that signs now, as verifiers pin it. */
  async verifierKey(): Promise<VerifierKey> {
    return verifierKey(originOf(this.#log.logId), 1, (await this.#signing(await this.#ring())).raw);
  }

  /** The signed note of a checkpoint. Throws FAILED_PRECONDITION when the key that the log last named is not there. */
  async sign(tx: Transaction, checkpoint: Checkpoint): Promise<string> {
    const ring = await ringOf(tx, this.#log);
    const text = checkpointText(checkpoint);
    const signing = [await this.#signing(ring)];
    const old = await this.#keys.old();
    const allowed = ring.keysFor(checkpoint.size).some((key) => old !== undefined && key.raw.equals(old.raw));
    if (old !== undefined && allowed) signing.push(old);
    return `${text}\n${signing.map(({ privateKey }) => signatureLine(text, checkpoint.origin, privateKey)).join("")}`;
  }

  /** Makes a new key, signed for by the present one, in an event of the log. @param overlap events for which both sign. */
  async rotate(writer: Writer, overlap: number = OVERLAP): Promise<AuditEvent> {
    const ring = await this.#ring();
    const now = await this.#signing(ring);
    const next = await this.#keys.next();
    const origin = originOf(this.#log.logId);
    const event = await writer.logWith(async (_tx, seq) =>
      rotationEvent(verifierKey(origin, 1, now.raw), now.privateKey, verifierKey(origin, 1, next.raw), seq + overlap),
    );
    await this.#keys.turn();
    return event;
  }

  /** A new key after the loss of the old one. Nobody vouches for it: whoever pinned the old key has to be told. */
  async replace(writer: Writer, reason: string): Promise<AuditEvent> {
    const next = await this.#keys.next();
    const event = await writer.logWith(async () => replacementEvent(verifierKey(originOf(this.#log.logId), 1, next.raw), reason));
    await this.#keys.turn();
    return event;
  }

  async #ring(): Promise<KeyRing> {
    return await this.#store.read((tx) => ringOf(tx, this.#log));
  }

  async #signing(ring: KeyRing): Promise<LogKey> {
    const wanted = ring.latest;
    const isWanted = (key: LogKey | undefined): key is LogKey => key !== undefined && wanted !== undefined && key.raw.equals(wanted.raw);
    const current = await this.#keys.current(false);
    if (isWanted(current)) return current;
    // A rotation whose event is in the log, and which was interrupted before the files were turned over.
    const next = ring.known.length > 1 ? await this.#keys.next() : undefined;
    if (isWanted(next)) {
      await this.#keys.turn();
      return next;
    }
    throw new CofferdamError("FAILED_PRECONDITION", "the key that signs this audit trail is not there: checkpoints cannot be made", {
      details: { wanted: wanted === undefined ? undefined : formatVerifierKey(wanted) },
      hint: "restore keys/audit.pem from a backup, or: cofferdam audit recover --new-key --reason TEXT",
    });
  }
}

/** The keys of a log as its own events name them, replacements after a loss included. */
export async function ringOf(tx: Transaction, log: LogIdentity): Promise<KeyRing> {
  const first: KnownKey = pinned(firstKey(log));
  const ring = new KeyRing([first], { trustReplaced: true });
  const rows = await tx.all("SELECT body FROM audit_events WHERE action IN (?, ?) ORDER BY seq LIMIT 1000", [KEY_ROTATED, KEY_REPLACED]);
  for (const { body } of rows) {
    const event = typeof body === "string" ? parseBody(body) : undefined;
    if (event !== undefined) ring.learn(event);
  }
  return ring;
}

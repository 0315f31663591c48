/** Checkpoints (c2sp.org/tlog-checkpoint v1.0.0): a signed note that says which log, how many events, and the root over them. */
import { CofferdamError } from "../foundation/index.ts";
import { HASH_BYTES } from "./merkle.ts";
import { openNote, SIGNATURE_TYPES, strictBase64, type VerifiedSignature, type VerifierKey } from "./note.ts";

export interface Checkpoint {
  /** Name of the log, and of the key that signs for it. */
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
}

export interface OpenedCheckpoint extends Checkpoint {
  /** Signatures of the log's own keys. */
  readonly signed: readonly VerifiedSignature[];
  /** Signatures of witnesses, with their times. */
  readonly cosigned: readonly VerifiedSignature[];
}

/** The origin of a log: a name without scheme that no other log has (design: equal to the name of its key). */
export function originOf(logId: string): string {
  return `cofferdam/${logId}`;
}

export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString("base64")}\n`;
}

/** What the text of a note says as a checkpoint; extension lines are allowed and mean nothing here. Throws INVALID_ARGUMENT. */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = "", count = "", hash = "", ...more] = text.split("\n");
  const root = strictBase64(hash);
  const size = Number(count);
  // The last line feed leaves one empty piece; extension lines may not be empty.
  const extensions = more.slice(0, -1);
  if (origin === "" || !/^(?:0|[1-9]\d*)$/.test(count) || !Number.isSafeInteger(size) || root?.length !== HASH_BYTES)
    throw new CofferdamError("INVALID_ARGUMENT", "not a checkpoint (c2sp.org/tlog-checkpoint)");
  if (more.at(-1) !== "" || extensions.includes("")) throw new CofferdamError("INVALID_ARGUMENT", "not a checkpoint: an empty line in its text");
  return { origin, size, root };
}

/**
 * Verifies a checkpoint with pinned keys. Throws INTEGRITY_FAILURE when a pinned key's signature is wrong or none of them
 * signed, INVALID_ARGUMENT for what is no checkpoint. A key of type 0x01 counts for the log only under the log's own name.
 */
export function openCheckpoint(note: Uint8Array | string, keys: readonly VerifierKey[]): OpenedCheckpoint {
  const { text, verified } = openNote(note, keys);
  const checkpoint = parseCheckpoint(text);
  const signed = verified.filter(({ key }) => key.type === SIGNATURE_TYPES.ed25519 && key.name === checkpoint.origin);
  const cosigned = verified.filter(({ key }) => key.type === SIGNATURE_TYPES.cosignature);
  if (signed.length + cosigned.length === 0) throw new CofferdamError("INTEGRITY_FAILURE", `no known key of ${checkpoint.origin} has signed this checkpoint`);
  return { ...checkpoint, signed, cosigned };
}

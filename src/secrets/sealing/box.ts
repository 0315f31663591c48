/** A box of AES-256-GCM: format byte, nonce, ciphertext, tag. */
import { CofferdamError, openBytes, SEAL_OVERHEAD, sealInto } from "../../foundation/index.ts";

export const ALGORITHM = "AES-256-GCM";
/** Bytes of every key. */
export const KEY_BYTES = 32;
const FORMAT = 1;
/** What a box has besides its content, bytes. */
export const OVERHEAD: number = 1 + SEAL_OVERHEAD;

/** @param bound see {@link additionalData}. */
export function sealBox(key: Uint8Array, content: Uint8Array, bound: Uint8Array): Buffer {
  const box = Buffer.allocUnsafe(OVERHEAD + content.length);
  box[0] = FORMAT;
  sealInto(box.subarray(1), key, content, bound);
  return box;
}

/** Throws INTEGRITY_FAILURE, in the same words whatever is wrong: another key, another place, or other bytes. */
export function openBox(key: Uint8Array, box: Uint8Array, bound: Uint8Array): Buffer {
  if (box.length < OVERHEAD || box[0] !== FORMAT) throw cannotOpen();
  try {
    return openBytes(key, box.subarray(1), bound);
  } catch {
    throw cannotOpen();
  }
}

/** The one refusal of everything that does not open: whoever tries things out learns nothing from the difference. */
export function cannotOpen(): CofferdamError {
  return new CofferdamError("INTEGRITY_FAILURE", "a sealed secret does not open: it was changed or moved, or its key is another one", {
    hint: "restore the state directory, or the key (cofferdam secret key restore), from a backup",
  });
}

/** AES-256-GCM (NIST SP 800-38D) with a fresh 96-bit nonce a box: format byte, nonce, ciphertext, 128-bit tag. */
import { createCipheriv, createDecipheriv, randomFillSync } from "node:crypto";
import { CofferdamError } from "../../foundation/index.ts";

export const ALGORITHM = "AES-256-GCM";
/** Bytes of every key. */
export const KEY_BYTES = 32;
const FORMAT = 1;
const NONCE = 12;
const TAG = 16;
/** What a box has besides its content, bytes. */
export const OVERHEAD: number = 1 + NONCE + TAG;

/** @param bound see {@link additionalData}. */
export function sealBox(key: Uint8Array, content: Uint8Array, bound: Uint8Array): Buffer {
  const box = Buffer.allocUnsafe(OVERHEAD + content.length);
  box[0] = FORMAT;
  const nonce = randomFillSync(box.subarray(1, 1 + NONCE));
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG });
  cipher.setAAD(bound);
  box.set(cipher.update(content), 1 + NONCE);
  // Of a stream cipher, final() has no bytes left; it makes the tag.
  cipher.final();
  box.set(cipher.getAuthTag(), box.length - TAG);
  return box;
}

/** Throws INTEGRITY_FAILURE, in the same words whatever is wrong: another key, another place, or other bytes. */
export function openBox(key: Uint8Array, box: Uint8Array, bound: Uint8Array): Buffer {
  if (box.length < OVERHEAD || box[0] !== FORMAT) throw cannotOpen();
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, box.subarray(1, 1 + NONCE), { authTagLength: TAG });
    decipher.setAAD(bound);
    decipher.setAuthTag(box.subarray(box.length - TAG));
    const content = decipher.update(box.subarray(1 + NONCE, box.length - TAG));
    decipher.final();
    return content;
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

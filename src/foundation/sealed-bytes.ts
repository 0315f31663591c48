/** AES-256-GCM (NIST SP 800-38D): a fresh 96-bit nonce, the ciphertext, and a 128-bit tag, one behind the other. */
import { createCipheriv, createDecipheriv, randomFillSync } from "node:crypto";

const NONCE = 12;
const TAG = 16;
/** What sealed bytes have besides their content, bytes. */
export const SEAL_OVERHEAD: number = NONCE + TAG;

/** @param key 32 bytes. @param bound what must be the same when it is opened (see {@link lengthFramed}). */
export function sealBytes(key: Uint8Array, content: Uint8Array, bound: Uint8Array): Buffer {
  return sealInto(Buffer.allocUnsafe(SEAL_OVERHEAD + content.length), key, content, bound);
}

/** The same, written to where the caller has room for exactly that many bytes. */
export function sealInto<T extends Uint8Array>(target: T, key: Uint8Array, content: Uint8Array, bound: Uint8Array): T {
  const cipher = createCipheriv("aes-256-gcm", key, randomFillSync(target.subarray(0, NONCE)), { authTagLength: TAG });
  cipher.setAAD(bound);
  target.set(cipher.update(content), NONCE);
  // Of a stream cipher, final() has no bytes left; it makes the tag.
  cipher.final();
  target.set(cipher.getAuthTag(), target.length - TAG);
  return target;
}

/** Throws a plain Error when key, bytes or what they are bound to are others: the caller knows what that means. */
export function openBytes(key: Uint8Array, sealed: Uint8Array, bound: Uint8Array): Buffer {
  if (sealed.length < SEAL_OVERHEAD) throw new Error("too short");
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE), { authTagLength: TAG });
  decipher.setAAD(bound);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  const content = decipher.update(sealed.subarray(NONCE, sealed.length - TAG));
  decipher.final();
  return content;
}

/** Each part behind its length (32 bits, big-endian): no two lists of parts give the same bytes. */
export function lengthFramed(parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = typeof part === "string" ? Buffer.from(part) : part;
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

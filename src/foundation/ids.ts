/** Identifiers: a lower-case prefix, an underscore and 128 random bits in Crockford base 32 (no i, l, o, u). */
import { randomBytes } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A new id such as `evt_3f0k...` (26 characters after the prefix). Unguessable and unique without coordination. */
export function newId(prefix: string): string {
  let bits = BigInt(`0x${randomBytes(16).toString("hex")}`);
  let text = "";
  for (let i = 0; i < 26; i++) {
    text = ALPHABET.charAt(Number(bits & 31n)) + text;
    bits >>= 5n;
  }
  return `${prefix}_${text}`;
}

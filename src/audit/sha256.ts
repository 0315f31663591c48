/** SHA-256 as the log uses it a few million times: of the calls that Node has, the cheapest for inputs of this size. */
import { hash } from "node:crypto";

/**
 * By way of a text: a digest that comes as a Buffer has memory of its own, whose making and freeing costs as much as hashing 500 bytes.
 * @param input a text is hashed as UTF-8.
 */
export function sha256(input: Uint8Array | string): Buffer {
  return Buffer.from(hash("sha256", input, "latin1"), "latin1");
}

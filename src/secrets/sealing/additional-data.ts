/**
 * What a sealed thing is bound to, as bytes: every part with its length before it, so that no two lists of parts give the same
 * bytes; the first part says what it is for, and in which version of this format.
 */

export type Purpose = "value" | "data-key" | "store-key" | "passphrase" | "record" | "store" | "sum-key" | "summand" | "sum" | "backup";

/** Numbers are written in decimal. */
export function additionalData(purpose: Purpose, ...parts: readonly (string | number | Uint8Array)[]): Buffer {
  const pieces: Uint8Array[] = [];
  for (const part of [`cofferdam/secrets/${purpose}/v1`, ...parts]) {
    const bytes = part instanceof Uint8Array ? part : Buffer.from(String(part));
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(bytes.length);
    pieces.push(length, bytes);
  }
  return Buffer.concat(pieces);
}

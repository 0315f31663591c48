/** Values of a stored row, whatever somebody made of their types. */

/** The bytes of a BLOB; none for a column that somebody gave another type. */
export function bytesOf(value: unknown): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.alloc(0);
}

/** A stream of bytes cut into records. */
import { AT, broken, HEAD_SIZE, MAX_RECORD } from "../reader/record.ts";

export class Frames {
  #rest: Buffer | undefined;

  /** The records that are whole now: views of `chunk` where they can be. Throws BrokenRecord for a size that no record has. */
  push(chunk: Buffer): Buffer[] {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    const whole: Buffer[] = [];
    let at = 0;
    while (bytes.length - at >= 4) {
      const size = bytes.readUInt32LE(at + AT.size);
      if (size < HEAD_SIZE || size > MAX_RECORD || size % 8 !== 0) throw broken(`a record of ${size} bytes`);
      if (bytes.length - at < size) break;
      whole.push(bytes.subarray(at, at + size));
      at += size;
    }
    this.#rest = at === bytes.length ? undefined : Buffer.from(bytes.subarray(at));
    return whole;
  }
}

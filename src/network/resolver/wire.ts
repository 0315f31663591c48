/**
 * Names and numbers of a DNS message (RFC 1035 §4.1), read strictly: a pointer leads only backwards, a name has at most 255
 * bytes, and what runs past the end is an error, never a guess.
 */
import { normalName } from "../rules/index.ts";

/** Of a message that is not one. Internal: answered with FORMERR, or taken for no answer. */
export class MalformedMessage extends Error {}

/** Longest name as it is sent. */
const MAX_NAME = 255;

export class WireReader {
  readonly bytes: Buffer;
  position = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  u16(): number {
    return this.take(2).readUInt16BE(0);
  }

  u32(): number {
    return this.take(4).readUInt32BE(0);
  }

  take(length: number): Buffer {
    if (this.position + length > this.bytes.length) throw new MalformedMessage("it ends too early");
    const taken = this.bytes.subarray(this.position, this.position + length);
    this.position += length;
    return taken;
  }

  /**
   * The labels of a name, as bytes in Latin-1. @param pointers whether compression is allowed here: a question has no reason
   * for it.
   */
  labels(pointers: boolean): readonly string[] {
    const labels: string[] = [];
    let length = 1;
    let at = this.position;
    /** Where the next pointer must lead before; the end of the name in the stream, once one was followed. */
    let limit = this.position;
    let end: number | undefined;
    for (;;) {
      const size = this.#byteAt(at);
      if (size === 0) break;
      if (size >= 0xc0) {
        if (!pointers) throw new MalformedMessage("a pointer where none is needed");
        const target = ((size & 0x3f) << 8) | this.#byteAt(at + 1);
        if (target >= limit) throw new MalformedMessage("a pointer that does not lead back");
        end ??= at + 2;
        limit = target;
        at = target;
        continue;
      }
      if (size > 63) throw new MalformedMessage("a label of a kind that there is not");
      length += size + 1;
      if (length > MAX_NAME) throw new MalformedMessage("a name of more than 255 bytes");
      if (at + 1 + size > this.bytes.length) throw new MalformedMessage("a label past the end");
      labels.push(this.bytes.toString("latin1", at + 1, at + 1 + size));
      at += 1 + size;
    }
    this.position = end ?? at + 1;
    return labels;
  }

  #byteAt(at: number): number {
    const byte = this.bytes[at];
    if (byte === undefined) throw new MalformedMessage("it ends too early");
    return byte;
  }
}

/**
 * The host that labels name, or undefined. A dot inside a label would make another name of it: whoever serves
 * `github.com.evil.example` could speak for github.com with a first label of "github.com".
 */
export function hostOfLabels(labels: readonly string[]): string | undefined {
  return labels.some((label) => label.includes(".")) ? undefined : normalName(labels.join("."));
}

/** Labels as text for a record: what is not plain is written \DDD, so that two names never look the same. */
export function escapedName(labels: readonly string[]): string {
  const escaped = (label: string): string =>
    label.replace(/[^A-Za-z0-9_*-]/g, (character) => `\\${String(character.charCodeAt(0)).padStart(3, "0")}`).toLowerCase();
  return labels.length === 0 ? "." : labels.map(escaped).join(".").slice(0, 1024);
}

/** A name without compression. @param name normal form: it fits. */
export function nameBytes(name: string): Buffer {
  const parts = name.split(".").filter((label) => label !== "");
  return Buffer.concat([...parts.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]), Buffer.from([0])]);
}

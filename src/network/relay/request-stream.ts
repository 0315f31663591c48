/**
 * All requests of one connection, as they come: every head is checked before a byte of it goes on, bodies pass. What goes on
 * is what came, byte for byte.
 */
import { type HeadFault, type RequestHead, RequestHeads } from "./request-head.ts";

/** Longest head; most servers end at 8 or 16 KiB. */
export const MAX_HEAD = 32_768;
/** Longest line of a chunk's size with its extensions, and longest trailer. */
const MAX_CHUNK_LINE = 1024;
const MAX_TRAILER = 8192;

export interface Checked<Fault> {
  /** May go on; may be empty. */
  readonly passed: Buffer;
  /** Nothing after it is read. */
  readonly fault?: Fault | HeadFault | undefined;
}

type State = "head" | "body" | "chunk-line" | "chunk" | "chunk-end" | "trailer" | "stopped";

/** @param Fault what `admit` says of a head that it does not let through. */
export class RequestStream<Fault> {
  readonly #admit: (head: RequestHead) => Fault | "stop" | undefined;
  readonly #heads = new RequestHeads();
  #state: State = "head";
  /** Bytes of a part that is not whole yet. */
  #held: Buffer = Buffer.alloc(0);
  /** Of a body or chunk. */
  #left = 0;

  /** @param admit asked for each head: undefined lets it go on; "stop" too, and what follows stays with {@link rest}. */
  constructor(admit: (head: RequestHead) => Fault | "stop" | undefined) {
    this.#admit = admit;
  }

  /** What came behind a head at which the reading was stopped. */
  get rest(): Buffer {
    return this.#held;
  }

  /** Reads on after a stop. */
  goOn(): Checked<Fault> {
    if (this.#state === "stopped") this.#state = "head";
    return this.push(Buffer.alloc(0));
  }

  push(chunk: Buffer): Checked<Fault> {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = 0;
    while (at < bytes.length && this.#state !== "stopped") {
      const step = this.#step(at === 0 ? bytes : bytes.subarray(at));
      if (typeof step !== "number") {
        this.#held = bytes.subarray(at);
        this.#state = "stopped";
        return { passed: bytes.subarray(0, at), fault: step };
      }
      if (step === 0) break;
      at += step;
    }
    this.#held = bytes.subarray(at);
    return { passed: bytes.subarray(0, at) };
  }

  /** How many bytes may go on; 0 when the part is not whole. */
  #step(bytes: Buffer): number | Fault | HeadFault {
    switch (this.#state) {
      case "head":
        return this.#head(bytes);
      case "body":
      case "chunk":
        return this.#content(bytes);
      case "chunk-line":
        return this.#chunkLine(bytes);
      case "chunk-end":
        return this.#chunkEnd(bytes);
      case "trailer":
        return this.#trailer(bytes);
      case "stopped":
        return 0;
    }
  }

  #head(bytes: Buffer): number | Fault | HeadFault {
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0 || end > MAX_HEAD) return bytes.length > MAX_HEAD ? { reason: "bad-request", rule: `a head of more than ${MAX_HEAD} bytes` } : 0;
    const head = this.#heads.read(bytes.toString("latin1", 0, end));
    if ("reason" in head) return head;
    const fault = this.#admit(head);
    if (fault !== undefined && fault !== "stop") return fault;
    this.#left = head.body === "chunked" ? 0 : head.body;
    this.#state = fault === "stop" ? "stopped" : head.body === "chunked" ? "chunk-line" : this.#left > 0 ? "body" : "head";
    return end + 4;
  }

  #content(bytes: Buffer): number {
    const length = Math.min(bytes.length, this.#left);
    this.#left -= length;
    if (this.#left === 0) this.#state = this.#state === "body" ? "head" : "chunk-end";
    return length;
  }

  #chunkLine(bytes: Buffer): number | HeadFault {
    const end = bytes.indexOf("\r\n");
    if (end < 0 && bytes.length <= MAX_CHUNK_LINE) return 0;
    const [, size] =
      end < 0 || end > MAX_CHUNK_LINE ? [] : (/^([0-9a-fA-F]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/.exec(bytes.toString("latin1", 0, end)) ?? []);
    if (size === undefined) return { reason: "bad-request", rule: "the size of a chunk" };
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailer" : "chunk";
    return end + 2;
  }

  #chunkEnd(bytes: Buffer): number | HeadFault {
    if (bytes.length < 2) return 0;
    if (bytes.readUInt16BE(0) !== 0x0d0a) return { reason: "bad-request", rule: "the end of a chunk" };
    this.#state = "chunk-line";
    return 2;
  }

  #trailer(bytes: Buffer): number | HeadFault {
    const fault: HeadFault = { reason: "bad-request", rule: "the trailer" };
    if (bytes.length >= 2 && bytes.readUInt16BE(0) === 0x0d0a) {
      this.#state = "head";
      return 2;
    }
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0 || end > MAX_TRAILER) return bytes.length > MAX_TRAILER ? fault : 0;
    if (!/^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+$/.test(`${bytes.toString("latin1", 0, end)}\r\n`)) return fault;
    this.#state = "head";
    return end + 4;
  }
}

/**
 * Reads a connection into buffers of ours once it only has to be passed on: bulk in pieces of up to 256 KiB, which takes about
 * 0.6 of the processor time of a pipe. Until then it is a stream like any other.
 */
import { connect, type Socket } from "node:net";
import type { Endpoint } from "../contract.ts";

/** Bytes of one read: small while little comes, so that idle connections hold little. */
const LEAST = 16_384;
const MOST = 262_144;

export class WideReader {
  readonly socket: Socket;
  #sink: Socket | undefined;
  #size = LEAST;
  /** Undefined while its bytes are still being written. */
  #buffer: Buffer | undefined;

  constructor({ address, port }: Endpoint) {
    const onread = { buffer: () => this.#free(), callback: (length: number, bytes: Uint8Array) => this.#take(length, bytes) };
    this.socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true, keepAlive: true, onread });
  }

  /** From here on. What was read before and not taken goes first; the end is the caller's to pass on. */
  pourInto(sink: Socket): void {
    for (let early: unknown = this.socket.read(); early instanceof Buffer; early = this.socket.read()) sink.write(early);
    this.#sink = sink;
    this.socket.resume();
  }

  #free(): Buffer {
    if (this.#buffer === undefined || this.#buffer.length !== this.#size) this.#buffer = Buffer.allocUnsafeSlow(this.#size);
    return this.#buffer;
  }

  /** @returns whether to read on. */
  #take(length: number, bytes: Uint8Array): boolean {
    const { socket } = this;
    const sink = this.#sink;
    const part = Buffer.from(bytes.buffer, bytes.byteOffset, length);
    // A copy: the stream keeps it for whoever reads.
    if (sink === undefined) return socket.push(Buffer.from(part));
    if (length === bytes.length) this.#size = Math.min(MOST, this.#size * 2);
    else if (length < bytes.length / 8) this.#size = Math.max(LEAST, this.#size / 2);
    sink.write(part, () => {
      if (!socket.destroyed && !sink.destroyed) socket.resume();
    });
    if (sink.writableLength === 0) return true;
    // The kernel took a part: until it has the rest, these bytes stay as they are.
    this.#buffer = undefined;
    return false;
  }
}

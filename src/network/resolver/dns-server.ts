/** The job's name server: questions by UDP and TCP, bounded in size, number and time. What it cannot take is not answered. */
import type { RemoteInfo, Socket as UdpSocket } from "node:dgram";
import type { Socket } from "node:net";
import type { Clock } from "../../foundation/index.ts";
import { type Answer, MAX_QUERY_BYTES, type Query, readQuery, writeAnswer, writeError } from "./question.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface DnsServerOptions {
  readonly answer: (query: Query) => Promise<Answer>;
  readonly clock: Clock;
}

/** Questions that wait for their answer, and those of one connection among them. */
const MAX_PENDING = 512;
const MAX_PENDING_OF_CONNECTION = 16;
const MAX_CONNECTIONS = 64;
const IDLE_TIMEOUT = 10_000;
/** Questions of any kind: reading one costs us too. */
const QUESTIONS = { burst: 2000, perSecond: 500 };

export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #bucket: TokenBucket;
  readonly #connections = new Set<Socket>();
  #pending = 0;
  /** Questions that were not taken, since there were too many. */
  dropped = 0;

  constructor(options: DnsServerOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(QUESTIONS.burst, QUESTIONS.perSecond, options.clock);
  }

  serveUdp(socket: UdpSocket): void {
    // Of one answer that could not be sent; its client asks again.
    socket.on("error", () => undefined);
    socket.on("message", (bytes: Buffer, from: RemoteInfo) => {
      this.#respond(bytes, false, (answer) => {
        try {
          socket.send(answer, from.port, from.address, () => undefined);
        } catch {
          // Closed meanwhile: there is nobody to answer.
        }
      });
    });
  }

  serveTcp(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.#connections.size >= MAX_CONNECTIONS) {
      this.dropped++;
      socket.destroy();
      return;
    }
    this.#connections.add(socket);
    socket.once("close", () => this.#connections.delete(socket));
    socket.setTimeout(IDLE_TIMEOUT, () => socket.destroy());
    let received = Buffer.alloc(0);
    let waiting = 0;
    const answered = (answer: Buffer): void => {
      waiting--;
      if (!socket.writable) return;
      socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]));
      take();
    };
    const take = (): void => {
      while (waiting < MAX_PENDING_OF_CONNECTION && received.length >= 2) {
        const length = received.readUInt16BE(0);
        if (length > MAX_QUERY_BYTES) {
          socket.destroy();
          return;
        }
        if (received.length < 2 + length) break;
        const message = Buffer.from(received.subarray(2, 2 + length));
        received = received.subarray(2 + length);
        waiting++;
        // A connection whose question gets no answer has no more to say.
        if (!this.#respond(message, true, answered)) socket.destroy();
      }
      if (waiting < MAX_PENDING_OF_CONNECTION) socket.resume();
      else socket.pause();
    };
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      take();
    });
    socket.on("end", () => socket.end());
  }

  close(): void {
    for (const socket of this.#connections) socket.destroy();
  }

  /** @returns whether an answer comes. */
  #respond(bytes: Buffer, overTcp: boolean, send: (answer: Buffer) => void): boolean {
    if (this.#pending >= MAX_PENDING || !this.#bucket.take()) {
      this.dropped++;
      return false;
    }
    const query = readQuery(bytes);
    if (query === undefined) return false;
    if ("rcode" in query) {
      send(writeError(query));
      return true;
    }
    this.#pending++;
    this.#options
      .answer(query)
      .then((answer) => send(writeAnswer(query, answer, overTcp)))
      .catch(() => send(writeError({ id: query.id, rcode: 2 })))
      .finally(() => this.#pending--);
    return true;
  }
}

/**
 * HTTP to one engine, each call on a connection of its own: none is stale after the engine's restart, and a hijacked one is
 * nobody else's. Bounds the time, the headers, and what is read into memory; knows nothing of the API.
 */
import type { ClientRequest, Agent as HttpAgent, IncomingMessage, RequestOptions } from "node:http";
import { Agent as HttpsAgent, type RequestOptions as HttpsOptions, request as httpsRequest } from "node:https";
import type { Duplex, Readable } from "node:stream";
import { CofferdamError, nodeHttp } from "../foundation/index.ts";
import { Deadline } from "./deadline.ts";
import { nonsense, unreachable } from "./failure.ts";
import { type Connection, describeConnection } from "./target.ts";

export interface Exchange {
  /** What is asked, as "cannot ..." needs it. */
  readonly what: string;
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** With the version and the query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is sent once the engine says that it wants it. */
  readonly body?: Uint8Array | Readable | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Undefined for none. */
  readonly timeoutMs: number | undefined;
}

/** An answer whose body is still to be read. */
export interface Answer {
  readonly response: IncomingMessage;
  readonly status: number;
  readonly deadline: Deadline;
}

/** A proxy that does not know the header lets us wait in vain; then the body is sent anyway, ms. */
const CONTINUE_MS = 1000;
const KEEP_ALIVE_MS = 30_000;

export class Transport {
  readonly where: string;
  readonly #closed = new AbortController();
  readonly #open: (options: RequestOptions) => ClientRequest;
  readonly #agent: HttpAgent;

  constructor(connection: Connection) {
    this.where = describeConnection(connection);
    if (connection.kind === "tls") {
      const { host, port, ca, cert, key } = connection;
      const agent = new HttpsAgent({ keepAlive: false });
      const trust: HttpsOptions = ca === undefined ? {} : { ca: [...ca] };
      const identity: HttpsOptions = cert === undefined || key === undefined ? {} : { cert: [...cert], key: [...key] };
      const tls: HttpsOptions = { host, port, agent, minVersion: "TLSv1.2", rejectUnauthorized: true, ...trust, ...identity };
      this.#agent = agent;
      this.#open = (options) => httpsRequest({ ...tls, ...options });
    } else {
      const agent = new (nodeHttp().Agent)({ keepAlive: false });
      const place = connection.kind === "unix" ? { socketPath: connection.path, host: "engine" } : { host: connection.host, port: connection.port };
      this.#agent = agent;
      this.#open = (options) => nodeHttp().request({ ...place, agent, ...options });
    }
  }

  /** The answer's status and headers; its body is read by the caller, who releases the deadline. Throws what {@link unreachable} says. */
  send(exchange: Exchange): Promise<Answer> {
    return this.#exchange(exchange, {}, false);
  }

  /** The raw connection, both ways, after 101; or the answer, when it is another. */
  upgrade(exchange: Exchange): Promise<Answer | Duplex> {
    return this.#exchange(exchange, { connection: "Upgrade", upgrade: "tcp" }, true);
  }

  close(): void {
    this.#closed.abort();
    this.#agent.destroy();
  }

  #exchange(exchange: Exchange, more: Readonly<Record<string, string>>, upgrading: false): Promise<Answer>;
  #exchange(exchange: Exchange, more: Readonly<Record<string, string>>, upgrading: boolean): Promise<Answer | Duplex>;
  #exchange(exchange: Exchange, more: Readonly<Record<string, string>>, upgrading: boolean): Promise<Answer | Duplex> {
    const { what, method, path, body, timeoutMs } = exchange;
    const streamed = body !== undefined && !(body instanceof Uint8Array);
    return new Promise((resolve, reject) => {
      let request: ClientRequest | undefined;
      let opened: IncomingMessage | Duplex | undefined;
      const deadline = new Deadline(what, [exchange.signal, this.#closed.signal], timeoutMs, (error) => {
        opened?.destroy(error);
        request?.destroy(error);
        if (streamed) body.destroy();
        reject(error);
      });
      if (deadline.reason !== undefined) return;
      const fail = (error: unknown): void => {
        deadline.release();
        opened?.destroy();
        request?.destroy();
        if (streamed) body.destroy();
        reject(deadline.reason ?? unreachable(what, this.where, error));
      };
      const headers = {
        ...exchange.headers,
        ...more,
        ...(body instanceof Uint8Array ? { "content-length": String(body.length) } : {}),
        ...(streamed ? { expect: "100-continue" } : {}),
      };
      request = this.#open({ method, path, headers });
      request.on("error", fail);
      request.on("socket", (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
      request.on("response", (response) => {
        opened = response;
        if (streamed && response.statusCode !== undefined && response.statusCode >= 300) body.destroy();
        resolve({ response, status: response.statusCode ?? 0, deadline });
      });
      request.on("upgrade", (_response, socket, head) => {
        opened = socket;
        socket.on("error", () => undefined);
        if (!upgrading) return fail(nonsense(what, "it changes the protocol"));
        deadline.disarm();
        socket.once("close", () => deadline.release());
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      if (streamed) sendStream(request, body, fail);
      else request.end(body);
    });
  }
}

/** Waits for the engine's 100, so that a refusal is read instead of a broken pipe. */
function sendStream(request: ClientRequest, body: Readable, fail: (error: unknown) => void): void {
  let begun = false;
  const begin = (): void => {
    if (begun || request.destroyed) return;
    begun = true;
    body.pipe(request);
  };
  const late = setTimeout(begin, CONTINUE_MS);
  request.once("continue", begin);
  request.once("response", () => clearTimeout(late));
  request.once("close", () => clearTimeout(late));
  body.once("error", (error) => {
    request.destroy();
    fail(new CofferdamError("INVALID_ARGUMENT", "the stream that was to be sent broke off", { cause: error }));
  });
  request.flushHeaders();
}

/** The whole body. Throws PAYLOAD_TOO_LARGE past `maxBytes`, and the deadline's own error; releases it. */
export async function collect({ response, deadline }: Answer, what: string, where: string, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of response as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > maxBytes)
        throw new CofferdamError("PAYLOAD_TOO_LARGE", `cannot ${what}: the engine's answer is larger than ${maxBytes} bytes`, { details: { maxBytes } });
      pieces.push(piece);
    }
    return Buffer.concat(pieces, length);
  } catch (error) {
    throw deadline.reason ?? unreachable(what, where, error);
  } finally {
    deadline.release();
  }
}

/** What a client says first on a connection, as far as it tells what is spoken there. */
import type { Socket } from "node:net";
import { type ClientHello, readClientHello } from "./client-hello.ts";
import { MAX_HEAD } from "./request-stream.ts";

export type FirstWords = { readonly bytes: Buffer } & (
  | { readonly kind: "tls"; readonly hello: ClientHello }
  /** The start of a request; its head may not be whole. */
  | { readonly kind: "http" }
  | { readonly kind: "raw" }
  | { readonly kind: "malformed"; readonly problem: string }
  /** Nothing came in time, or ever. */
  | { readonly kind: "silent"; readonly ended: boolean }
);

export interface Patience {
  /** ms until the first byte; undefined is for ever. */
  readonly first: number | undefined;
  /** ms until what began is told. */
  readonly whole: number;
}

/** Where a client that says nothing may be waiting for the server to speak, it waits this long for us. */
export const SERVER_MAY_SPEAK: Patience = { first: 250, whole: 10_000 };
export const CLIENT_SPEAKS: Patience = { first: 10_000, whole: 10_000 };
export const WHENEVER: Patience = { first: undefined, whole: 10_000 };

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI", "PROPFIND", "REPORT", "SEARCH"];
const LONGEST_METHOD = 10;

/** Resolves with the socket paused, its bytes taken out; the caller goes on from there. Undefined when it broke. */
export async function firstWords(socket: Socket, patience: Patience): Promise<FirstWords | undefined> {
  return await new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    let timer = patience.first === undefined ? undefined : setTimeout(() => done({ kind: "silent", ended: false, bytes }), patience.first);
    const done = (words: FirstWords | undefined): void => {
      clearTimeout(timer);
      socket.pause();
      socket.off("data", onData).off("end", onEnd).off("close", onClose);
      resolve(words);
    };
    const onData = (chunk: Buffer): void => {
      if (bytes.length === 0) {
        clearTimeout(timer);
        // What may still be TLS or HTTP does not pass for something else by waiting.
        timer = setTimeout(() => done({ kind: "malformed", problem: "its beginning never became whole", bytes }), patience.whole);
      }
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const words = tell(bytes);
      if (words !== undefined) done(words);
    };
    const onEnd = (): void =>
      done(bytes.length === 0 ? { kind: "silent", ended: true, bytes } : { kind: "malformed", problem: "its beginning never became whole", bytes });
    const onClose = (): void => done(undefined);
    socket.on("data", onData).once("end", onEnd).once("close", onClose);
    socket.resume();
  });
}

/** Undefined while it could still be several things. */
export function tell(bytes: Buffer): FirstWords | undefined {
  const result = readClientHello(bytes);
  if (result.kind === "hello") return { kind: "tls", hello: result.hello, bytes };
  if (result.kind === "malformed") return { kind: "malformed", problem: result.problem, bytes };
  if (result.kind === "more") return undefined;
  return tellRequest(bytes);
}

/** A request line ends in the version of HTTP; other protocols have lines that begin like one (`GET key` of Redis). */
function tellRequest(bytes: Buffer): FirstWords | undefined {
  // Servers pass over empty lines before a request; ours does not, but has to see what they would.
  const at = bytes.findIndex((byte) => byte !== 0x0d && byte !== 0x0a);
  if (at < 0) return bytes.length > MAX_HEAD ? { kind: "raw", bytes } : undefined;
  const start = bytes.toString("latin1", at, at + LONGEST_METHOD);
  const method = METHODS.find((word) => start.startsWith(`${word} `) || `${word} `.startsWith(start));
  if (method === undefined) return { kind: "raw", bytes };
  const end = bytes.indexOf("\n", at);
  if (end < 0) return bytes.length > MAX_HEAD ? { kind: "http", bytes } : undefined;
  return /HTTP\/\d\.\d\r?$/.test(bytes.toString("latin1", Math.max(0, end - 12), end)) ? { kind: "http", bytes } : { kind: "raw", bytes };
}

/**
 * The first message of TLS (RFC 8446 §4.1.2), put together from however many records and segments it comes in, and read as far
 * as the name of the server goes. What can be read in two ways is refused, since the server may read it the other way.
 */
import { normalName } from "../rules/index.ts";

export type HelloResult =
  /** Not all of it is there. */
  | { readonly kind: "more" }
  | { readonly kind: "hello"; readonly hello: ClientHello }
  /** Another protocol. */
  | { readonly kind: "other" }
  /** TLS, but nothing that a client should send. */
  | { readonly kind: "malformed"; readonly problem: string };

export interface ClientHello {
  /** server_name (RFC 6066 §3) in its normal form. */
  readonly name: string | undefined;
  /** encrypted_client_hello (RFC 9849): the name may be another. One that only pretends (GREASE) cannot be told apart, by design. */
  readonly encrypted: boolean;
  /** What the client would speak inside, in its order of preference. */
  readonly protocols: readonly string[];
}

/** Most bytes of all records: a hello has 300 bytes to 3 KiB. */
export const MAX_HELLO = 32_768;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const MAX_RECORD = 16_384;
/** Clients send one or two; who hides a name from filters, a few dozen. */
const MAX_RECORDS = 128;
const SERVER_NAME = 0;
const ALPN = 16;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;
/** Earlier forms of encrypted names: ESNI, and drafts of ECH. */
const ENCRYPTED_NAMES: ReadonlySet<number> = new Set([ENCRYPTED_CLIENT_HELLO, 0xffce, 0xff02, 0xff03, 0xfe08, 0xfe09, 0xfe0a, 0xfe0b, 0xfe0c]);

/** Looks at the same bytes from the start each time: they are few. */
export function readClientHello(bytes: Buffer): HelloResult {
  try {
    const message = joinRecords(bytes);
    if (typeof message === "string") return { kind: message };
    return { kind: "hello", hello: readHello(message) };
  } catch (error) {
    if (error instanceof Malformed) return { kind: "malformed", problem: error.message };
    throw error;
  }
}

class Malformed extends Error {}

/** The handshake message without its header. */
function joinRecords(bytes: Buffer): Buffer | "more" | "other" {
  const parts: Buffer[] = [];
  let gathered = 0;
  for (let at = 0; ; ) {
    const header = recordHeader(bytes, at);
    if (header === "other" && at === 0) return "other";
    if (header === "other") return fail("another record inside of the hello");
    if (header === "more") return more(bytes);
    const part = bytes.subarray(at + 5, at + 5 + header.length);
    parts.push(part);
    gathered += part.length;
    if (parts.length > MAX_RECORDS) return fail(`a hello in more than ${MAX_RECORDS} records`);
    const size = messageSize(parts, gathered);
    if (size !== undefined && gathered > size) return fail("something behind the hello in its record");
    if (part.length < header.length) return more(bytes);
    if (gathered === size) return Buffer.concat(parts).subarray(4);
    at += 5 + header.length;
  }
}

/** "other" as soon as a byte says so: a server that speaks first must not wait for five. */
function recordHeader(bytes: Buffer, at: number): { readonly length: number } | "more" | "other" {
  const [type = HANDSHAKE, major = 3, minor = 1] = bytes.subarray(at, at + 3);
  if (type !== HANDSHAKE || major !== 3 || minor > 4) return "other";
  if (bytes.length < at + 5) return "more";
  const length = bytes.readUInt16BE(at + 3);
  return length === 0 || length > MAX_RECORD ? fail("a record of an impossible length") : { length };
}

/** Of the whole message, once its header is there. */
function messageSize(parts: readonly Buffer[], gathered: number): number | undefined {
  const type = parts[0]?.[0];
  if (type !== undefined && type !== CLIENT_HELLO) return fail("another message than a hello");
  if (gathered < 4) return undefined;
  const [, high = 0, middle = 0, low = 0] = parts.slice(0, 4).flatMap((part) => [...part.subarray(0, 4)]);
  const size = 4 + (high << 16) + (middle << 8) + low;
  return size > MAX_HELLO ? fail(`a hello of more than ${MAX_HELLO} bytes`) : size;
}

function more(bytes: Buffer): "more" {
  if (bytes.length >= MAX_HELLO) fail(`a hello of more than ${MAX_HELLO} bytes`);
  return "more";
}

function fail(problem: string): never {
  throw new Malformed(problem);
}

function readHello(message: Buffer): ClientHello {
  const reader = new Cursor(message);
  if (reader.u16() >> 8 !== 3) fail("a hello of no version of TLS");
  reader.take(32);
  if (reader.vector(1).length > 32) fail("a session of more than 32 bytes");
  const suites = reader.vector(2);
  if (suites.length < 2 || suites.length % 2 !== 0) fail("no list of ciphers");
  if (reader.vector(1).length < 1) fail("no list of compressions");
  let name: string | undefined;
  let encrypted = false;
  let protocols: readonly string[] = [];
  // Without extensions: a client of before 2003.
  if (reader.atEnd) return { name, encrypted, protocols };
  const extensions = new Cursor(reader.vector(2));
  if (!reader.atEnd) fail("something behind the extensions");
  const seen = new Set<number>();
  while (!extensions.atEnd) {
    const type = extensions.u16();
    const data = extensions.vector(2);
    if (seen.has(type)) fail("one extension twice");
    seen.add(type);
    if (type === SERVER_NAME) name = readServerName(data);
    else if (type === ALPN) protocols = readProtocols(data);
    else if (ENCRYPTED_NAMES.has(type)) encrypted = true;
  }
  return { name, encrypted, protocols };
}

function readServerName(data: Buffer): string {
  const outer = new Cursor(data);
  const list = new Cursor(outer.vector(2));
  if (list.u8() !== 0) fail("a server name of a kind that there is not");
  const text = list.vector(2).toString("latin1");
  if (!list.atEnd || !outer.atEnd) fail("more than one server name");
  return normalName(text) ?? fail("a server name that is none");
}

function readProtocols(data: Buffer): readonly string[] {
  const outer = new Cursor(data);
  const list = new Cursor(outer.vector(2));
  if (!outer.atEnd) fail("something behind the list of protocols");
  const protocols: string[] = [];
  while (!list.atEnd) protocols.push(list.vector(1).toString("latin1"));
  return protocols;
}

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u8(): number {
    return this.take(1).readUInt8(0);
  }

  u16(): number {
    return this.take(2).readUInt16BE(0);
  }

  /** Bytes behind their length, which has `size` bytes. */
  vector(size: 1 | 2): Buffer {
    return this.take(size === 1 ? this.u8() : this.u16());
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) fail("it ends inside of a field");
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }
}

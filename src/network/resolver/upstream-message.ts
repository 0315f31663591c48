/** What we ask a name server, and what of its answer counts: the records about the name that was asked, and nothing else. */
import type { Address } from "../rules/index.ts";
import { CLASS_IN, TYPE } from "./record-type.ts";
import { hostOfLabels, MalformedMessage, nameBytes, WireReader } from "./wire.ts";

/** Most records that are read of one answer: 64 KiB hold 4,000 addresses, and no honest name has them. */
const MAX_RECORDS = 1000;
const PAYLOAD = 1232;

export interface UpstreamRecord {
  readonly owner: string;
  /** Seconds. */
  readonly ttl: number;
  readonly data: { readonly kind: "address"; readonly address: Address } | { readonly kind: "alias"; readonly target: string };
}

export interface UpstreamAnswer {
  readonly rcode: number;
  /** The server had more to say than it sent. */
  readonly cut: boolean;
  /** The server repeated our letters in their case, which an outsider has to guess. */
  readonly sameCase: boolean;
  /** Aliases, and addresses of the type that was asked. */
  readonly records: readonly UpstreamRecord[];
}

/** @param asked the name with the case of its letters as it is sent. */
export function writeUpstreamQuery(id: number, asked: string, type: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const tail = Buffer.from([0, type, 0, CLASS_IN, 0, 0, TYPE.OPT, PAYLOAD >> 8, PAYLOAD & 0xff, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, nameBytes(asked), tail]);
}

/** Undefined for what is no answer to this question: it is as if nothing had come. */
export function readUpstreamAnswer(bytes: Buffer, asked: { readonly id: number; readonly name: string; readonly type: number }): UpstreamAnswer | undefined {
  try {
    return readMessage(new WireReader(bytes), asked);
  } catch (error) {
    if (error instanceof MalformedMessage) return undefined;
    throw error;
  }
}

function readMessage(
  reader: WireReader,
  { id, name, type }: { readonly id: number; readonly name: string; readonly type: number },
): UpstreamAnswer | undefined {
  if (reader.u16() !== id) return undefined;
  const flags = reader.u16();
  if ((flags & 0x8000) === 0 || reader.u16() !== 1) return undefined;
  const count = reader.u16();
  reader.u32();
  const question = reader.labels(false).join(".");
  if (question.toLowerCase() !== name.toLowerCase() || reader.u16() !== type || reader.u16() !== CLASS_IN) return undefined;
  const cut = (flags & 0x0200) !== 0;
  const head = { rcode: flags & 0xf, cut, sameCase: question === name };
  // What is cut may end inside a record, and is asked for again.
  if (cut) return { ...head, records: [] };
  if (count > MAX_RECORDS) return undefined;
  const records: UpstreamRecord[] = [];
  for (let i = 0; i < count; i++) {
    const record = readRecord(reader, type);
    if (record !== undefined) records.push(record);
  }
  return { ...head, records };
}

function readRecord(reader: WireReader, wanted: number): UpstreamRecord | undefined {
  const owner = hostOfLabels(reader.labels(true));
  const type = reader.u16();
  const class_ = reader.u16();
  const ttl = reader.u32();
  const length = reader.u16();
  const end = reader.position + length;
  const data = readData(reader, type, length);
  if (type === TYPE.CNAME && reader.position !== end) throw new MalformedMessage("an alias that does not fill its record");
  if (type !== TYPE.CNAME) reader.take(length);
  if (owner === undefined || data === undefined || class_ !== CLASS_IN || (type !== wanted && type !== TYPE.CNAME)) return undefined;
  // A TTL with its top bit set is zero (RFC 2181 §8).
  return { owner, ttl: ttl > 0x7fff_ffff ? 0 : ttl, data };
}

/** Of an alias it moves on; of an address it only looks. */
function readData(reader: WireReader, type: number, length: number): UpstreamRecord["data"] | undefined {
  if (type === TYPE.CNAME) {
    const target = hostOfLabels(reader.labels(true));
    return target === undefined ? undefined : { kind: "alias", target };
  }
  const size = type === TYPE.A ? 4 : type === TYPE.AAAA ? 16 : undefined;
  if (size === undefined) return undefined;
  if (length !== size) throw new MalformedMessage("an address of the wrong length");
  const bytes = reader.bytes.subarray(reader.position, reader.position + size);
  if (bytes.length !== size) throw new MalformedMessage("it ends too early");
  return { kind: "address", address: addressOf(bytes) };
}

function addressOf(bytes: Buffer): Address {
  const value = BigInt(`0x${bytes.toString("hex")}`);
  if (bytes.length === 4) return { family: 4, value };
  return value >> 32n === 0xffffn ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value };
}

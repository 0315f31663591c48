/** What a job asks, and what it is told: the server's side of the message format, with EDNS (RFC 6891). */
import type { Address } from "../rules/index.ts";
import { CLASS_IN, RCODE, type Rcode, TYPE } from "./record-type.ts";
import { escapedName, hostOfLabels, MalformedMessage, nameBytes, WireReader } from "./wire.ts";

/** No honest question is near it: a name, a header and EDNS with a cookie. */
export const MAX_QUERY_BYTES = 1024;
/** Least that every client takes, and most that we send by UDP whatever it says (DNS flag day 2020). */
const LEAST_UDP = 512;
const MOST_UDP = 1232;

export interface Query {
  readonly id: number;
  /** As it came, to be sent back: a client may check the case of its letters. */
  readonly question: Buffer;
  /** Normal form; undefined when it is no name of a host. */
  readonly name: string | undefined;
  /** For the record. */
  readonly shown: string;
  readonly type: number;
  /** Undefined without EDNS. */
  readonly payload: number | undefined;
  readonly recursion: boolean;
}

/** A question that gets no more than an error. */
export interface Unanswerable {
  readonly id: number;
  readonly rcode: Rcode;
}

/** Undefined for what is not even a question: it gets no answer. */
export function readQuery(bytes: Buffer): Query | Unanswerable | undefined {
  if (bytes.length < 12 || bytes.length > MAX_QUERY_BYTES) return undefined;
  const reader = new WireReader(bytes);
  const id = reader.u16();
  const flags = reader.u16();
  // An answer sent to a server: answering it could start a loop.
  if ((flags & 0x8000) !== 0) return undefined;
  if ((flags & 0x7800) !== 0) return { id, rcode: RCODE.NOTIMP };
  try {
    return readBody(reader, id, flags);
  } catch (error) {
    if (error instanceof MalformedMessage) return { id, rcode: RCODE.FORMERR };
    throw error;
  }
}

function readBody(reader: WireReader, id: number, flags: number): Query | Unanswerable {
  const counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
  if (counts[0] !== 1 || counts[1] !== 0 || counts[2] !== 0 || (counts[3] ?? 0) > 1) return { id, rcode: RCODE.FORMERR };
  const start = reader.position;
  const labels = reader.labels(false);
  const type = reader.u16();
  if (reader.u16() !== CLASS_IN) return { id, rcode: RCODE.REFUSED };
  const question = Buffer.from(reader.bytes.subarray(start, reader.position));
  let payload: number | undefined;
  if (counts[3] === 1) {
    if (reader.labels(false).length !== 0 || reader.u16() !== TYPE.OPT) return { id, rcode: RCODE.FORMERR };
    payload = reader.u16();
    reader.u32();
    reader.take(reader.u16());
  }
  if (reader.position !== reader.bytes.length) return { id, rcode: RCODE.FORMERR };
  const name = hostOfLabels(labels);
  return { id, question, name, shown: name ?? escapedName(labels), type, payload, recursion: (flags & 0x0100) !== 0 };
}

export interface Answer {
  readonly rcode: Rcode;
  /** All under the name that was asked. */
  readonly addresses?: readonly Address[] | undefined;
  /** Of a PTR question. */
  readonly pointer?: string | undefined;
  /** Seconds. */
  readonly ttl?: number | undefined;
}

/** @param overTcp the whole answer; by UDP one that does not fit is empty and marked as cut (TC), so that the client asks by TCP. */
export function writeAnswer(query: Query, answer: Answer, overTcp: boolean): Buffer {
  const records = recordsOf(answer);
  const opt = query.payload === undefined ? [] : [Buffer.from([0, 0, TYPE.OPT, MOST_UDP >> 8, MOST_UDP & 0xff, 0, 0, 0, 0, 0, 0])];
  const size = 12 + query.question.length + [...records, ...opt].reduce((sum, { length }) => sum + length, 0);
  const room = overTcp ? 65_535 : Math.min(MOST_UDP, Math.max(LEAST_UDP, query.payload ?? LEAST_UDP));
  const cut = size > room;
  const header = headerOf(query.id, answer.rcode, { recursion: query.recursion, cut, answers: cut ? 0 : records.length, additional: opt.length });
  header.writeUInt16BE(1, 4);
  return Buffer.concat([header, query.question, ...(cut ? [] : records), ...opt]);
}

export function writeError({ id, rcode }: Unanswerable): Buffer {
  return headerOf(id, rcode, { recursion: false, cut: false, answers: 0, additional: 0 });
}

function headerOf(
  id: number,
  rcode: Rcode,
  { recursion, cut, answers, additional }: { readonly recursion: boolean; readonly cut: boolean; readonly answers: number; readonly additional: number },
): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  // An answer, recursion available.
  header.writeUInt16BE(0x8080 | (cut ? 0x0200 : 0) | (recursion ? 0x0100 : 0) | rcode, 2);
  header.writeUInt16BE(answers, 6);
  header.writeUInt16BE(additional, 10);
  return header;
}

function recordsOf({ addresses = [], pointer, ttl = 0 }: Answer): readonly Buffer[] {
  const record = (type: number, data: Buffer): Buffer => {
    // 0xc00c: the name in the question.
    const head = Buffer.from([0xc0, 0x0c, 0, type, 0, CLASS_IN, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(ttl, 6);
    head.writeUInt16BE(data.length, 10);
    return Buffer.concat([head, data]);
  };
  const ofAddress = ({ family, value }: Address): Buffer =>
    record(family === 4 ? TYPE.A : TYPE.AAAA, Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, "0"), "hex"));
  return [...addresses.map(ofAddress), ...(pointer === undefined ? [] : [record(TYPE.PTR, nameBytes(pointer))])];
}

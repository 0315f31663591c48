/**
 * One record of the sensor, as bytes: native/sensor/record.h in TypeScript. Every offset is checked against the record's own
 * size, so that a sensor gone wrong gives an error here and never a read of its neighbour.
 *
 * This folder and what runs in the sensor's thread import nothing of other rooms: the schemas of foundation would cost that
 * thread 13 MB.
 */
export const RECORD_VERSION = 1;
export const HEAD_SIZE = 152;
/** Bytes; native/sensor/record.h has the same. */
export const MAX_RECORD = 32_768;
const PART_HEAD = 8;

export const KIND = { exec: 1, exit: 2, fork: 3, call: 4, foreign: 5, hello: 100, answer: 101, counters: 102, pulse: 103 } as const;

export const PART = {
  file: 1,
  path: 2,
  base: 3,
  claim: 4,
  argv: 5,
  env: 6,
  cwd: 7,
  stream: 8,
  socket: 9,
  nameLocal: 10,
  nameRemote: 11,
  address: 12,
  payload: 13,
  program: 14,
  child: 15,
  capabilities: 16,
  counters: 17,
  text: 18,
  asked: 19,
  open: 20,
  folder: 21,
} as const;

/** Offsets in a record's head. */
export const AT = {
  size: 0,
  kind: 4,
  call: 6,
  watch: 8,
  number: 12,
  time: 16,
  result: 24,
  start: 32,
  parentStart: 40,
  pid: 48,
  tid: 52,
  ppid: 56,
  insidePid: 60,
  insideTid: 64,
  insidePpid: 68,
  uid: 72,
  euid: 76,
  gid: 80,
  egid: 84,
  pidns: 88,
  mntns: 92,
  cgroup: 96,
  args: 104,
  name: 136,
} as const;

export interface Part {
  readonly type: number;
  readonly content: Buffer;
}

/** A record that is whole: its head, and its parts in their order. */
export class SensorRecord {
  readonly bytes: Buffer;
  readonly parts: readonly Part[];

  /** @param bytes exactly one record. Throws BrokenRecord when its parts do not fit in it. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.parts = partsOf(bytes);
  }

  get kind(): number {
    return this.bytes.readUInt16LE(AT.kind);
  }

  get call(): number {
    return this.bytes.readUInt16LE(AT.call);
  }

  get watch(): number {
    return this.bytes.readUInt32LE(AT.watch);
  }

  /** Clock of the boot, ns. */
  get time(): bigint {
    return this.bytes.readBigUInt64LE(AT.time);
  }

  get result(): number {
    return Number(this.bytes.readBigInt64LE(AT.result));
  }

  /** An argument of the call: unsigned, 64 bits. @param index 0 to 3. */
  argument(index: number): bigint {
    return this.bytes.readBigUInt64LE(AT.args + 8 * index);
  }

  /** An argument that the kernel takes as an `int`. */
  integer(index: number): number {
    return this.bytes.readInt32LE(AT.args + 8 * index);
  }

  number(at: number): number {
    return this.bytes.readUInt32LE(at);
  }

  wide(at: number): bigint {
    return this.bytes.readBigUInt64LE(at);
  }

  part(type: number): Buffer | undefined {
    return this.parts.find((part) => part.type === type)?.content;
  }

  /** Contents of all parts of a type, in order. */
  all(type: number): readonly Buffer[] {
    return this.parts.filter((part) => part.type === type).map((part) => part.content);
  }
}

function partsOf(bytes: Buffer): Part[] {
  const parts: Part[] = [];
  for (let at = HEAD_SIZE; at < bytes.length; ) {
    const start = at + PART_HEAD;
    const length = start <= bytes.length ? bytes.readUInt16LE(at + 2) : 0;
    const end = start + length;
    if (end > bytes.length) throw broken(`a part of ${length} bytes at ${at} in a record of ${bytes.length}`);
    parts.push({ type: bytes.readUInt16LE(at), content: bytes.subarray(start, end) });
    at = start + ((length + 7) & ~7);
  }
  return parts;
}

/** What the sensor wrote is not in its own format: nothing after it can be trusted. Never leaves this room. */
export class BrokenRecord extends Error {}

export function broken(what: string): BrokenRecord {
  return new BrokenRecord(`the sensor's output makes no sense: ${what}`);
}

/** The reader against bytes that nobody wrote: whatever comes is an event, or an error that its caller counts. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Frames } from "../sensors/frames.ts";
import { addressOf, endpointOf } from "./address.ts";
import { CALL_NAMES } from "./calls.ts";
import { decodeRecord } from "./decode.ts";
import { pathOf } from "./facts.ts";
import { AT, BrokenRecord, HEAD_SIZE, KIND, PART, SensorRecord } from "./record.ts";
import { pieces, textOf } from "./text.ts";

const context = { job: "job", container: undefined, clockOffset: 0n };

interface PartSpec {
  readonly type: number;
  readonly content: Uint8Array;
}

/** A record as the sensor lays it out. */
function record(kind: number, call: number, parts: readonly PartSpec[] = [], head?: Uint8Array): Buffer {
  const blocks = parts.map(({ type, content }) => {
    const block = Buffer.alloc(8 + ((content.length + 7) & ~7));
    block.writeUInt16LE(type, 0);
    block.writeUInt16LE(content.length, 2);
    block.set(content, 8);
    return block;
  });
  const start = Buffer.alloc(HEAD_SIZE);
  if (head !== undefined) start.set(head.subarray(0, HEAD_SIZE));
  const bytes = Buffer.concat([start, ...blocks]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(kind, 4);
  bytes.writeUInt16LE(call, 6);
  return bytes;
}

const anyPart = fc.record({ type: fc.integer({ min: 0, max: 22 }), content: fc.uint8Array({ maxLength: 200 }) });
const anyRecord = fc
  .tuple(
    fc.constantFrom(KIND.exec, KIND.exit, KIND.fork, KIND.foreign, KIND.call, KIND.call, KIND.call, 7),
    fc.integer({ min: 0, max: CALL_NAMES.length + 3 }),
    fc.array(anyPart, { maxLength: 12 }),
    fc.uint8Array({ minLength: HEAD_SIZE, maxLength: HEAD_SIZE }),
  )
  .map(([kind, call, parts, head]) => record(kind, call, parts, head));

describe("records", () => {
  test("any parts in any record", () => {
    fc.assert(
      fc.property(anyRecord, (bytes) => {
        try {
          const event = decodeRecord(new SensorRecord(bytes), context);
          expect(event.job).toBe("job");
        } catch (error) {
          if (!(error instanceof BrokenRecord) && !(error instanceof RangeError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("any bytes after a head", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: HEAD_SIZE, maxLength: 600 }), (bytes) => {
        try {
          for (const part of new SensorRecord(Buffer.from(bytes)).parts) expect(part.content.length).toBeLessThanOrEqual(bytes.length - HEAD_SIZE);
        } catch (error) {
          if (!(error instanceof BrokenRecord)) throw error;
        }
      }),
    );
  });

  test("a stream cut anywhere is the same records", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 20 }), fc.array(fc.nat(2000), { maxLength: 30 }), (records, cuts) => {
        const stream = Buffer.concat(records);
        const frames = new Frames();
        const found: Buffer[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          found.push(...frames.push(stream.subarray(at, at + cut)));
          at = Math.min(stream.length, at + cut);
        }
        expect(Buffer.concat(found)).toEqual(stream);
        expect(found.map((one) => one.length)).toEqual(records.map((one) => one.length));
      }),
    );
  });

  test.each([0, 8, HEAD_SIZE - 8, HEAD_SIZE + 4, 32_776, 0xffffffff])("a size of %i is no record's", (size) => {
    const bytes = Buffer.alloc(HEAD_SIZE);
    bytes.writeUInt32LE(size, 0);
    expect(() => new Frames().push(bytes)).toThrow(BrokenRecord);
  });
});

describe("texts", () => {
  test("two different pieces of bytes are two different texts, unless one says what the other escapes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 12 }), (a, b) => {
        const [one, other] = [textOf(Buffer.from(a)), textOf(Buffer.from(b))];
        if (one !== other) return;
        const same = Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0;
        expect(same || one.includes("\\")).toBe(true);
      }),
    );
  });

  test("what is UTF-8 stays as it is, what is not can be read back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(textOf(Buffer.from(text))).toBe(text);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const buffer = Buffer.concat([Buffer.from(bytes), Buffer.from([0xff])]);
        const back: Buffer[] = [];
        for (const [piece] of textOf(buffer).matchAll(/\\x[0-9a-f]{2}|\\\\|[^\\]/gsu)) {
          back.push(piece.startsWith("\\x") ? Buffer.from(piece.slice(2), "hex") : Buffer.from(piece === "\\\\" ? "\\" : piece));
        }
        expect(Buffer.concat(back)).toEqual(buffer);
      }),
    );
  });

  test("pieces are what a split at NUL gives, without an empty last one", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const naive = Buffer.from(bytes).toString("latin1").split("\0");
        if (naive.at(-1) === "") naive.pop();
        expect(pieces(Buffer.from(bytes)).map((piece) => piece.toString("latin1"))).toEqual(naive);
      }),
    );
  });
});

test("paths: names come last first; one that has no end is cut", () => {
  const path = (state: number, ...names: string[]): Buffer =>
    Buffer.concat([Buffer.from([state, 0, 0, 0, 0, 0, 0, 0]), ...names.map((name) => Buffer.from(`${name}\0`))]);
  expect(pathOf(path(0, "c", "b", "a"))).toEqual({ path: "/a/b/c", cut: false });
  expect(pathOf(path(0))).toEqual({ path: "/", cut: false });
  expect(pathOf(path(1, "c", "b"))).toEqual({ path: ".../b/c", cut: true });
  expect(pathOf(path(2, "c", "/"))).toEqual({ path: ".../c", cut: true });
});

describe("addresses", () => {
  test.each([
    ["00000000000000000000000000000001", "::1"],
    ["00000000000000000000000000000000", "::"],
    ["20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
    ["20010db8000100020003000400050006", "2001:db8:1:2:3:4:5:6"],
    ["20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
    ["00000000000000000000ffff0a000001", "10.0.0.1"],
    ["fe800000000000000000000000000000", "fe80::"],
  ])("%s is %s", (hex, text) => expect(addressOf(Buffer.from(hex, "hex"))).toBe(text));

  test("RFC 5952, against the platform's own", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 }), (words) => {
        const bytes = Buffer.alloc(16);
        for (const [i, word] of words.entries()) bytes.writeUInt16BE(word, 2 * i);
        fc.pre(!(words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff));
        const [, inner] = /^\[(.*)\]$/.exec(new URL(`http://[${words.map((word) => word.toString(16)).join(":")}]/`).hostname) ?? [];
        expect(addressOf(bytes)).toBe(inner);
      }),
    );
  });

  test("a short or strange one is none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const found = endpointOf(Buffer.from(bytes));
        expect(found === undefined || typeof found.address === "string").toBe(true);
      }),
    );
  });
});

test("a number that is used again is another process: its key has when it began", () => {
  const keyOf = (pid: number, start: bigint): string => {
    const head = Buffer.alloc(HEAD_SIZE);
    head.writeUInt32LE(pid, AT.pid);
    head.writeBigUInt64LE(start, AT.start);
    return decodeRecord(new SensorRecord(record(KIND.exit, 0, [], head)), context).actor.key;
  };
  expect([keyOf(7, 1000n), keyOf(7, 1001n)]).toEqual(["7:1000", "7:1001"]);
});

test("a stream part belongs to its own descriptor's socket", () => {
  const stream = (descriptor: number): PartSpec => {
    const content = Buffer.alloc(40);
    content.writeUInt32LE(descriptor, 0);
    content.writeUInt32LE(0o140777, 4);
    return { type: PART.stream, content };
  };
  const socket = (slot: number, port: number): PartSpec => {
    const content = Buffer.alloc(56);
    content.writeUInt32LE(slot, 0);
    content.writeUInt16LE(2, 4);
    content.writeUInt16LE(port, 14);
    return { type: PART.socket, content };
  };
  const program = { type: PART.program, content: Buffer.alloc(24) };
  const file = { type: PART.file, content: Buffer.alloc(72) };
  const bytes = record(KIND.exec, 0, [file, program, stream(0), socket(1, 80), stream(1), stream(2), socket(3, 443)]);
  const event = decodeRecord(new SensorRecord(bytes), context);
  expect(event).toMatchObject({
    stdio: [{ to: "socket", socket: { remote: { port: 80 } } }, { to: "other" }, { to: "socket", socket: { remote: { port: 443 } } }],
  });
});

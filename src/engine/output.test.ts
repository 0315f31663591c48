import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { demultiplex, outputStream } from "./output.ts";

type Frame = readonly [source: 0 | 1 | 2, payload: Uint8Array];

const frames = fc.array(fc.tuple(fc.constantFrom(0 as const, 1 as const, 2 as const), fc.uint8Array({ maxLength: 40 })), { maxLength: 20 });

function encode(list: readonly Frame[]): Buffer {
  return Buffer.concat(
    list.map(([source, payload]) => {
      const header = Buffer.from([source, 0, 0, 0, 0, 0, 0, 0]);
      header.writeUInt32BE(payload.length, 4);
      return Buffer.concat([header, payload]);
    }),
  );
}

/** Cuts at any places, also twice at the same one: empty chunks come too. */
async function* cut(bytes: Buffer, places: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (const place of [...places.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(from, place);
    from = place;
  }
}

async function bySource(bytes: AsyncIterable<Buffer>): Promise<Record<"stdout" | "stderr", string>> {
  const all = { stdout: "", stderr: "" };
  for await (const chunk of demultiplex(bytes, "read")) all[chunk.source] += chunk.bytes.toString("hex");
  return all;
}

test("frames come apart the same, wherever the chunks are cut", async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(2000), { maxLength: 60 }), async (list, places) => {
      const expected = { stdout: "", stderr: "" };
      for (const [source, payload] of list) expected[source === 2 ? "stderr" : "stdout"] += Buffer.from(payload).toString("hex");
      expect(await bySource(cut(encode(list), places))).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test("cut at every single byte, and byte by byte", async () => {
  const list: Frame[] = [
    [1, Buffer.from("one")],
    [2, Buffer.alloc(0)],
    [2, Buffer.from("two\n")],
    [0, Buffer.from("in")],
  ];
  const bytes = encode(list);
  const expected = { stdout: Buffer.from("onein").toString("hex"), stderr: Buffer.from("two\n").toString("hex") };
  for (let at = 0; at <= bytes.length; at++) expect(await bySource(cut(bytes, [at]))).toEqual(expected);
  expect(
    await bySource(
      cut(
        bytes,
        bytes.toJSON().data.map((_, at) => at),
      ),
    ),
  ).toEqual(expected);
});

test("a stream that ends inside of a frame is cut, at a border it is over", async () => {
  const list: Frame[] = [
    [1, Buffer.from("abc")],
    [2, Buffer.from("d")],
  ];
  const bytes = encode(list);
  const borders = new Set([0, 11, 20]);
  for (let length = 0; length <= bytes.length; length++) {
    const read = bySource(cut(bytes.subarray(0, length), []));
    if (borders.has(length)) await expect(read).resolves.toBeDefined();
    else await expect(read).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE", message: expect.stringContaining("inside a frame") });
  }
});

describe("what is no frame", () => {
  test.each([
    ["a shell's prompt, from a container with a terminal", Buffer.from("/ # ls -la\r\n"), "no frames"],
    ["a stream number that does not exist", Buffer.from([4, 0, 0, 0, 0, 0, 0, 1, 65]), "no frames"],
    ["bytes where zeros belong", Buffer.from([1, 0, 7, 0, 0, 0, 0, 1, 65]), "no frames"],
    ["a frame of 4 GiB", Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 65]), "a frame of 4294967295 bytes"],
    ["a frame of one byte more than the limit", Buffer.from([1, 0, 0, 0, 1, 0, 0, 1, 65]), "a frame of 16777217 bytes"],
  ])("%s", async (_, bytes, why) => {
    await expect(bySource(cut(bytes, []))).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE", message: expect.stringContaining(why) });
  });

  test("what the engine says on its own stream becomes the error, on one line", async () => {
    const payload = Buffer.from("log driver \u001b[31mfailed\nbadly");
    const bytes = Buffer.concat([encode([[1, Buffer.from("ok")]]), Buffer.from([3, 0, 0, 0, 0, 0, 0, payload.length]), payload]);
    await expect(bySource(cut(bytes, []))).rejects.toThrow(/breaks off: log driver \[31mfailed badly$/);
  });
});

describe("logs with timestamps", () => {
  const close = (): void => undefined;
  async function read(bytes: AsyncIterable<Buffer>): Promise<[string, string | undefined, string][]> {
    const all: [string, string | undefined, string][] = [];
    for await (const { source, time, bytes: payload } of outputStream(bytes, close, { tty: false, timestamps: true, what: "read" }))
      all.push([source, time, payload.toString()]);
    return all;
  }

  test("each record is whole and its time apart, wherever the chunks are cut", async () => {
    const bytes = encode([
      [1, Buffer.from("2026-11-27T03:21:26.255772338Z a b\n")],
      [2, Buffer.from("2026-11-27T03:21:26.255980038Z \n")],
    ]);
    for (let at = 0; at <= bytes.length; at++) {
      expect(await read(cut(bytes, [at]))).toEqual([
        ["stdout", "2026-11-27T03:21:26.255772338Z", "a b\n"],
        ["stderr", "2026-11-27T03:21:26.255980038Z", "\n"],
      ]);
    }
  });

  test("a record without a time, or larger than a record, is refused", async () => {
    await expect(read(cut(encode([[1, Buffer.from("nothing\n")]]), []))).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE" });
    const limit = 2 ** 20;
    const record = (length: number): Buffer => encode([[1, Buffer.from(`T ${"x".repeat(length - 2)}`)]]);
    expect((await read(cut(record(limit), [7, 5000])))[0]?.[2]).toHaveLength(limit - 2);
    await expect(read(cut(record(limit + 1), []))).rejects.toThrow(/record of more than/);
  });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonLines } from "./json-lines.ts";

async function* cut(bytes: Buffer, places: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (const place of [...places.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    yield bytes.subarray(from, place);
    from = place;
  }
}

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const list: string[] = [];
  for await (const line of lines) list.push(line);
  return list;
}

test("lines are what splitting the whole gives, wherever the chunks are cut", async () => {
  const lines = fc.array(fc.oneof(fc.json(), fc.constantFrom("", " ", "\r", "é€𝄞")));
  await fc.assert(
    fc.asyncProperty(lines, fc.array(fc.nat(500), { maxLength: 30 }), fc.boolean(), async (list, places, ended) => {
      const text = list.join("\n") + (ended ? "\n" : "");
      const expected = text
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "");
      expect(await all(jsonLines(cut(Buffer.from(text), places), "read"))).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test("a line without an end is given up at the limit, not when memory is", async () => {
  let sent = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      sent += 65_536;
      yield Buffer.alloc(65_536, 0x20);
    }
  }
  await expect(all(jsonLines(endless(), "follow the events"))).rejects.toMatchObject({
    code: "UPSTREAM_UNAVAILABLE",
    message: expect.stringContaining("a line of more than"),
  });
  expect(sent).toBeLessThan(5 * 2 ** 20);
});

test("the limit is a line's, not the stream's", async () => {
  async function* long(): AsyncGenerator<Buffer> {
    // Every chunk ends inside a line.
    for (let i = 0; i < 200; i++) yield Buffer.from(`${"x".repeat(30_000)}\n${"y".repeat(30_000)}`);
  }
  expect(await all(jsonLines(long(), "follow the events"))).toHaveLength(201);
});

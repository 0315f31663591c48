import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ZipFileSpec, type ZipLies, zip } from "../../test/world/zips.ts";
import { type PackedSource, UnpackedTooLarge, type ZipItem, zipEntries, zstdPieces } from "./index.ts";

const LIMITS = { wanted: (name: string) => name.endsWith(".json"), maxEntries: 100, maxEntryBytes: 10_000, maxUnpackedBytes: 50_000 };

function memory(bytes: Buffer): PackedSource {
  return { size: bytes.length, read: (position, length) => Promise.resolve(bytes.subarray(position, position + length)) };
}

async function items(bytes: Buffer, limits = LIMITS): Promise<ZipItem[]> {
  const found: ZipItem[] = [];
  for await (const item of zipEntries(memory(bytes), limits)) found.push("bytes" in item ? { name: item.name, bytes: Buffer.from(item.bytes) } : item);
  return found;
}

const A = { name: "a.json", body: '{"id":"A"}' };
const B = { name: "npm/b.json", body: "x".repeat(5000) };
const refused = (kind: string): unknown => expect.objectContaining({ code: "INTEGRITY_FAILURE", details: expect.objectContaining({ kind }) });

test("wanted files, deflated and stored, ZIP64 and not, come as they are", async () => {
  for (const lies of [{}, { zip64: true }]) {
    const archive = zip([A, { name: "readme.txt", body: "no" }, { name: "npm/", body: "", stored: true }, { ...B, stored: true }], lies);
    expect(await items(archive)).toEqual([
      { name: "a.json", bytes: Buffer.from(A.body) },
      { name: "npm/b.json", bytes: Buffer.from(B.body) },
    ]);
  }
  expect(await items(zip([]))).toEqual([]);
});

test("what another program packs", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-zip-"));
  try {
    writeFileSync(join(folder, "a.json"), A.body);
    // Python writes to a pipe with sizes after the data; its module is everywhere.
    const script = 'import sys,zipfile\nz=zipfile.ZipFile(sys.stdout.buffer,"w",zipfile.ZIP_DEFLATED)\nz.write("a.json")\nz.close()';
    writeFileSync(join(folder, "a.zip"), execFileSync("python3", ["-c", script], { cwd: folder }));
    expect(await items(readFileSync(join(folder, "a.zip")))).toEqual([{ name: "a.json", bytes: Buffer.from(A.body) }]);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") context.skip("no python3");
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe("what lies is refused", () => {
  const cases: readonly [kind: string, what: string, files: readonly ZipFileSpec[], lies?: ZipLies][] = [
    ["size", "more data than the directory says", [{ ...B, size: 100 }]],
    ["size", "less data than the directory says", [{ ...B, size: 5001 }]],
    [
      "size",
      "padding as packed data",
      [
        { ...A, packedSize: 9000 },
        { name: "z", body: "z".repeat(20_000), stored: true },
      ],
    ],
    ["checksum", "another checksum", [{ ...A, crc: 1 }]],
    ["zip", "stored sizes that differ", [{ ...A, stored: true, size: 3 }]],
    ["zip", "another name in the file's own header", [{ ...A, ownName: "b.json" }]],
    ["zip", "a directory that counts fewer than it holds", [A, B], { count: 1 }],
    ["zip", "a directory that counts more than it holds", [A, B], { count: 3 }],
    ["zip", "a file beyond the end", [{ ...A, packedSize: 1_000_000 }]],
    ["zip", "a header that is elsewhere", [{ ...A, offset: 7 }]],
    ["zip", "a path that leaves", [{ ...A, name: "../a.json" }]],
    ["zip", "an absolute path", [{ ...A, name: "/a.json" }]],
    ["zip", "a backslash", [{ ...A, name: "a\\b.json" }]],
    ["control-character", "a control character", [{ ...A, name: "a\u0007.json" }]],
    ["overlap", "two files in one place", [A, { ...A, offset: 0 }]],
  ];
  test.each(cases)("%s: %s", async (kind, _what, files, lies) => {
    await expect(items(zip(files, lies ?? {}))).rejects.toThrow(refused(kind));
  });
  test("garbage in place of data", async () => {
    const archive = zip([B]);
    archive.fill(0xff, 30 + B.name.length, 30 + B.name.length + 4);
    await expect(items(archive)).rejects.toThrow(refused("zip"));
  });
});

test("what cannot be had is a fault, and what is too much ends it", async () => {
  const body = "y".repeat(10_001);
  expect(
    await items(
      zip([
        { name: "big.json", body },
        { ...A, flags: 0x801 },
        { ...B, method: 12 },
      ]),
    ),
  ).toEqual([
    { name: "big.json", fault: "larger than 10000 bytes" },
    { name: "a.json", fault: "encrypted" },
    { name: "npm/b.json", fault: "packed by a method that is not known (12)" },
  ]);
  const many = Array.from({ length: 101 }, (_, i) => ({ name: `${i}.json`, body: "" }));
  await expect(items(zip(many))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  const large = Array.from({ length: 6 }, (_, i) => ({ name: `${i}.json`, body: "z".repeat(9_000) }));
  await expect(items(zip(large))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
});

test("property: cut anywhere or with one byte changed, it is whole, a fault, or a typed error", async () => {
  const archive = zip([A, B, { name: "c.json", body: "{}", stored: true }]);
  const whole = await items(archive);
  await fc.assert(
    fc.asyncProperty(fc.nat(archive.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, change, cut) => {
      const bytes = Buffer.from(cut ? archive.subarray(0, at) : archive);
      if (!cut) bytes.writeUInt8((bytes[at] ?? 0) ^ change, at);
      const outcome = await items(bytes).catch((error: unknown) => error);
      if (cut) expect(outcome).toMatchObject({ code: "INTEGRITY_FAILURE" });
      else if (Array.isArray(outcome)) {
        // A flag, a date, or a name changed in both places cannot be seen; the content is as it was.
        for (const item of outcome) if ("bytes" in item) expect(whole).toContainEqual(expect.objectContaining({ bytes: item.bytes }));
      } else expect(["INTEGRITY_FAILURE", "PAYLOAD_TOO_LARGE"]).toContain(Object(outcome).code);
    }),
    { numRuns: 400 },
  );
});

describe("zstd", () => {
  const body = Buffer.alloc(700_000, "records ");
  const unpack = async (bytes: Buffer, maxBytes = 1e6): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const piece of zstdPieces(memory(bytes), { maxBytes })) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  test("one frame and several", async () => {
    const random = Buffer.from(Array.from({ length: 600_000 }, (_, i) => (i * 2654435761) >>> 13));
    expect(await unpack(zstdCompressSync(body))).toEqual(body);
    expect(await unpack(Buffer.concat([zstdCompressSync("a"), zstdCompressSync("b")]))).toEqual(Buffer.from("ab"));
    expect(await unpack(zstdCompressSync(random))).toEqual(random);
  });
  test("cut off, followed by something, damaged, too large", async () => {
    const packed = zstdCompressSync(body);
    for (const bad of [
      packed.subarray(0, -1),
      packed.subarray(0, 10),
      Buffer.concat([packed, Buffer.from("rest")]),
      Buffer.concat([packed, packed.subarray(0, 9)]),
    ])
      await expect(unpack(bad)).rejects.toThrow(refused("zstd"));
    const late = Buffer.concat([packed, Buffer.alloc(600_000, "x")]);
    await expect(unpack(late)).rejects.toThrow(refused("zstd"));
    await expect(unpack(zstdCompressSync(Buffer.alloc(2 ** 21)))).rejects.toThrow(UnpackedTooLarge);
  });
});

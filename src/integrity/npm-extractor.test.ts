/** The archive must look the same to us and to npm's extractor, or be refused. */
import { hash } from "node:crypto";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ArchiveEntry, PACKAGE_JSON, pax, tar, tgz } from "../../test/world/archives.ts";
import { npmExtract, withHeader } from "../../test/world/npm-extractor.ts";
import { CofferdamError } from "../foundation/index.ts";
import { inspectBytes, installedFiles } from "./index.ts";

const LIMITS = { maxUnpackedBytes: 1e7, maxEntries: 1000 };

const refused = (kind: string): unknown => expect.objectContaining({ code: "INTEGRITY_FAILURE", details: expect.objectContaining({ kind }) });

function ourFiles(archive: Buffer): Record<string, string> {
  return Object.fromEntries([...installedFiles(inspectBytes(archive, LIMITS))].map(([path, file]): [string, string] => [path, file.sha256]));
}

/** A whole archive, hidden as the content of an innocent file. */
const HIDDEN = tar([{ path: "package/evil.js", body: "evil" }], 0);
const carrier = (edit: (header: Buffer) => void): Buffer => gzipSync(withHeader(tar([PACKAGE_JSON, { path: "package/data.bin", body: HIDDEN }]), 2, edit));

/** npm loses the header of data.bin and takes its content for entries. */
const smuggled: readonly [name: string, kind: string, archive: Buffer][] = [
  ["a link name on a file", "header", carrier((header) => header.write("x", 157))],
  ["a uid out of range", "header", carrier((header) => header.writeUInt8(0x81, 108))],
  ["a gid out of range", "header", carrier((header) => header.writeUInt8(0xfe, 116))],
  ["a time out of range", "header", carrier((header) => header.writeUInt8(0xc0, 136))],
  ["a device number out of range", "header", carrier((header) => header.writeUInt8(0x90, 329))],
  ["an access time out of range", "header", carrier((header) => header.writeUInt8(0x81, 476))],
  ["a checksum that nothing ends", "checksum", gzipSync(endlessChecksum())],
];

function endlessChecksum(): Buffer {
  const bytes = tar([PACKAGE_JSON, { path: "package/data.bin", body: HIDDEN }]);
  const digits = bytes.toString("latin1", 1024 + 148, 1024 + 154);
  bytes.write(`00${digits}`, 1024 + 148);
  return bytes;
}

describe("archives in an archive", () => {
  test.each(smuggled)("%s: npm writes the hidden file, we refuse", async (_name, kind, archive) => {
    expect(Object.keys(await npmExtract(archive))).toContain("evil.js");
    expect(() => inspectBytes(archive, LIMITS)).toThrow(refused(kind));
  });
});

describe("what npm would put elsewhere, or leave out, is refused", () => {
  const prefixOnly = withHeader(tar([PACKAGE_JSON, { path: "q", prefix: "package/pre", body: HIDDEN }]), 2, (header) => header.fill(0, 0, 100));
  const emptyLongPrefix = withHeader(tar([PACKAGE_JSON, { path: "package/d/e", body: "1" }]), 2, (header) => header.write("x", 475));
  const q: ArchiveEntry = { path: "package/q", body: "1" };
  const deep = `${"a/".repeat(1100)}f`;
  /** The last two: a file that a plain reading of the archive gives. */
  const cases: readonly [name: string, kind: string, archive: Buffer, path: string, body: string][] = [
    ["a drive letter", "absolute", tgz([PACKAGE_JSON, { path: "package/c:index.js", body: "1" }]), "c:index.js", "1"],
    ["a drive letter and a slash", "absolute", tgz([PACKAGE_JSON, { path: "package/c:/index.js", body: "1" }]), "c:/index.js", "1"],
    ["a backslash at the start", "absolute", tgz([PACKAGE_JSON, { path: "package/\\index.js", body: "1" }]), "\\index.js", "1"],
    ["three slashes", "absolute", tgz([PACKAGE_JSON, { path: "package///?/x/y/index.js", body: "1" }]), "?/x/y/index.js", "1"],
    [".. between backslashes", "traversal", tgz([PACKAGE_JSON, { path: "package/a\\..\\b", body: "1" }]), "a\\..\\b", "1"],
    ["a contiguous file with a slash", "type", tgz([PACKAGE_JSON, { path: "package/dir/", type: "7", body: HIDDEN }]), "evil.js", "evil"],
    ["a name that is a prefix only", "path", gzipSync(prefixOnly), "evil.js", "evil"],
    ["an empty long prefix", "absolute", gzipSync(emptyLongPrefix), "d/e", "1"],
    ["a long name that goes on", "header", tgz([PACKAGE_JSON, { path: "L", type: "L", body: "package/a\0x\nb" }, q]), "a", "1"],
    ["a long link name", "link", tgz([PACKAGE_JSON, { path: "K", type: "K", body: "../../../x\0" }, q]), "q", "1"],
    ["a pax link target", "link", tgz([PACKAGE_JSON, pax({ linkpath: "../../../x" }), q]), "q", "1"],
    ["1,100 levels", "path", tgz([PACKAGE_JSON, pax({ path: `package/${deep}` }), q]), deep, "1"],
    ["ignore files, two tops", "duplicate", tgz([PACKAGE_JSON, { path: "a/.npmignore", body: "1" }, { path: "b/.gitignore", body: "2" }]), ".npmignore", "1"],
    ["ignore files, two spellings", "duplicate", tgz([PACKAGE_JSON, { path: "a/d/.npmignore", body: "1" }, { path: "a/./d/.gitignore" }]), "d/.npmignore", "1"],
  ];
  test.each(cases)("%s", async (_name, kind, archive, path, body) => {
    const npm = await npmExtract(archive);
    expect(npm["package.json"]).toBeDefined();
    expect(npm[path]).not.toBe(hash("sha256", body, "base64"));
    expect(() => inspectBytes(archive, LIMITS)).toThrow(refused(kind));
  });

  test("a name that goes on after its end (npm's extractor dies of it)", () => {
    const archive = withHeader(tar([PACKAGE_JSON, { path: "package/a", body: "1" }]), 2, (header) => header.write("package/a\0x\nb", 0));
    expect(() => inspectBytes(gzipSync(archive), LIMITS)).toThrow(refused("header"));
  });
});

describe("what readers of different make and age take differently is refused", () => {
  const cases: readonly [name: string, kind: string, archive: Buffer][] = [
    ["pax mode", "pax", tgz([PACKAGE_JSON, pax({ mode: "2541" }), { path: "package/q", body: "1" }])],
    ["pax path twice", "pax", tgz([PACKAGE_JSON, { path: "x", type: "x", body: "18 path=package/a\n18 path=package/b\n" }, { path: "package/q" }])],
    [
      "pax size before a long name",
      "pax",
      tgz([PACKAGE_JSON, pax({ size: "4" }), { path: "L", type: "L", body: "package/l\0" }, { path: "package/q", body: "1234" }]),
    ],
    ["two pax headers", "pax", tgz([PACKAGE_JSON, pax({ path: "package/a" }), pax({ comment: "b" }), { path: "package/q" }])],
    ["pax size and field size", "size", tgz([PACKAGE_JSON, pax({ size: "512" }), { path: "package/q", size: 0, body: Buffer.alloc(512, 65) }])],
    [
      "a pax header without a name",
      "path",
      gzipSync(withHeader(tar([PACKAGE_JSON, pax({ comment: "c" }), { path: "package/z" }]), 2, (header) => header.fill(0, 0, 100))),
    ],
  ];
  test.each(cases)("%s", (_name, kind, archive) => {
    expect(() => inspectBytes(archive, LIMITS)).toThrow(refused(kind));
  });
});

/** Bytes and places that parsers trip over. */
const BYTES = [0, 0x0a, 0x0d, 0x20, 0x2e, 0x2f, 0x30, 0x31, 0x35, 0x37, 0x3a, 0x3d, 0x41, 0x4b, 0x4c, 0x5c, 0x67, 0x78, 0x7f, 0x80, 0x81, 0xc3, 0xe2, 0xff];
const PLACES = [
  0, 8, 9, 99, 100, 107, 108, 115, 116, 123, 124, 135, 136, 147, 156, 157, 158, 256, 257, 262, 264, 265, 329, 337, 344, 345, 400, 474, 475, 476, 488, 499, 511,
];
const BASES: readonly (readonly ArchiveEntry[])[] = [
  [PACKAGE_JSON, { path: "package/data.bin", body: HIDDEN }, { path: "package/z", body: "zz" }],
  [PACKAGE_JSON, pax({ path: "package/long name", mtime: "1.5" }), { path: "package/short", body: HIDDEN }],
  [
    PACKAGE_JSON,
    { path: "L", type: "L", body: `package/${"n".repeat(120)}\0` },
    { path: "package/nn", body: HIDDEN },
    { path: "package/d", type: "5" },
    { path: "package/d/e" },
  ],
  [PACKAGE_JSON, { path: "x", prefix: "package/pre", body: HIDDEN }, { path: "package/.gitignore", body: "g" }, { path: "package/.npmignore", body: "n" }],
  [pax({ comment: "c" }, "g"), PACKAGE_JSON, { path: "package/old", old: true, body: HIDDEN }],
];
const place = fc.oneof(fc.constantFrom(...PLACES), fc.nat(511));

test("property: an edited archive is refused, or is the same to npm and to us", async () => {
  const edits = fc.array(fc.tuple(place, fc.constantFrom(...BYTES)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...BASES), fc.nat(7), edits, async (entries, block, changes) => {
      const archive = gzipSync(
        withHeader(tar(entries), block % (tar(entries).length / 512 - 2), (header) => {
          for (const [at, byte] of changes) header[at] = byte;
        }),
        { level: 1 },
      );
      let ours: Record<string, string>;
      try {
        ours = ourFiles(archive);
      } catch (error) {
        expect(error).toBeInstanceOf(CofferdamError);
        expect(error).not.toMatchObject({ code: "INTERNAL" });
        return;
      }
      expect(ours).toEqual(await npmExtract(archive));
    }),
    { numRuns: process.env["COFFERDAM_TEST_FULL"] === "1" ? 20_000 : 300 },
  );
});

import { hash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ArchiveEntry, PACKAGE_JSON, pax, tar, tgz } from "../../test/world/archives.ts";
import { CofferdamError } from "../foundation/index.ts";
import { inspectBytes, inspectFile, installedFiles } from "./index.ts";

const LIMITS = { maxUnpackedBytes: 1e6, maxEntries: 1000 };

async function viaFile(bytes: Buffer, limits = LIMITS): Promise<ReturnType<typeof inspectBytes>> {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-tar-"));
  try {
    writeFileSync(join(folder, "p.tgz"), bytes);
    return await inspectFile(join(folder, "p.tgz"), limits);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("hostile archives are refused, in memory and streamed alike", () => {
  const long = "x".repeat(150);
  const cases: readonly [kind: string, archive: Buffer][] = [
    ["traversal", tgz([PACKAGE_JSON, { path: "package/../../x" }])],
    ["traversal", tgz([PACKAGE_JSON, { path: "..", type: "5" }])],
    ["traversal", tgz([PACKAGE_JSON, pax({ path: "package/../x" }), { path: "package/ok" }])],
    ["traversal", tgz([PACKAGE_JSON, { path: "@LongLink", type: "L", body: `package/../${long}\0` }, { path: "package/ok" }])],
    ["absolute", tgz([PACKAGE_JSON, { path: "/etc/passwd" }])],
    ["absolute", tgz([PACKAGE_JSON, { path: "x", prefix: "/etc" }])],
    ["link", tgz([PACKAGE_JSON, { path: "package/l", type: "2", linkname: "/etc/passwd" }])],
    ["link", tgz([PACKAGE_JSON, { path: "package/l", type: "1", linkname: "package/package.json" }])],
    ["device", tgz([PACKAGE_JSON, { path: "package/d", type: "3" }])],
    ["device", tgz([PACKAGE_JSON, { path: "package/d", type: "4" }])],
    ["fifo", tgz([PACKAGE_JSON, { path: "package/f", type: "6" }])],
    ["type", tgz([PACKAGE_JSON, { path: "package/f", type: "S" }])],
    ["duplicate", tgz([PACKAGE_JSON, { path: "package/a", body: "1" }, { path: "package/a", body: "2" }])],
    ["duplicate", tgz([PACKAGE_JSON, { path: "package/a", body: "1" }, { path: "other/./a", body: "2" }])],
    ["duplicate", tgz([PACKAGE_JSON, { path: "package/a", body: "1" }, { path: "package/a/b", body: "2" }])],
    ["duplicate", tgz([PACKAGE_JSON, { path: "package/a/b", body: "1" }, { path: "package/a", body: "2" }])],
    ["duplicate", tgz([PACKAGE_JSON, { path: "package/a", body: "1" }, { path: "package/a", type: "5" }])],
    ["setuid", tgz([PACKAGE_JSON, { path: "package/s", mode: 0o4755 }])],
    ["setuid", tgz([PACKAGE_JSON, { path: "package/s", mode: 0o2755 }])],
    ["checksum", tgz([PACKAGE_JSON, { path: "package/c", badChecksum: true }])],
    ["size", tgz([PACKAGE_JSON, { path: "package/n", size: "-0000000001\0" }])],
    ["size", tgz([PACKAGE_JSON, { path: "package/n", size: "0000000009z\0" }])],
    ["size", tgz([PACKAGE_JSON, { path: "package/n", size: Buffer.alloc(12, 0xff) }])],
    ["size", tgz([PACKAGE_JSON, pax({ size: "1e9" }), { path: "package/n" }])],
    ["pax", tgz([PACKAGE_JSON, pax({ path: "package/x" }, "g"), { path: "package/n" }])],
    ["pax", tgz([PACKAGE_JSON, { path: "h", type: "x", body: "999 path=x\n" }, { path: "package/n" }])],
    ["pax", tgz([PACKAGE_JSON, pax({ path: "package/a\npath=package/b" }), { path: "package/n" }])],
    ["pax", tgz([PACKAGE_JSON, { path: "h", type: "x", body: Buffer.alloc(64 * 1024 + 1) }, { path: "package/n" }])],
    ["sparse", tgz([PACKAGE_JSON, pax({ "GNU.sparse.major": "1" }), { path: "package/n" }])],
    ["control-character", tgz([PACKAGE_JSON, { path: "package/a\nb" }])],
    ["control-character", tgz([PACKAGE_JSON, pax({ path: "package/a\0b" }), { path: "package/n" }])],
    ["path", tgz([PACKAGE_JSON, pax({ path: `package/${"y".repeat(256)}` }), { path: "package/n" }])],
    ["after-end", gzipSync(Buffer.concat([tar([PACKAGE_JSON]), tar([{ path: "package/late" }])]))],
    ["after-end", gzipSync(Buffer.concat([tar([PACKAGE_JSON], 1), tar([{ path: "package/late" }])]))],
    ["truncated", tgz([PACKAGE_JSON], 0)],
    ["truncated", gzipSync(tar([PACKAGE_JSON, { path: "package/a", body: "x".repeat(600) }]).subarray(0, 512 * 4))],
    ["no-folder", tgz([PACKAGE_JSON, { path: "outside" }])],
    ["not-gzip", tar([PACKAGE_JSON])],
    ["gzip", tgz([PACKAGE_JSON]).subarray(0, -9)],
    ["package-json", tgz([{ path: "package/index.js" }])],
    ["package-json", tgz([{ path: "package/package.json", body: "{" }])],
    ["package-json", tgz([{ path: "package/package.json", body: "[]" }])],
  ];
  test.each(cases)("%s (%#)", async (kind, archive) => {
    const refused = expect.objectContaining({ code: "INTEGRITY_FAILURE", details: expect.objectContaining({ kind }) });
    expect(() => inspectBytes(archive, LIMITS)).toThrow(refused);
    await expect(viaFile(archive)).rejects.toThrow(refused);
  });

  test("a name that is not UTF-8", () => {
    const bytes = tar([PACKAGE_JSON, { path: "package/aZ" }]);
    const at = bytes.lastIndexOf("aZ");
    bytes[at + 1] = 0xff;
    const sum = [...bytes.subarray(1024, 1536)].reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 1024 + 148);
    expect(() => inspectBytes(gzipSync(bytes), LIMITS)).toThrow(expect.objectContaining({ details: expect.objectContaining({ kind: "name-encoding" }) }));
  });
});

describe("limits, at and one past", () => {
  const files = (n: number): ArchiveEntry[] => Array.from({ length: n }, (_, i) => ({ path: `package/f${i}` }));
  test("entries", async () => {
    expect(inspectBytes(tgz([PACKAGE_JSON, ...files(999)]), LIMITS).entries).toBe(1000);
    const past = tgz([PACKAGE_JSON, ...files(1000)]);
    expect(() => inspectBytes(past, LIMITS)).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
    await expect(viaFile(past)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("unpacked bytes, also of a bomb", async () => {
    const room = LIMITS.maxUnpackedBytes - Buffer.byteLength(String(PACKAGE_JSON.body));
    expect(inspectBytes(tgz([PACKAGE_JSON, { path: "package/b", body: Buffer.alloc(room) }]), LIMITS).unpackedBytes).toBe(1e6);
    for (const bytes of [room + 1, 50e6]) {
      const past = tgz([PACKAGE_JSON, { path: "package/b", body: Buffer.alloc(bytes) }]);
      expect(() => inspectBytes(past, LIMITS)).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
      await expect(viaFile(past)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    }
  });
});

describe("harmless oddities are accepted", () => {
  const cases: readonly [name: string, entries: readonly ArchiveEntry[], path: string][] = [
    ["another top folder", [{ path: "node/package.json", body: '{"name":"p","version":"1"}' }, { path: "node/a" }], "a"],
    ["pax path", [PACKAGE_JSON, pax({ path: "package/déjà vu" }), { path: "package/x" }], "déjà vu"],
    ["GNU long name", [PACKAGE_JSON, { path: "@LongLink", type: "L", body: `package/${"z".repeat(120)}\0` }, { path: "package/zz" }], "z".repeat(120)],
    ["ustar prefix", [PACKAGE_JSON, { path: "deep/x", prefix: "package/very" }], "very/deep/x"],
    ["old format", [PACKAGE_JSON, { path: "package/o", old: true }], "o"],
    ["a global comment", [pax({ comment: "0123abc" }, "g"), PACKAGE_JSON, { path: "package/g" }], "g"],
    ["the same file twice", [PACKAGE_JSON, { path: "package/s", body: "1" }, { path: "package/s", body: "1" }], "s"],
    ["a folder with a size", [PACKAGE_JSON, { path: "package/d", type: "5", size: 4096 }, { path: "package/d/e" }], "d/e"],
    ["a setgid folder", [PACKAGE_JSON, { path: "package/d", type: "5", mode: 0o2755 }, { path: "package/d/e" }], "d/e"],
  ];
  test.each(cases)("%s", async (_name, entries, path) => {
    const archive = tgz(entries);
    expect(inspectBytes(archive, LIMITS).files.map((file) => file.path)).toContain(path);
    expect(await viaFile(archive)).toMatchObject({ files: inspectBytes(archive, LIMITS).files });
  });

  test("one zero block at the end is enough", () => {
    expect(inspectBytes(tgz([PACKAGE_JSON], 1), LIMITS).entries).toBe(1);
  });
});

test("package facts: install scripts, node-gyp's implicit one, commands", () => {
  const facts = (json: object, ...more: ArchiveEntry[]): object =>
    inspectBytes(tgz([{ path: "p/package.json", body: JSON.stringify(json) }, ...more]), LIMITS).package;
  expect(facts({ name: "@s/n", version: "1.0.0", bin: "x.js", scripts: { postinstall: "a", test: "b", preinstall: "c" } })).toMatchObject({
    name: "@s/n",
    version: "1.0.0",
    installScripts: ["preinstall", "postinstall"],
    bin: { n: "x.js" },
  });
  expect(facts({ name: "n", version: "1.0.0" }, { path: "p/binding.gyp" })).toMatchObject({ installScripts: ["install"] });
  expect(facts({ name: "n", version: "1.0.0", gypfile: false }, { path: "p/binding.gyp" })).toMatchObject({ installScripts: [] });
  expect(inspectBytes(tgz([{ path: "p/binding.gyp" }, { path: "p/package.json", body: '{"name":"n","version":"1"}' }]), LIMITS).package.installScripts).toEqual(
    ["install"],
  );
});

const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,12}$/).filter((text) => text !== "." && text !== "..");
const trees = fc
  .dictionary(
    fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")),
    fc.string(),
    { maxKeys: 12 },
  )
  .filter((files) => {
    const paths = Object.keys(files);
    return !paths.includes("package.json") && !paths.some((path) => paths.some((other) => other.startsWith(`${path}/`)) || path.startsWith("package.json/"));
  });

test("property: the manifest is the tree", () => {
  fc.assert(
    fc.property(trees, (files) => {
      const manifest = inspectBytes(tgz([PACKAGE_JSON, ...Object.entries(files).map(([path, body]) => ({ path: `package/${path}`, body }))]), LIMITS);
      const found = Object.fromEntries(manifest.files.filter((file) => file.path !== "package.json").map((file) => [file.path, file.sha256]));
      expect(found).toEqual(Object.fromEntries(Object.entries(files).map(([path, body]) => [path, hash("sha256", Buffer.from(body), "base64")])));
    }),
    { numRuns: 200 },
  );
});

test("property: changed bytes are accepted or refused, never anything else", () => {
  const archive = tar([PACKAGE_JSON, pax({ path: "package/long" }), { path: "package/a", body: "abc" }, { path: "package/d", type: "5" }]);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }), (changes) => {
      const changed = Buffer.from(archive);
      for (const [at, byte] of changes) changed[at] = byte;
      try {
        inspectBytes(gzipSync(changed), LIMITS);
      } catch (error) {
        expect(error).toBeInstanceOf(CofferdamError);
      }
    }),
    { numRuns: 500 },
  );
});

test("property: a cut archive is never whole", () => {
  const bytes = tar([PACKAGE_JSON, { path: "package/a", body: "abc" }]);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1025), (length) => {
      expect(() => inspectBytes(gzipSync(bytes.subarray(0, length)), LIMITS)).toThrow(CofferdamError);
    }),
  );
});

test("differential: what npm's own extractor writes is what installedFiles says", async () => {
  const extractor: { x(options: object): Promise<void> } = createRequire(import.meta.url)("../../tools/runtime/node_modules/npm/node_modules/tar");
  await fc.assert(
    fc.asyncProperty(trees, fc.shuffledSubarray([".gitignore", ".npmignore", "d/.gitignore", "d/.npmignore"]), async (files, ignores) => {
      const all = new Map([...Object.entries(files), ...ignores.map((path): [string, string] => [path, `rules of ${path}`])].filter(([path]) => path !== "d"));
      if ([...all.keys()].some((path) => [...all.keys()].some((other) => other.startsWith(`${path}/`)))) return;
      const archive = tgz([PACKAGE_JSON, ...[...all].map(([path, body]) => ({ path: `package/${path}`, body }))]);
      const folder = mkdtempSync(join(tmpdir(), "cofferdam-npmtar-"));
      try {
        writeFileSync(join(folder, "a.tgz"), archive);
        const seen = new Set<string>();
        // The rules that npm gives its extractor: strip the first folder, no links, .gitignore becomes .npmignore.
        const filter = (_path: string, entry: { type: string; path: string }): boolean => {
          if (/Link$/.test(entry.type)) return false;
          if (entry.path.endsWith("/.npmignore")) seen.add(entry.path);
          else if (entry.path.endsWith("/.gitignore")) {
            const renamed = entry.path.replace(/\.gitignore$/, ".npmignore");
            if (seen.has(renamed)) return false;
            entry.path = renamed;
          }
          return true;
        };
        const target = join(folder, "out");
        const { mkdirSync } = await import("node:fs");
        mkdirSync(target);
        await extractor.x({ file: join(folder, "a.tgz"), cwd: target, strip: 1, filter });
        const written = readdirSync(target, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name));
        const actual = Object.fromEntries(written.map((path) => [path.slice(target.length + 1), hash("sha256", readFileSync(path), "base64")]));
        const expected = Object.fromEntries([...installedFiles(inspectBytes(archive, LIMITS))].map(([path, file]) => [path, file.sha256]));
        expect(expected).toEqual(actual);
      } finally {
        rmSync(folder, { recursive: true });
      }
    }),
    { numRuns: 40 },
  );
});

test("the test's own archives are what tar is", () => {
  expect(gunzipSync(tgz([PACKAGE_JSON])).length % 512).toBe(0);
});

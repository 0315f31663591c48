import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { PACKAGE_JSON, pax, tar, tgz } from "../../test/world/archives.ts";
import { CofferdamError } from "../foundation/index.ts";
import { inspectBytes, inspectFile, inspectTarball } from "./index.ts";

const LIMITS = { maxUnpackedBytes: 100 * 2 ** 20, maxEntries: 1000 };
const folder = mkdtempSync(join(tmpdir(), "cofferdam-gzip-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The same question to each of the ways in: at once, chosen by size, and from a file. */
const ways: readonly [name: string, inspect: (packed: Buffer, signal?: AbortSignal) => Promise<unknown>][] = [
  ["inspectBytes", async (packed) => inspectBytes(packed, LIMITS)],
  ["inspectTarball", (packed, signal) => inspectTarball(packed, LIMITS, signal)],
  [
    "inspectFile",
    (packed, signal) => {
      const path = join(folder, "p.tgz");
      writeFileSync(path, packed);
      return inspectFile(path, LIMITS, signal);
    },
  ],
];

const small = tgz([PACKAGE_JSON, { path: "package/a", body: "abc" }]);
/** Past the size up to which a tarball is unpacked in one piece. */
const large = tgz([PACKAGE_JSON, { path: "package/big", body: Buffer.alloc(33 * 2 ** 20, "large ") }, { path: "package/z", body: "z" }]);
const refused = (kind: string): unknown => expect.objectContaining({ code: "INTEGRITY_FAILURE", details: expect.objectContaining({ kind }) });

describe.each(ways)("%s", (_name, inspect) => {
  test.each([
    ["small", small],
    ["large", large],
  ])("%s: honest, and every kind of damage", async (size, packed) => {
    expect(await inspect(packed)).toEqual(inspectBytes(packed, LIMITS));
    expect(await inspect(Buffer.concat([packed, Buffer.alloc(600)]))).toEqual(inspectBytes(packed, LIMITS));
    const wrongCrc = Buffer.from(packed);
    wrongCrc.writeUInt8((wrongCrc[packed.length - 8] ?? 0) ^ 1, packed.length - 8);
    const wrongSize = Buffer.from(packed);
    wrongSize.writeUInt8((wrongSize[packed.length - 4] ?? 0) ^ 1, packed.length - 4);
    const faults = [
      packed.subarray(0, -1),
      packed.subarray(0, -8),
      packed.subarray(0, -20),
      packed.subarray(0, 10),
      packed.subarray(0, 5),
      wrongCrc,
      wrongSize,
    ];
    for (const damaged of size === "large" ? [...faults.slice(1, 3), wrongCrc] : faults) await expect(inspect(damaged)).rejects.toThrow(refused("gzip"));
    for (const after of size === "large" ? [small] : [Buffer.from("x"), Buffer.concat([Buffer.alloc(600), Buffer.from("x")]), small, gzipSync("")])
      await expect(inspect(Buffer.concat([packed, after]))).rejects.toThrow(refused("gzip"));
    await expect(inspect(Buffer.concat([gzipSync(""), packed]))).rejects.toThrow(refused("gzip"));
  });

  test("optional header fields", async () => {
    const named = Buffer.concat([
      small.subarray(0, 3),
      Buffer.from([0x1c]),
      small.subarray(4, 10),
      Buffer.from([2, 0, 9, 9]),
      Buffer.from("name\0comment\0"),
      small.subarray(10),
    ]);
    expect(await inspect(named)).toEqual(inspectBytes(small, LIMITS));
    const reserved = Buffer.from(small);
    reserved.writeUInt8(0x80, 3);
    await expect(inspect(reserved)).rejects.toThrow(refused("gzip"));
    const endless = Buffer.concat([small.subarray(0, 3), Buffer.from([8]), small.subarray(4, 10), Buffer.alloc(70_000, "n")]);
    await expect(inspect(endless)).rejects.toThrow(refused("gzip"));
    await expect(inspect(Buffer.alloc(0))).rejects.toThrow(refused("not-gzip"));
  });

  test("a trailer that promises little: the limit still holds", async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 2 ** 20), { level: 9 });
    bomb.writeUInt32LE(1000, bomb.length - 4);
    await expect(inspect(bomb)).rejects.toMatchObject({ code: expect.stringMatching(/^(PAYLOAD_TOO_LARGE|INTEGRITY_FAILURE)$/) });
  });

  test("a few deep entries name millions of folders", async () => {
    const deep = Array.from({ length: 500 }, (_, i) => [pax({ path: `package/${i}/${"a/".repeat(900)}f` }), { path: "package/q" }]).flat();
    await expect(inspect(tgz([PACKAGE_JSON, ...deep]))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE", details: { kind: "too-many-entries" } });
  });
});

test("an aborted signal ends a large one, with the signal's own reason", async () => {
  await expect(inspectTarball(large, LIMITS, AbortSignal.abort())).rejects.toMatchObject({ code: "CANCELLED" });
  const late = AbortSignal.abort(new CofferdamError("DEADLINE_EXCEEDED", "not done"));
  await expect(inspectTarball(large, LIMITS, late)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
});

test("no file, a folder", async () => {
  await expect(inspectFile(join(folder, "none"), LIMITS)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(inspectFile(folder, LIMITS)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("cut at every block, whole only with an end mark; the manifest is plain data", () => {
  const bytes = tar([PACKAGE_JSON, pax({ path: "package/long" }), { path: "package/a", body: "x".repeat(700) }, { path: "package/d", type: "5" }]);
  for (let length = 0; length <= bytes.length - 1024; length += 512)
    expect(() => inspectBytes(gzipSync(bytes.subarray(0, length)), LIMITS)).toThrow(refused("truncated"));
  for (const length of [bytes.length - 512, bytes.length - 100, bytes.length]) {
    const manifest = inspectBytes(gzipSync(bytes.subarray(0, length)), LIMITS);
    expect(structuredClone(manifest)).toEqual(JSON.parse(JSON.stringify(manifest)));
  }
});

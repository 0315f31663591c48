import { execFileSync } from "node:child_process";
import { hash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { parseExpected, verifyBytes, verifyFile } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "cofferdam-verify-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(bytes: Buffer): string {
  const path = join(folder, "file");
  writeFileSync(path, bytes);
  return path;
}

const ABC = Buffer.from("abc");
const sri = (algorithm: string, bytes: Buffer): string => `${algorithm}-${hash(algorithm, bytes, "base64")}`;

describe("what is expected", () => {
  test("FIPS 180-4: SHA-512 of abc, as hex and as SRI", () => {
    const hex = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    expect(verifyBytes(ABC, hex)).toMatchObject({ ok: true, algorithm: "sha512", expected: hex, actual: hex, bytes: 3, weak: false });
    expect(verifyBytes(ABC, hex.toUpperCase()).ok).toBe(true);
    expect(verifyBytes(ABC, `sha512-${Buffer.from(hex, "hex").toString("base64")}`).ok).toBe(true);
  });

  test("the strongest algorithm decides, whatever weaker ones say", () => {
    expect(verifyBytes(ABC, `${sri("sha1", ABC)} ${sri("sha512", Buffer.from("other"))}`)).toMatchObject({ ok: false, algorithm: "sha512" });
    expect(verifyBytes(ABC, `${sri("sha256", Buffer.from("other"))} ${sri("sha384", ABC)}`)).toMatchObject({ ok: true, algorithm: "sha384" });
  });

  test("any of several digests of the strongest algorithm", () => {
    expect(verifyBytes(ABC, `${sri("sha512", Buffer.from("x"))} ${sri("sha512", ABC)}?option`).ok).toBe(true);
  });

  test("sha1 is weak, and said to be", () => {
    expect(verifyBytes(ABC, sri("sha1", ABC))).toMatchObject({ ok: true, weak: true });
  });

  test.each([
    "",
    "md5-kAFQmDzST7DWlj99KOF/cg==",
    "sha512-AAAA",
    "sha512",
    "abc",
    `sha512-${"A".repeat(86)}`,
    "f".repeat(127),
    `sha256-${hash("sha512", ABC, "base64")}`,
    "x".repeat(8193),
    Array.from({ length: 65 }, () => sri("sha256", ABC)).join(" "),
  ])("refuses %#", (text) => {
    expect(() => parseExpected(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test.each([
    ["sha1", 20],
    ["sha256", 32],
    ["sha384", 48],
    ["sha512", 64],
  ] as const)("%s: a digest has one spelling", (algorithm, length) => {
    const accepted = (text: string): boolean => {
      try {
        return parseExpected(`${algorithm}-${text}`).digests.length === 1;
      } catch {
        return false;
      }
    };
    const alphabet = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"];
    const text = randomBytes(length).toString("base64");
    const last = text.replaceAll("=", "").length - 1;
    expect(accepted(text)).toBe(true);
    for (const one of alphabet) {
      const spelling = text.slice(0, last) + one + text.slice(last + 1);
      expect(accepted(spelling)).toBe(Buffer.from(spelling, "base64").toString("base64") === spelling);
    }
    expect(accepted(randomBytes(length + 1).toString("base64"))).toBe(false);
    expect(accepted(randomBytes(length - 1).toString("base64"))).toBe(false);
  });

  test("property: no other content matches", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(verifyBytes(b, sri("sha512", Buffer.from(a))).ok).toBe(Buffer.from(a).equals(Buffer.from(b)));
      }),
    );
  });
});

describe("files", () => {
  const chunk = 2 * 2 ** 20;
  test.each([0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 7, 5 * chunk + 3])("%d bytes: file, memory and sha512sum agree", async (size) => {
    const bytes = randomBytes(size);
    const path = file(bytes);
    const want = execFileSync("sha512sum", [path], { encoding: "utf8" }).slice(0, 128);
    expect(await verifyFile(path, want)).toEqual(verifyBytes(bytes, want));
    expect((await verifyFile(path, want)).ok).toBe(true);
    if (size > 0) {
      bytes[size - 1] = (bytes[size - 1] ?? 0) ^ 1;
      expect((await verifyFile(file(bytes), want)).ok).toBe(false);
    }
  });

  test("size limit, at and one past", async () => {
    const path = file(Buffer.alloc(100));
    expect((await verifyFile(path, "0".repeat(128), { maxBytes: 100 })).bytes).toBe(100);
    await expect(verifyFile(path, "0".repeat(128), { maxBytes: 99 })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("a FIFO is refused at once", async () => {
    const path = join(folder, "fifo");
    execFileSync("mkfifo", [path]);
    await expect(verifyFile(path, "0".repeat(128))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("no file, a folder: coded errors", async () => {
    await expect(verifyFile(join(folder, "none"), "0".repeat(128))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(verifyFile(folder, "0".repeat(128))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("an aborted signal stops a large file", async () => {
    await expect(verifyFile(file(Buffer.alloc(3 * chunk)), "0".repeat(128), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

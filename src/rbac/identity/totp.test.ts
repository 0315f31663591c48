import { expect, test } from "vitest";
import { base32, codeOf, newTotpSecret, stepOf, totpAddress } from "./totp.ts";

test("the vectors of RFC 6238, appendix B", () => {
  const seed = "1234567890".repeat(7);
  const secrets = { sha1: Buffer.from(seed.slice(0, 20)), sha256: Buffer.from(seed.slice(0, 32)), sha512: Buffer.from(seed.slice(0, 64)) };
  const vectors: readonly (readonly [number, string, string, string])[] = [
    [59, "94287082", "46119246", "90693936"],
    [1111111109, "07081804", "68084774", "25091201"],
    [1111111111, "14050471", "67062674", "99943326"],
    [1234567890, "89005924", "91819424", "93441116"],
    [2000000000, "69279037", "90698825", "38618901"],
    [20000000000, "65353130", "77737706", "47863826"],
  ];
  for (const [time, ...codes] of vectors)
    for (const [at, algorithm] of (["sha1", "sha256", "sha512"] as const).entries())
      expect(codeOf(secrets[algorithm], Math.floor(time / 30), { digits: 8, algorithm })).toBe(codes[at]);
});

test("the vectors of RFC 4648 for base 32, without padding", () => {
  const texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
  expect(texts.map((text) => base32(Buffer.from(text)))).toEqual(["", "MY", "MZXQ", "MZXW6", "MZXW6YQ", "MZXW6YTB", "MZXW6YTBOI"]);
});

test("a code counts in its step, the one before and the one after, and nowhere else", () => {
  const secret = newTotpSecret();
  const now = 1_800_000_000_000;
  const step = now / 30_000;
  const found = [-2, -1, 0, 1, 2].map((by) => stepOf(secret, codeOf(secret, step + by), now));
  // Codes of different steps may be the same by chance, one in a million.
  expect(found).toEqual([undefined, step - 1, step, step + 1, undefined]);
  for (const wrong of ["", "12345", "1234567", "１２３４５６", " 12345", "12345a"]) expect(stepOf(secret, wrong, now)).toBeUndefined();
});

test("a name cannot break out of the address", () => {
  expect(totpAddress(Buffer.from("foobar"), "a&secret=x/?#%")).toBe("otpauth://totp/Cofferdam%3Aa%26secret%3Dx%2F%3F%23%25?secret=MZXW6YTBOI&issuer=Cofferdam");
});

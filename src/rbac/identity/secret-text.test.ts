import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { hashSecret, newSecret, SECRET_PREFIXES, type SecretKind, sameHash } from "./secret-text.ts";

const kinds: readonly SecretKind[] = ["token", "session", "setup"];
const kind = fc.constantFrom(...kinds);

test("what was given out is found again, and only as what it is", () => {
  for (const one of kinds) {
    const { text, hash } = newSecret(one);
    expect(text).toMatch(/^cfd[so]?_[0-9A-Za-z]{49}$/);
    expect(hash).not.toContain(text.slice(5, 15));
    for (const other of kinds) expect(hashSecret(other, text)).toBe(one === other ? hash : undefined);
    expect(newSecret(one).text).not.toBe(text);
  }
});

test("a scanner can check the checksum with nothing but the text", () => {
  const body = newSecret("token").text.slice(SECRET_PREFIXES.token.length);
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const sum = [...body.slice(43)].reduce((value, digit) => value * 62 + alphabet.indexOf(digit), 0);
  expect(sum).toBe(crc32(body.slice(0, 43)));
});

test("property: cut, longer, with another character or another case it is refused before anything is looked up", () => {
  fc.assert(
    fc.property(kind, fc.nat({ max: 60 }), fc.string({ minLength: 1, maxLength: 3 }), (one, at, more) => {
      const { text } = newSecret(one);
      const place = at % text.length;
      const changed = [text.slice(0, place), text.slice(0, place) + more + text.slice(place), text.slice(0, place) + more + text.slice(place + more.length)];
      changed.push(text.toUpperCase(), text.toLowerCase(), ` ${text}`, `${text}\n`, `${text}\u0000`);
      for (const wrong of changed) if (wrong !== text) expect(hashSecret(one, wrong)).toBeUndefined();
    }),
    { numRuns: 300 },
  );
});

test("hashes compare whole", () => {
  expect([sameHash("ab", "ab"), sameHash("ab", "ac"), sameHash("ab", "abc"), sameHash("", "")]).toEqual([true, false, false, true]);
});

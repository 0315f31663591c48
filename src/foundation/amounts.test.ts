import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCores, parseCount, parseRate, parseSize } from "./amounts.ts";
import { CofferdamError } from "./index.ts";

test.each([
  [parseCores, "2.0", 2],
  [parseCores, 0.5, 0.5],
  [parseCores, "500m", 0.5],
  [parseSize, "4GB", 4e9],
  [parseSize, "4GiB", 2 ** 32],
  [parseRate, "10MB/s", 10e6],
  [parseRate, "100Mbit/s", 12.5e6],
  [parseRate, "9600bit/s", 1200],
  [parseCount, "1000", 1000],
])("%o reads %s as %s", (parse, text, value) => {
  expect(parse(text)).toBe(value);
});

test.each([
  [parseSize, "4gb", "did you mean 4GB or 4GiB?"],
  [parseSize, "512m", "did you mean 512MB or 512MiB?"],
  [parseSize, "4 GB", "did you mean 4GB or 4GiB?"],
  [parseSize, "4G", "did you mean 4GB or 4GiB?"],
  [parseSize, 4096, "did you mean 4096MB or 4096MiB?"],
  [parseSize, "4e9", "write it like 4GiB or 512MB"],
  [parseSize, "0GB", "write it like"],
  [parseSize, "-1GB", "write it like"],
  [parseSize, "", "write it like"],
  [parseCores, "2 cores", "did you mean 2?"],
  [parseCores, "0", "write it like 2, 0.5 or 500m"],
  [parseCores, Number.NaN, "write it like"],
  [parseCores, Number.POSITIVE_INFINITY, "write it like"],
  [parseCores, "0x10", "write it like"],
  [parseRate, "10MB", "did you mean 10MB/s or 10MiB/s?"],
  [parseRate, "10mbps", "did you mean 10MB/s or 10MiB/s?"],
  [parseRate, "0bit/s", "write it like"],
  [parseCount, "1000 pids", "did you mean 1000?"],
  [parseCount, "1.5", "did you mean 1?"],
  [parseCount, -1, "write it like 1000"],
])("%o refuses %s and says %s", (parse, text, words) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining(words) }));
});

describe("any text", () => {
  const parsers = [parseCores, parseSize, parseRate, parseCount];
  test("is an amount above nothing, or INVALID_ARGUMENT in a short sentence", () => {
    const words = fc.oneof(fc.string({ maxLength: 200 }), fc.stringMatching(/^[\s\d.]{0,6}[kKMGTi]{0,2}(B|b|bit|m)?(\/s|ps)?\s?$/));
    fc.assert(
      fc.property(words, fc.constantFrom(...parsers), (text, parse) => {
        try {
          expect(parse(text)).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof CofferdamError)) throw error;
          expect(error.code).toBe("INVALID_ARGUMENT");
          expect(error.message.length).toBeLessThan(200);
        }
      }),
    );
  });

  test("what is suggested is taken", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^ ?\d{1,3}(\.\d)? ?[kKmMgG]?i?[bB]?(\/s|ps)?$/), fc.constantFrom(...parsers), (text, parse) => {
        try {
          parse(text);
        } catch (error) {
          const meant = /did you mean (.*)\?/.exec(error instanceof Error ? error.message : "")?.[1];
          for (const one of meant?.split(" or ") ?? []) expect(parse(one)).toBeGreaterThan(0);
        }
      }),
    );
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatBytes, formatDuration, parseBytes, parseDuration } from "./units.ts";

describe("parseBytes", () => {
  test.each([
    ["4GB", 4e9],
    ["4GiB", 2 ** 32],
    ["20GB", 20e9],
    ["512MiB", 512 * 2 ** 20],
    ["0B", 0],
    ["1.5kB", 1500],
  ])("%s is %d", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(["", "4", "4gb", "GB", "4 GB", "-4GB", "4GBx", "1e3B", "0.3B", "999999999999999TB", "4constructor", "NaNB"])("refuses %j", (text) => {
    expect(() => parseBytes(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("accepts every integer of every unit and nothing with a tail", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8000 }),
        fc.constantFrom(["B", 1], ["MB", 1e6], ["GiB", 2 ** 30] as const),
        fc.string({ minLength: 1 }),
        (n, [unit, size], tail) => {
          expect(parseBytes(`${n}${unit}`)).toBe(n * Number(size));
          expect(() => parseBytes(`${n}${unit}${tail}`)).toThrow();
        },
      ),
    );
  });
});

test("durations", () => {
  expect(parseDuration("3d")).toBe(3 * 86_400_000);
  expect(parseDuration("1.5h")).toBe(5_400_000);
  expect(parseDuration("250ms")).toBe(250);
  expect(() => parseDuration("5 minutes")).toThrow();
});

test("formats for people", () => {
  expect(formatBytes(412_345)).toBe("412 kB");
  expect(formatBytes(1_900_000_000)).toBe("1.9 GB");
  expect(formatDuration(1_123)).toBe("1.1 s");
  expect(formatDuration(72_000)).toBe("72 s");
  expect(formatDuration(3 * 3_600_000)).toBe("3 hours");
});

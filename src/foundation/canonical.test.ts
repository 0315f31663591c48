import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalText, MAX_DEPTH } from "./canonical.ts";

describe("RFC 8785", () => {
  test("section 3.2.2 and 3.2.3: the RFC's own example", () => {
    const value = {
      numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
      literals: [null, true, false],
    };
    // 1e30 is an integer that a double does not hold exactly: the RFC allows it, we do not.
    expect(() => canonicalText(value)).toThrow(/integer beyond/);
    expect(canonicalText({ ...value, numbers: value.numbers.filter((n) => n !== 1e30) })).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  test("section 3.2.3: keys by UTF-16 code units", () => {
    const value = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    expect(Object.values(JSON.parse(canonicalText(value)))).toEqual([
      "One",
      "Carriage Return",
      "Control",
      "Latin Small Letter O With Diaeresis",
      "Euro Sign",
      "Emoji: Grinning Face",
      "Hebrew Letter Dalet With Dagesh",
    ]);
  });

  test.each([
    [0, "0"],
    [-0, "0"],
    [5e-324, "5e-324"],
    [1.7976931348623157e308, undefined],
    [9007199254740991, "9007199254740991"],
    [0.1, "0.1"],
    [1e-7, "1e-7"],
    [-1.5, "-1.5"],
  ])("appendix B: %d", (value, text) => {
    if (text === undefined) expect(() => canonicalText(value)).toThrow();
    else expect(canonicalText(value)).toBe(text);
  });
});

/** Appendix B gives numbers as the bits of the double. */
function double(bits: string): number {
  return Buffer.from(bits, "hex").readDoubleBE();
}

test.each([
  ["0000000000000000", "0"],
  ["8000000000000000", "0"],
  ["0000000000000001", "5e-324"],
  ["8000000000000001", "-5e-324"],
  ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
  ["3eb0c6f7a0b5ed8d", "0.000001"],
  ["41b3de4355555553", "333333333.3333332"],
  ["41b3de4355555554", "333333333.33333325"],
  ["41b3de4355555555", "333333333.3333333"],
  ["41b3de4355555556", "333333333.3333334"],
  ["41b3de4355555557", "333333333.33333343"],
  ["becbf647612f3696", "-0.0000033333333333333333"],
  ["43143ff3c1cb0959", "1424953923781206.2"],
])("RFC 8785 appendix B: %s", (bits, text) => {
  expect(canonicalText(double(bits))).toBe(text);
});

test.each(["7fffffffffffffff", "7ff0000000000000", "4340000000000000", "c340000000000000", "4430000000000000", "44b52d02c7e14af6", "7fefffffffffffff"])(
  "RFC 8785 appendix B: %s is not a number there, or an integer that two texts could mean",
  (bits) => {
    expect(() => canonicalText(double(bits))).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  },
);

const values = fc.jsonValue({ maxDepth: 5 }).map((value) => JSON.parse(JSON.stringify(value)));

test("property: it is JSON, and the order in which keys were put in does not matter", () => {
  const shuffled = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(shuffled)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([key, child]) => [key, shuffled(child)]),
          )
        : value;
  fc.assert(
    fc.property(values, (value) => {
      let text: string;
      try {
        text = canonicalText(value);
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
        return;
      }
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalText(shuffled(value))).toBe(text);
    }),
  );
});

test.each([
  ["undefined", { a: undefined }],
  ["a function", { a: () => 1 }],
  ["a bigint", { a: 1n }],
  ["NaN", [Number.NaN]],
  ["infinity", [Number.POSITIVE_INFINITY]],
  ["2^53", [2 ** 53]],
  ["a lone surrogate", ["\udc00"]],
  ["a lone surrogate in a key", { "\ud800": 1 }],
  ["a date", [new Date(0)]],
  ["a map", [new Map()]],
  ["toJSON", { toJSON: () => 1 }],
])("%s has no canonical form", (_name, value) => {
  expect(() => canonicalText(value)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

test("depth, at the limit and one past", () => {
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  expect(canonicalText(nested(MAX_DEPTH))).toContain("1");
  expect(() => canonicalText(nested(MAX_DEPTH + 1))).toThrow(/nested deeper/);
});

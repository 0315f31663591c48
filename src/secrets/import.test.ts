import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDotenv, parseJsonSecrets } from "./import.ts";

const dotenv = (text: string): (readonly [string, string])[] => parseDotenv(text, undefined).map(({ secretId, value }) => [secretId, value] as const);
const REFUSED = expect.objectContaining({ code: "INVALID_ARGUMENT" });

describe("dotenv", () => {
  test("all ways to write a value", () => {
    const text = [
      "\ufeff# a comment",
      "PLAIN=abc-123=",
      "  export SPACED = some words   # and a comment",
      "HASH=abc#def",
      "SINGLE='a $b \"c\" \\n' # comment",
      'DOUBLE="line\\nnext \\"q\\" \\\\ \\$x"',
      "",
      "MULTI='-----BEGIN-----",
      "abc",
      "-----END-----'",
      'MULTI2="one',
      'two"\r',
      "LAST=x",
    ].join("\n");
    expect(dotenv(text)).toEqual([
      ["plain", "abc-123="],
      ["spaced", "some words"],
      ["hash", "abc#def"],
      ["single", 'a $b "c" \\n'],
      ["double", 'line\nnext "q" \\ $x'],
      ["multi", "-----BEGIN-----\nabc\n-----END-----"],
      ["multi2", "one\ntwo"],
      ["last", "x"],
    ]);
  });

  test.each([
    ["no equals sign", 1],
    ["A=1\n=x", 2],
    ["A=1\nB='open", 2],
    ['A=1\nB="open\nC=2', 2],
    ["A='1\n2'\nB=$C", 3],
    ['A="$B"', 1],
    ['A="\\x"', 1],
    ["A=a'b", 1],
    ["A='a'b", 1],
    ["1A=x", 1],
  ])("%j is refused, with its line and none of its text", (text, line) => {
    expect(() => dotenv(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message: `line ${line} of the file cannot be read` }));
  });

  test("names: lower case, under a prefix, none twice, none empty", () => {
    expect(parseDotenv("NPM_TOKEN=x", "team/ci")).toEqual([{ secretId: "team/ci/npm_token", name: "NPM_TOKEN", value: "x" }]);
    for (const text of ["A=1\nA=2", "A=1\na=2", "A=", "A=''", "_A=1"]) expect(() => dotenv(text)).toThrow(REFUSED);
    expect(() => parseDotenv("A=1", "../x")).toThrow(REFUSED);
    expect(() => dotenv(Array.from({ length: 1001 }, (_, i) => `A${i}=x`).join("\n"))).toThrow(REFUSED);
  });

  test("property: whatever stands in single quotes comes out as it is", () => {
    const values = fc.array(
      fc.string({ minLength: 1, unit: "grapheme" }).filter((value) => !value.includes("'") && !value.includes("\r")),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(values, (list) => {
        expect(dotenv(list.map((value, i) => `N${i}='${value}'\n`).join("")).map(([, value]) => value)).toEqual(list);
      }),
    );
  });
});

describe("JSON", () => {
  test("one object of texts", () => {
    expect(parseJsonSecrets('{"A": "x", "b.c": "y\\"\\u00e9"}', undefined).map(({ secretId, value }) => [secretId, value])).toEqual([
      ["a", "x"],
      ["b.c", 'y"é'],
    ]);
  });

  test.each([
    "",
    "[]",
    "null",
    '"x"',
    '{"a":1}',
    '{"a":{"b":"c"}}',
    '{"a":""}',
    '{"a":"x","a":"y"}',
    '{"a":"x","A":"y"}',
    '{"__proto__":"x"}',
    '{"a b":"x"}',
    '{"a":"x"',
  ])("%j is refused", (text) => {
    expect(() => parseJsonSecrets(text, undefined)).toThrow(REFUSED);
  });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { parseStrictJson } from "./strict-json.ts";

const refused = (why: RegExp): object => expect.objectContaining({ code: "UNAUTHENTICATED", message: expect.stringMatching(why) });

test("property: what JSON.stringify writes is read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      expect(parseStrictJson(text, "x")).toEqual(JSON.parse(text));
    }),
  );
});

test("property: a key that stands twice is refused, at any depth, in any spelling", () => {
  const key = fc.string({ minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(key, fc.jsonValue({ maxDepth: 2 }), fc.nat({ max: 5 }), fc.boolean(), (name, value, depth, escaped) => {
      const spelt = escaped
        ? `"${[...Array(name.length).keys()].map((at) => `\\u${name.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")}"`
        : JSON.stringify(name);
      const inner = JSON.stringify(value);
      const object = `{${JSON.stringify(name)}:${inner},"\\"]}{":[{}],${spelt}:${inner}}`;
      const text = `${'{"a":['.repeat(depth > 2 ? 2 : depth)}${object}${"]}".repeat(depth > 2 ? 2 : depth)}`;
      expect(() => parseStrictJson(text, "x")).toThrow(refused(/a key stands twice/));
    }),
  );
});

test("too deep, too many, none at all", () => {
  expect(() => parseStrictJson("[".repeat(9) + "]".repeat(9), "x")).toThrow(refused(/nested deeper/));
  expect(() => parseStrictJson(JSON.stringify(Array(3000).fill(0)), "x")).toThrow(refused(/more than 2000/));
  for (const text of ["", "{", '{"a":1}}', "{'a':1}", "\ufeff{}", "[1,]"]) expect(() => parseStrictJson(text, "x")).toThrow(refused(/not JSON/));
});

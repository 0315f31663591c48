import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { setMember } from "./json-member.ts";

const set = (text: string, value: object = { a: true }): string => setMember(text, "allowScripts", value, "package.json");

describe("the layout stays", () => {
  test.each([
    ['{\n  "name": "x"\n}\n', '{\n  "name": "x",\n  "allowScripts": {\n    "a": true\n  }\n}\n'],
    ['{\n\t"name": "x"\n}', '{\n\t"name": "x",\n\t"allowScripts": {\n\t\t"a": true\n\t}\n}'],
    ['{\r\n    "name": "x"\r\n}\r\n', '{\r\n    "name": "x",\r\n    "allowScripts": {\r\n        "a": true\r\n    }\r\n}\r\n'],
    ['{"name":"x"}', '{"name":"x","allowScripts":{"a":true}}'],
    ['{"name": "x"}', '{"name": "x","allowScripts": {"a":true}}'],
    ["{}\n", '{\n  "allowScripts": {\n    "a": true\n  }\n}\n'],
    ['\ufeff{\n  "name": "x"\n}\n', '\ufeff{\n  "name": "x",\n  "allowScripts": {\n    "a": true\n  }\n}\n'],
    ['{\n  "allowScripts": {"b": false},\n  "z": 1e3\n}\n', '{\n  "allowScripts": {\n    "a": true\n  },\n  "z": 1e3\n}\n'],
    ['{\n  "allowScripts": 5}\n', '{\n  "allowScripts": {\n    "a": true\n  }}\n'],
  ])("%j", (before, after) => {
    expect(set(before)).toBe(after);
  });

  test("braces, quotes and the name itself inside of strings are text", () => {
    const text = '{\n  "a}": "\\"allowScripts\\": {",\n  "b": [{"allowScripts": {"x": true}}, "]"]\n}\n';
    expect(set(text)).toBe(text.replace("]\n}", ']\n,\n  "allowScripts": {}\n}'.replace("\n,", ",").replace("{}", '{\n    "a": true\n  }')));
  });
});

test("a member that is there twice, and what is no object, is refused", () => {
  expect(() => set('{"allowScripts": {}, "allow\\u0053cripts": {}}')).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  expect(() => set("[]")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

test("property: the member is as asked, every other one as it was, and once more changes nothing", () => {
  const layouts = fc.constantFrom(undefined, 2, 4, "\t", "   ");
  // Numbers as names are put first by JavaScript itself, wherever they stood.
  const objects = fc.dictionary(
    fc.string().filter((name) => !/^\d+$/.test(name)),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(objects, fc.dictionary(fc.string(), fc.boolean()), layouts, fc.constantFrom("", "\n"), (object, value, indent, end) => {
      const text = JSON.stringify(object, null, indent) + end;
      const next = set(text, value);
      expect(JSON.parse(next)).toEqual({ ...JSON.parse(text), allowScripts: JSON.parse(JSON.stringify(value)) });
      expect(next.endsWith(end)).toBe(true);
      expect(set(next, value)).toBe(next);
    }),
    { numRuns: 500 },
  );
});

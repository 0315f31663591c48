import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { linesOf } from "./lines.ts";
import { parseNpmLockfile } from "./npm.ts";

const lines = (...text: string[]): string => text.join("\n");

describe("versions 2 and 3", () => {
  test("the key's line, wherever else the same text stands", () => {
    const text = lines(
      '{"x": {"node_modules/a": {"version": "1.0.0"}},', // 1
      ' "lockfileVersion": 3, "dependencies": {"a": {}},', // 2
      ' "packages": {', // 3
      '  "": {"description": "\\"node_modules/a\\": {", "funding": [{"packages": {"node_modules/a": {}}}]},', // 4
      '  "node_modules/b": {"version": "1.0.0", "packages": {"node_modules/a": {}}},', // 5
      '  "node_modules/a"', // 6
      '  : {}, "node_modules/\\u0063": {},', // 7
      '  "node_modules\\/d": {"version": "1.0.0\\\\"}, "node_modules/e": {}', // 8
      " }}",
    );
    const lineOf = linesOf(text);
    const { packages } = parseNpmLockfile(text, "f");
    expect(packages.map(({ path }) => [path, lineOf(path)])).toEqual([
      ["node_modules/b", 5],
      ["node_modules/a", 6],
      ["node_modules/c", 7],
      ["node_modules/d", 8],
      ["node_modules/e", 8],
    ]);
    expect(lineOf("node_modules/x")).toBeUndefined();
  });

  test("of two members with one name the later counts, as it does for the reader", () => {
    const text = lines(
      '{"lockfileVersion": 3,', // 1
      '"packages": {"node_modules/gone": {"version": "1.0.0"}},', // 2
      '"packages": {"node_modules/a": {"version": "1.0.0"},', // 3
      '"__proto__": {"version": "9.0.0"},', // 4
      '"node_modules/a": {"version": "2.0.0"}}}', // 5
    );
    expect(parseNpmLockfile(text, "f").packages.map(({ path, version }) => [path, version, linesOf(text)(path)])).toEqual([
      ["node_modules/a", "2.0.0", 5],
      ["__proto__", "9.0.0", 4],
    ]);
    expect(linesOf(text)("node_modules/gone")).toBeUndefined();
  });
});

test("version 1: a package is named by the way to it; what is nested in a replaced member is gone", () => {
  const text = lines(
    '{"lockfileVersion": 1, "requires": true,', // 1
    '"dependencies": {', // 2
    '  "a": {"version": "1.0.0", "requires": {"b": "^1"},', // 3
    '    "dependencies": {"gone": {"version": "1.0.0"}},', // 4
    '    "dependencies": {"b": {"version": "1.0.0"}}},', // 5
    '  "b": {"version": "2.0.0", "dependencies": {"old": {"version": "1.0.0"}}},', // 6
    '  "__proto__": {"version": "3.0.0"},', // 7
    '  "b": {"version": "2.0.1"}', // 8
    "}}",
  );
  const lineOf = linesOf(text);
  expect(parseNpmLockfile(text, "f").packages.map(({ path, version }) => [path, version, lineOf(path)])).toEqual([
    ["node_modules/a", "1.0.0", 3],
    ["node_modules/a/node_modules/b", "1.0.0", 5],
    ["node_modules/b", "2.0.1", 8],
    ["node_modules/__proto__", "3.0.0", 7],
  ]);
  for (const path of ["node_modules/b/node_modules/old", "node_modules/a/node_modules/gone"]) expect(lineOf(path)).toBeUndefined();
});

test("property: every package has the line that its key was written on", () => {
  const name = fc.constantFrom("a", "b", "dependencies", "packages", "__proto__", "version", 'q"', "\\", "é");
  const flat = fc.uniqueArray(
    fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.map((one) => `node_modules/${one}`).join("/")),
    { minLength: 1 },
  );
  const filler = fc.constantFrom(
    {},
    { version: "1.0.0" },
    { funding: [[{ packages: { "node_modules/a": { dependencies: { a: {} } } } }], 'x\\\n"{', -1.5e3, null] },
  );
  fc.assert(
    fc.property(flat, filler, fc.constantFrom(undefined, 1, 2), (paths, value, indent) => {
      const packages = JSON.parse(`{${paths.map((path) => `${JSON.stringify(path)}:${JSON.stringify(value)}`).join(",")}}`);
      const text = JSON.stringify({ lockfileVersion: 2, packages, dependencies: { a: { dependencies: { b: {} } } } }, null, indent);
      // Each key written on a line of its own, or all on the first: count what stands before it.
      const lineOf = linesOf(text);
      const from = text.indexOf('"packages"');
      for (const path of paths) {
        const key = `${JSON.stringify(path)}:`;
        const offsets = [...text.matchAll(new RegExp(key.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "g"))].map(({ index }) => index);
        const own = offsets.find((at) => at > from && depthOf(text, at) === 2);
        expect(lineOf(path)).toBe(text.slice(0, own).split("\n").length);
      }
    }),
    { numRuns: 300 },
  );
});

/** Brackets that are open at an offset, by the plain way: strings taken out first. */
function depthOf(text: string, at: number): number {
  const bare = text.slice(0, at).replace(/"(?:[^"\\]|\\.)*"/g, "");
  return (bare.match(/[{[]/g)?.length ?? 0) - (bare.match(/[}\]]/g)?.length ?? 0);
}

test("text that is no lockfile, or cut anywhere, ends", () => {
  const whole = JSON.stringify({ lockfileVersion: 1, dependencies: { a: { dependencies: { b: { version: "1\\" } } }, c: [1, "x", { d: null }] } }, null, 1);
  for (let end = 0; end <= whole.length; end++) linesOf(whole.slice(0, end))("node_modules/a");
  for (const text of ["", "}", "[[[", '{"a"', '{"a":}', '{"packages":{"x":,,}}', '{"packages":[]}', '"', "{{{{", `${"[".repeat(1_000_000)}`])
    linesOf(text)("x");
  const deep = `${'{"dependencies":{"a":'.repeat(100_000)}{}${"}}".repeat(100_000)}`;
  expect(linesOf(deep)(Array.from({ length: 64 }, () => "node_modules/a").join("/"))).toBe(1);
});

test("50,000 packages in one pass", () => {
  const packages = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`node_modules/package-${i}`, { version: "1.0.0", integrity: "sha512-x" }]));
  const text = JSON.stringify({ lockfileVersion: 3, packages }, null, 2);
  const start = performance.now();
  const lineOf = linesOf(text);
  const found = Array.from({ length: 50_000 }, (_, i) => lineOf(`node_modules/package-${i}`));
  expect(performance.now() - start).toBeLessThan(5000);
  expect(found).toEqual(Array.from({ length: 50_000 }, (_, i) => 4 + i * 4));
}, 20_000);

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { packagesOfHiddenLockfile } from "./hidden.ts";
import { parseNpmLockfile } from "./npm.ts";

const parse = (packages: object, rest: object = {}): ReturnType<typeof parseNpmLockfile> =>
  parseNpmLockfile(JSON.stringify({ lockfileVersion: 3, packages, ...rest }), "package-lock.json");
const one = (path: string, entry: object): object | undefined => parse({ "": {}, [path]: entry }).packages[0];
const sha = "sha512-x";

describe("kinds of entries", () => {
  const cases: readonly [kind: string, path: string, entry: object, more: object][] = [
    ["registry", "node_modules/a", { version: "1.0.0", resolved: "https://registry.example/a/-/a-1.0.0.tgz", integrity: sha }, { name: "a", version: "1.0.0" }],
    ["registry", "node_modules/a", { version: "1.0.0", integrity: sha }, { resolved: undefined }],
    ["registry", "node_modules/nick", { name: "real", version: "1.0.0" }, { name: "real" }],
    ["registry", "node_modules/x/node_modules/@s/b", { version: "1.0.0" }, { name: "@s/b" }],
    ["git", "node_modules/g", { version: "1.0.0", resolved: "git+ssh://git@git.example/g.git#abc" }, {}],
    ["file", "node_modules/f", { version: "1.0.0", resolved: "file:f.tgz" }, {}],
    ["link", "node_modules/l", { resolved: "packages/l", link: true }, { target: "packages/l" }],
    ["link", "node_modules/l", { resolved: "../l", link: true }, { target: "../l" }],
    ["folder", "packages/l", { version: "1.0.0" }, {}],
    ["bundled", "node_modules/a/node_modules/b", { version: "1.0.0", inBundle: true }, {}],
  ];
  test.each(cases)("%s %s", (kind, path, entry, more) => {
    expect(one(path, entry)).toMatchObject({ kind, path, ...more });
  });

  test("a URL that a dependency names is remote, not a registry's", () => {
    const lock = parse({
      "": { dependencies: { r: "https://files.example/r.tgz" } },
      "node_modules/r": { version: "1.0.0", resolved: "https://files.example/r.tgz" },
    });
    expect(lock.packages[0]).toMatchObject({ kind: "remote" });
  });

  test("flags, platforms and root dependencies", () => {
    const lock = parse({
      "": { dependencies: { a: "^1" }, devDependencies: { b: "^2" } },
      "node_modules/a": { version: "1.0.0", dev: true, optional: true, os: ["linux"], cpu: "x64", libc: ["musl"], hasInstallScript: true, extraneous: true },
    });
    expect(lock.packages[0]).toMatchObject({
      dev: true,
      optional: true,
      peer: false,
      os: ["linux"],
      cpu: ["x64"],
      libc: ["musl"],
      hasInstallScript: true,
      extraneous: true,
    });
    expect([...lock.rootDependencies]).toEqual([
      ["a", "^1"],
      ["b", "^2"],
    ]);
  });
});

test("version 1: nested dependencies, aliases, bundled, git, links", () => {
  const text = JSON.stringify({
    lockfileVersion: 1,
    dependencies: {
      a: { version: "1.0.0", resolved: "https://registry.example/a/-/a-1.0.0.tgz", integrity: sha, dependencies: { b: { version: "2.0.0", bundled: true } } },
      nick: { version: "npm:real@3.0.0" },
      g: { version: "git+ssh://git@git.example/g.git#abc" },
      l: { version: "file:packages/l" },
      t: { version: "file:t.tgz" },
      r: { version: "https://files.example/r.tgz" },
    },
  });
  const lock = parseNpmLockfile(text, "f");
  expect(lock.packages.map(({ path, name, version, kind }) => [path, name, version, kind])).toEqual([
    ["node_modules/a", "a", "1.0.0", "registry"],
    ["node_modules/a/node_modules/b", "b", "2.0.0", "bundled"],
    ["node_modules/nick", "real", "3.0.0", "registry"],
    ["node_modules/g", "g", undefined, "git"],
    ["node_modules/l", "l", undefined, "link"],
    ["node_modules/t", "t", undefined, "file"],
    ["node_modules/r", "r", undefined, "remote"],
  ]);
});

test("places that are none are refused", () => {
  for (const path of [
    "/etc/x",
    "node_modules/../../x",
    "node_modules/./a",
    "node_modules//a",
    "node_modules/a\\b",
    "node_modules/a\u0000b",
    "node_modules/a\nb",
    `node_modules/${"a".repeat(5000)}`,
  ]) {
    expect(() => parse({ "": {}, [path]: { version: "1.0.0" } }), path).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  }
  expect(() => parse({ "node_modules/l": { link: true, resolved: "/etc" } })).toThrow(/not a place/);
});

test("names of object internals are names", () => {
  const lock = parseNpmLockfile(
    '{"lockfileVersion":3,"packages":{"node_modules/__proto__":{"version":"1.0.0"},"node_modules/constructor":{"version":"1.0.0"}}}',
    "f",
  );
  expect(lock.packages.map((entry) => entry.name)).toEqual(["__proto__", "constructor"]);
  expect(Object.prototype).not.toHaveProperty("version");
});

test("what an entry does not say is not known, and the entry stays", () => {
  const third = parse({
    "": {},
    "node_modules/a": {},
    "node_modules/b": { name: "", version: "1.0.0", dependencies: JSON.parse('{"__proto__": "^1", "c": ""}') },
  });
  expect(third.packages.map(({ name, version, requires }) => [name, version, [...requires.keys()]])).toEqual([
    ["a", undefined, []],
    ["b", "1.0.0", ["__proto__", "c"]],
  ]);
  const first = parseNpmLockfile('{"lockfileVersion":1,"dependencies":{"a":{},"__proto__":{"version":"2.0.0","requires":{"__proto__":"1"}}}}', "f");
  expect(first.packages.map(({ name, version, requires }) => [name, version, [...requires.keys()]])).toEqual([
    ["a", undefined, []],
    ["__proto__", "2.0.0", ["__proto__"]],
  ]);
  expect(first.root).toEqual({ name: undefined, requires: undefined, requiresForDev: new Set() });
});

test("npm's own note in node_modules", () => {
  const text = JSON.stringify({ name: "app", lockfileVersion: 3, packages: { "node_modules/a": { version: "1.0.0", integrity: sha } } });
  expect(packagesOfHiddenLockfile(text, "f")).toMatchObject([{ path: "node_modules/a", name: "a", version: "1.0.0", integrity: sha, kind: "registry" }]);
});

test("what the project asks for, and what of it for development only", () => {
  const { root } = parse({ "": { dependencies: { a: "1" }, devDependencies: { a: "2", b: "3" } } }, { name: "app" });
  expect(root.name).toBe("app");
  expect([...(root.requires?.keys() ?? [])]).toEqual(["a", "b"]);
  expect([...root.requiresForDev]).toEqual(["b"]);
});

test("a list of more than 200,000 is refused", () => {
  const packages = Object.fromEntries(Array.from({ length: 200_001 }, (_, i) => [`node_modules/p${i}`, {}]));
  expect(() => parse(packages)).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
});

test.each([
  "",
  "{",
  "[]",
  "null",
  '{"lockfileVersion":4,"packages":{}}',
  '{"lockfileVersion":3,"packages":{"node_modules/a":{"version":1}}}',
  '{"lockfileVersion":3,"packages":[]}',
])("not a lockfile: %s", (text) => {
  expect(() => parseNpmLockfile(text, "f")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

test("a real lockfile of 1,578 packages", (context) => {
  const path = fileURLToPath(new URL("../../../../shared/data/lock-1578.json", import.meta.url));
  if (!existsSync(path)) context.skip("optional: no shared data here");
  const lock = parseNpmLockfile(readFileSync(path, "utf8"), "lock");
  expect(new Set(lock.packages.map((entry) => `${entry.name}@${entry.version}`)).size).toBe(1578);
  expect(lock.packages.every((entry) => entry.kind !== "git" && entry.version !== undefined)).toBe(true);
});

import { expect, test } from "vitest";
import { parseNpmLockfile } from "../../inventory/index.ts";
import { judgeBundles } from "./judge.ts";

const sha = `sha512-${Buffer.alloc(64, 1).toString("base64")}`;
const outer = { version: "1.0.0", resolved: "https://registry.example/outer/-/outer-1.0.0.tgz", integrity: sha };
const inner = { path: "node_modules/inner", name: "inner", version: "2.0.0", installScripts: [] };

function judged(packages: object, bundled: readonly (typeof inner)[] | undefined): string[] {
  const lockfile = parseNpmLockfile(JSON.stringify({ lockfileVersion: 3, packages: { "": {}, ...packages } }), "package-lock.json");
  const input = { lockfileName: "package-lock.json", lineOf: () => 3, level: "medium", allows: () => false } as const;
  return judgeBundles(input, lockfile.packages, () => bundled).map(({ decision, subject, message }) => `${decision} ${subject} ${message}`);
}

test("what the tarball brings is what the lockfile lists: nothing to say", () => {
  expect(judged({ "node_modules/outer": outer, "node_modules/outer/node_modules/inner": { version: "2.0.0", inBundle: true } }, [inner])).toEqual([]);
});

test.each([
  ["another version", { version: "2.0.1", inBundle: true }, [inner], "its tarball brings inner@2.0.0 where the lockfile says inner@2.0.1"],
  ["another name", { name: "nice", version: "2.0.0", inBundle: true }, [inner], "its tarball brings inner@2.0.0 where the lockfile says nice@2.0.0"],
  ["nothing at that place", { version: "2.0.0", inBundle: true }, [], "no verified tarball brings it"],
])("%s is denied", (_what, entry, bundled, words) => {
  const found = judged({ "node_modules/outer": outer, "node_modules/outer/node_modules/inner": entry }, bundled);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/^deny /);
  expect(found[0]).toContain(words);
});

test("a package that the lockfile does not list is denied, one that replaces the bundled copy is not", () => {
  expect(judged({ "node_modules/outer": outer }, [inner])).toEqual(["deny outer@1.0.0 its tarball brings inner@2.0.0, which the lockfile does not list"]);
  const own = { version: "9.0.0", resolved: "https://registry.example/inner/-/inner-9.0.0.tgz", integrity: sha };
  expect(
    judged({ "node_modules/outer": outer, "node_modules/outer/node_modules/inner": own }, [inner].slice(0, 1)).filter((one) => one.includes("outer@")),
  ).toEqual([]);
});

test("a tarball that was not fetched (another platform) says nothing about its bundle", () => {
  expect(judged({ "node_modules/outer": outer, "node_modules/outer/node_modules/inner": { version: "2.0.0", inBundle: true } }, undefined)).toEqual([]);
});

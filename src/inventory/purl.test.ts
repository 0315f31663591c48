import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { npmPackageUrl } from "../packages/scan/formats/package-url.ts";
import { parsePackage, parsePackageUrl } from "./purl.ts";

describe("package URLs: the vectors of the specification", () => {
  test.each([
    ["pkg:npm/%40angular/animation@12.3.1", "@angular/animation", "12.3.1"],
    ["pkg:npm/foobar@12.3.1", "foobar", "12.3.1"],
    ["pkg:npm/mypackage@12.4.5?vcs_url=git://host.com/path/to/repo.git%404345abcd34343", "mypackage", "12.4.5"],
    ["pkg:npm/@babel/core#/googleapis/api/annotations/", "@babel/core", undefined],
    ["pkg:npm/%40babel/core#/googleapis/api/annotations/", "@babel/core", undefined],
    ["pkg:npm/core@2.0.1#/googleapis/api/annotations/", "core", "2.0.1"],
    ["pkg:npm/react", "react", undefined],
    ["pkg:npm/%40angular/core", "@angular/core", undefined],
    ["pkg:npm/foobar@1.2.3-alpha.1+build.456", "foobar", "1.2.3-alpha.1+build.456"],
    ["pkg:npm/my-package.js@1.0.0", "my-package.js", "1.0.0"],
    ["pkg:npm/foo@1.0.0#src/%F0%9F%98%83/file.js", "foo", "1.0.0"],
    ["pkg:npm/foo@1.0.0?vcs_url=https://a.com/b/c%F0%9F%98%83d.git", "foo", "1.0.0"],
    ["pkg:npm/foo@1.2.3-%F0%9F%98%83", "foo", "1.2.3-😃"],
    // Of the specification's text: scheme and type in any case, slashes that mean nothing.
    ["PKG:NPM/foo@1.0.0", "foo", "1.0.0"],
    ["pkg://npm/foo@1.0.0", "foo", "1.0.0"],
    ["pkg:/npm//foo@1.0.0/", "foo", "1.0.0"],
    ["pkg:npm/%40scope%2Fname".replace("%2F", "/"), "@scope/name", undefined],
    // Accepted here though a vector refuses it: nothing else can be meant.
    ["pkg:npm/@angular/animation@12.3.1", "@angular/animation", "12.3.1"],
  ])("%s", (text, name, version) => {
    expect(parsePackageUrl(text)).toEqual({ name, version, alias: undefined });
  });

  test("case stays, and the specification's lower case is told", () => {
    expect(parsePackageUrl("pkg:npm/LoDash@4.17.21")).toEqual({ name: "LoDash", alias: "lodash", version: "4.17.21" });
    expect(parsePackageUrl("pkg:npm/%40MyScope/MyPackage@1.0.0")).toMatchObject({ name: "@MyScope/MyPackage", alias: "@myscope/mypackage" });
  });

  test.each([
    "pkg:npm/myartifact@1.0.0?in%20production=true",
    "pkg:npm/foobar@",
    "pkg:npm/.foobar@1.0.0",
    "pkg:npm/_foobar@1.0.0",
    "pkg:npm/",
    "pkg:npm",
    "pkg:npm/@1.0.0",
    "pkg:npm/foo%F0%9F%98%83bar@1.0.0",
    "pkg:npm/%40foo%F0%9F%98%83/bar@1.0.0",
    "pkg:npm/scope/name@1.0.0",
    "pkg:npm/%40a/b/c@1.0.0",
    "pkg:npm/a%2Fb@1.0.0",
    "pkg:npm/..@1.0.0",
    "pkg:npm/foo@%zz",
    "pkg:npm/foo@1.0%0A0",
    "pkg:npm/foo@1.0.0?a=1&A=2",
    "pkg:npm/foo@1.0.0?a",
    "pkg:EnterpriseLibrary.Common@6.0.1304",
    "pkg:n&g?inx/nginx@0.8.9",
    "pkg:3nginx/nginx@0.8.9",
    "pkg:nginx:a/nginx@0.8.9",
    "pkg%3Anpm/foo",
    "pkg:maven/org.apache/io@1",
    `pkg:npm/${"a".repeat(5000)}`,
  ])("refused: %s", (text) => {
    expect(() => parsePackageUrl(text)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  });

  test("property: what is written can be read", () => {
    const part = fc.stringMatching(/^[A-Za-z0-9~!'()*-][A-Za-z0-9._~!'()*-]{0,20}$/);
    const version = fc.string({ minLength: 1, unit: "grapheme" }).filter((text) => text.isWellFormed() && !/[\p{Cc}\s]/u.test(text));
    fc.assert(
      fc.property(fc.option(part), part, fc.option(version), (scope, base, one) => {
        const name = scope === null ? base : `@${scope}/${base}`;
        expect(parsePackage(npmPackageUrl(name, one ?? undefined))).toMatchObject({ name, version: one ?? undefined });
      }),
    );
  });
});

test("plain names", () => {
  expect(parsePackage("a")).toEqual({ name: "a", alias: undefined, version: undefined });
  expect(parsePackage("@s/a")).toMatchObject({ name: "@s/a", version: undefined });
  expect(parsePackage("@s/a@1.0.0")).toMatchObject({ name: "@s/a", version: "1.0.0" });
  expect(parsePackage("JSONStream@1")).toMatchObject({ name: "JSONStream", alias: undefined });
  for (const text of ["", "@", "a@", "a b", "a\u0000", "a".repeat(5000)]) expect(() => parsePackage(text), text).toThrow(/not a package/);
});

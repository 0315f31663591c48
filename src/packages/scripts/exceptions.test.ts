import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Places, parseNpmLockfile } from "../../inventory/index.ts";
import { presetOf, SCRIPT_EXCEPTIONS } from "../../policy/index.ts";
import { parsePolicy } from "../../policy/parse.ts";
import { downloadHint, EXCEPTIONS, extrasFor } from "./exceptions.ts";
import { projectSubject, type ScriptSubject, subjectOf } from "./subject.ts";

const ON = presetOf("medium")["scripts.exceptions"];
const entry = (name: string, version = "1.0.0"): object => ({
  version,
  resolved: `https://registry.example/${name}/-/${name.slice(name.indexOf("/") + 1)}-${version}.tgz`,
  integrity: "sha512-x",
});

function extras(packages: object, path: string, event: string, body = "node x", switches = ON): ReturnType<typeof extrasFor> {
  const lockfile = parseNpmLockfile(JSON.stringify({ lockfileVersion: 3, packages: { "": {}, ...packages } }), "package-lock.json");
  const places = new Places(lockfile);
  const locked = places.at(path);
  const subject: ScriptSubject | undefined = locked === undefined ? projectSubject("app", undefined) : subjectOf(locked);
  if (subject === undefined) throw new Error("no subject");
  return extrasFor({ subject, event, body, resolve: (name) => places.resolve(path, name) }, switches, "x64");
}

describe("husky", () => {
  const packages = { "node_modules/husky": entry("husky", "9.1.7"), "packages/w": {} };
  test.each(["husky", "husky install", "npm run build && husky", "husky || true", "./node_modules/.bin/husky"])("in prepare: %s", (body) => {
    expect(extras(packages, "", "prepare", body)).toMatchObject([
      { exception: "husky", write: [".husky/_"], gitConfig: { key: "core.hooksPath", value: ".husky/_" } },
    ]);
  });

  test("nowhere else, and only the real one", () => {
    expect(extras(packages, "", "postinstall", "husky")).toEqual([]);
    expect(extras(packages, "packages/w", "prepare", "husky")).toEqual([]);
    expect(extras(packages, "node_modules/husky", "prepare", "husky")).toEqual([]);
    expect(extras(packages, "", "prepare", "node not-husky.js")).toEqual([]);
    expect(extras({}, "", "prepare", "husky")).toEqual([]);
    expect(extras({ "node_modules/husky": entry("evil") }, "", "prepare", "husky")).toEqual([]);
    expect(extras(packages, "", "prepare", "husky", { ...ON, husky: "off" })).toEqual([]);
  });

  test("what it may leave behind: known texts, and a copy of its own file", () => {
    const files = extras(packages, "", "prepare", "husky")[0]?.onlyFiles ?? [];
    expect(files).toHaveLength(17);
    expect(files.find(({ path }) => path === ".husky/_/h")?.copiesOf).toContain("node_modules/husky/husky");
    expect(files.find(({ path }) => path === ".husky/_/pre-commit")?.texts).toEqual([
      '#!/usr/bin/env sh\n. "$(dirname "$0")/h"',
      `#!/usr/bin/env sh\n. "\${0%/*}/h"`,
    ]);
    expect(files.find(({ path }) => path === ".husky/_/husky.sh")?.texts.map((text) => text.length)).toEqual([0, 160]);
  });
});

test("esbuild is staged with the program of its platform, wherever that stands", () => {
  const platform = { "node_modules/@esbuild/linux-x64": entry("@esbuild/linux-x64") };
  const nested = { "node_modules/vite/node_modules/esbuild": entry("esbuild"), ...platform };
  expect(extras(nested, "node_modules/vite/node_modules/esbuild", "postinstall")).toEqual([
    { exception: "esbuild", write: [], stagedWith: ["node_modules/@esbuild/linux-x64"] },
  ]);
  expect(extras({ "node_modules/esbuild": entry("esbuild") }, "node_modules/esbuild", "postinstall")).toEqual([]);
  expect(extras({ "node_modules/esbuild": entry("evil"), ...platform }, "node_modules/esbuild", "postinstall")).toEqual([]);
  expect(extras({ "node_modules/esbuild": entry("esbuild"), ...platform }, "node_modules/esbuild", "install")).toEqual([]);
});

test("prisma writes beside @prisma, and a name alone is not enough", () => {
  const path = "node_modules/x/node_modules/@prisma/client";
  expect(extras({ [path]: entry("@prisma/client") }, path, "postinstall")).toEqual([{ exception: "prisma", write: ["node_modules/x/node_modules/.prisma"] }]);
  expect(extras({ [path]: entry("evil") }, path, "postinstall")).toEqual([]);
  expect(extras({ "node_modules/alias": { name: "@prisma/client", ...entry("@prisma/client") } }, "node_modules/alias", "postinstall")).toEqual([]);
});

test("own code that calls itself like one of them gets nothing", () => {
  const folders = {
    "packages/@prisma/client": { version: "1.0.0" },
    "packages/esbuild": { version: "1.0.0" },
    "node_modules/@esbuild/linux-x64": entry("@esbuild/linux-x64"),
  };
  for (const path of ["packages/@prisma/client", "packages/esbuild"]) expect(extras(folders, path, "postinstall")).toEqual([]);
});

test("each exception has its switch, and is listed in the documentation", () => {
  expect(EXCEPTIONS.map(({ name }) => name)).toEqual([...SCRIPT_EXCEPTIONS]);
  const page = readFileSync(new URL("../../../docs/policy.md", import.meta.url), "utf8");
  for (const { name } of EXCEPTIONS) expect(page).toContain(`\`${name}\``);
});

test("what a hint says can be written into the policy as it is", () => {
  for (const name of ["@prisma/engines", "cypress", "electron", "puppeteer", "sharp", "@playwright/browser-chromium"]) {
    const hint = downloadHint(name);
    expect(() => parsePolicy(JSON.stringify({ version: 1, scripts: { grants: { [name]: { net: hint?.hosts } } } }), "x")).not.toThrow();
  }
  expect([downloadHint("left-pad"), downloadHint("constructor")]).toEqual([undefined, undefined]);
});

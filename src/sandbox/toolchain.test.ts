import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toolchain } from "./toolchain.ts";

let home = "";
beforeEach(() => {
  home = realpathSync(mkdtempSync(join(tmpdir(), "cofferdam-tools-")));
});
afterEach(() => rmSync(home, { recursive: true }));

function program(path: string): string {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), "#!/bin/sh\n");
  chmodSync(join(home, path), 0o755);
  return join(home, path);
}

test("the system's folders need not be shown", () => {
  expect(toolchain("/usr/bin:/bin")).toEqual({ path: "/usr/bin:/bin:/usr/local/bin:/usr/bin:/bin", readable: [] });
});

test("an installation of Node is shown as a whole, never the home around it", () => {
  program("node-26/bin/node");
  mkdirSync(join(home, "node-26/include/node"), { recursive: true });
  expect([...toolchain(`${home}/node-26/bin:/usr/bin`).readable].sort()).toEqual([join(home, "node-26"), join(home, "node-26/bin")]);
});

test("a lone program is shown alone, where it really is", () => {
  const real = program("private/node");
  mkdirSync(join(home, "bin"));
  symlinkSync(real, join(home, "bin/node"));
  expect([...toolchain(`${home}/bin`).readable].sort()).toEqual([join(home, "bin"), real]);
});

test("a program of a package is shown with its package; others only when they are asked for", () => {
  writeFileSync(program("lib/npm/bin/npm-cli.js"), "");
  writeFileSync(join(home, "lib/npm/package.json"), "{}");
  program("tools/deno/deno");
  mkdirSync(join(home, "bin"));
  symlinkSync(join(home, "lib/npm/bin/npm-cli.js"), join(home, "bin/npm"));
  symlinkSync(join(home, "tools/deno/deno"), join(home, "bin/deno"));
  expect(toolchain(`${home}/bin`).readable).toEqual([join(home, "bin"), join(home, "lib/npm")]);
  expect(toolchain(`${home}/bin`, ["deno"]).readable).toContain(join(home, "tools/deno/deno"));
});

test("the shims of a version manager are shown with what they start", () => {
  program(".pyenv/shims/python3");
  expect(toolchain(`${home}/.pyenv/shims:/usr/bin`).readable).toEqual([join(home, ".pyenv")]);
});

test("what is no folder, relative, empty or there twice does not count", () => {
  writeFileSync(join(home, "file"), "");
  expect(toolchain(`:.:bin:${home}/missing:${home}/file:/usr/bin:/usr/bin`).path).toBe("/usr/bin:/usr/local/bin:/usr/bin:/bin");
});

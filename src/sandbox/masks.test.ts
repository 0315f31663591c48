import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { maskedNodes } from "./masks.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cofferdam-masks-"));
});
afterEach(() => rmSync(root, { recursive: true }));

test("sockets and FIFOs at any depth, and nothing else; links are not followed", async () => {
  mkdirSync(join(root, "a/b"), { recursive: true });
  writeFileSync(join(root, "a/file"), "x");
  execFileSync("mkfifo", [join(root, "fifo"), join(root, "a/b/fifo")]);
  symlinkSync("fifo", join(root, "to-fifo"));
  symlinkSync("/dev", join(root, "to-devices"));
  symlinkSync(root, join(root, "a/circle"));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(root, "a/socket"), resolve));
  try {
    expect(maskedNodes(root).sort()).toEqual([join(root, "a/b/fifo"), join(root, "a/socket"), join(root, "fifo")]);
  } finally {
    server.close();
  }
});

test("a file, a link and a place that is not there have none", () => {
  writeFileSync(join(root, "file"), "x");
  symlinkSync("/dev", join(root, "link"));
  for (const name of ["file", "link", "missing"]) expect(maskedNodes(join(root, name))).toEqual([]);
});

test("500 of them are masked, one more is too many", () => {
  execFileSync(
    "mkfifo",
    Array.from({ length: 500 }, (_, i) => join(root, `f${i}`)),
  );
  expect(maskedNodes(root)).toHaveLength(500);
  execFileSync("mkfifo", [join(root, "one-more")]);
  expect(() => maskedNodes(root)).toThrow(/too many sockets, FIFOs or devices/);
});

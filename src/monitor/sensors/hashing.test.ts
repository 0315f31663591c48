import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HashRequest, hashProgram } from "./hashing.ts";
import { programFromProc } from "./proc-process.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "cofferdam-hash-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Nobody has it. */
const GONE = 4_194_304;

function facts(path: string): HashRequest["file"] {
  const stat = statSync(path, { bigint: true });
  const ms = (ns: bigint): number => Number(ns / 1_000_000_000n) * 1000 + Number(ns % 1_000_000_000n) / 1e6;
  return { path, size: Number(stat.size), mtime: ms(stat.mtimeNs), ctime: ms(stat.ctimeNs), anonymous: false };
}

test("what runs, and what ran, by a neighbour's view", async () => {
  const file = facts(process.execPath);
  const expected = createHash("sha256").update(readFileSync(process.execPath)).digest("hex");
  expect(await hashProgram({ pid: process.pid, neighbour: GONE, file })).toBe(expected);
  expect(await hashProgram({ pid: GONE, neighbour: process.pid, file })).toBe(expected);
});

test("another file under its name has no hash, and neither has the same one changed", async () => {
  const path = join(folder, "tool");
  copyFileSync("/bin/true", path);
  const before = facts(path);
  const ask = (): Promise<string | undefined> => hashProgram({ pid: GONE, neighbour: process.pid, file: before });
  expect(await ask()).toBe(createHash("sha256").update(readFileSync(path)).digest("hex"));
  writeFileSync(path, readFileSync(path));
  expect(await ask()).toBeUndefined();
  renameSync(path, `${path}.old`);
  symlinkSync("/dev/zero", path);
  expect(await ask()).toBeUndefined();
  rmSync(path);
  expect(await ask()).toBeUndefined();
});

test("what the fallback read in /proc is the same file, whatever its times", async () => {
  const expected = createHash("sha256").update(readFileSync("/bin/sleep")).digest("hex");
  for (let i = 0; i < 20; i++) {
    const path = join(folder, `sleep-${i}`);
    copyFileSync("/bin/sleep", path);
    const child = spawn(path, ["60"]);
    await once(child, "spawn");
    const pid = child.pid ?? GONE;
    const file = programFromProc(pid)?.program;
    expect(file?.path).toBe(path);
    if (file !== undefined) expect(await hashProgram({ pid, neighbour: GONE, file })).toBe(expected);
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

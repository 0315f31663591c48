/** A file that somebody writes to while it is read: no digest of it means anything. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { CofferdamError } from "../foundation/index.ts";
import { verifyFile } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "cofferdam-change-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "large");
writeFileSync(path, Buffer.alloc(24 * 2 ** 20));

test("a byte overwritten in place, size as before", async () => {
  const verifying = verifyFile(path, "0".repeat(128));
  const fd = openSync(path, "r+");
  writeSync(fd, "x", 20 * 2 ** 20);
  closeSync(fd);
  await expect(verifying).rejects.toMatchObject({ code: "CONFLICT" });
  expect((await verifyFile(path, "0".repeat(128))).ok).toBe(false);
});

test("a time-out is not an interruption", async () => {
  const signal = AbortSignal.abort(new CofferdamError("DEADLINE_EXCEEDED", "not done within 1 ms"));
  await expect(verifyFile(path, "0".repeat(128), { signal })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
});

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { BoundedQueue, CofferdamError, ERROR_TABLE, makeFolder, nearestWord, newId, readBounded, wrapError } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "cofferdam-foundation-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("errors", () => {
  test("docs/errors.md is the table, row by row", () => {
    const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
    const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (.+) \| (\d+) \| (\d+) \| (yes|no) \|$/gm)].map(([, code, meaning, http, exit, retry]) => [
      code,
      { meaning, http: Number(http), exit: Number(exit), retryable: retry === "yes" },
    ]);
    expect(Object.fromEntries(rows)).toEqual(ERROR_TABLE);
    expect(rows).toHaveLength(Object.keys(ERROR_TABLE).length);
  });

  test("exit codes are the documented ones", () => {
    expect(new Set(Object.values(ERROR_TABLE).map((row) => row.exit))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8, 124, 130]));
  });

  test("a coded error passes through; a full disk is a full disk wherever it shows", () => {
    const known = new CofferdamError("CONFLICT", "x");
    expect(wrapError(known, "INTERNAL", "y")).toBe(known);
    expect(wrapError(Object.assign(new Error("write"), { code: "ENOSPC" }), "INTERNAL", "y")).toMatchObject({ code: "RESOURCE_EXHAUSTED", retryable: true });
    expect(wrapError(Object.assign(new Error("open"), { code: "EROFS" }), "INTERNAL", "y").exitCode).toBe(7);
    expect(wrapError("text", "NOT_FOUND", "y")).toMatchObject({ code: "NOT_FOUND", message: "y: text" });
  });
});

test("ids: form, and no two alike", () => {
  const ids = new Set(Array.from({ length: 5000 }, () => newId("evt")));
  expect(ids.size).toBe(5000);
  for (const id of ids) expect(id).toMatch(/^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
});

test("property: the queue is a FIFO that never holds more than its capacity", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.array(fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 5 })), { maxLength: 60 }),
      (capacity, steps) => {
        const queue = new BoundedQueue<number>(capacity);
        const model: number[] = [];
        steps.forEach((step, i) => {
          if (step === undefined) {
            const fits = model.length < capacity;
            expect(queue.offer(i)).toBe(fits);
            if (fits) model.push(i);
          } else expect(queue.take(step)).toEqual(model.splice(0, step));
          expect(queue.size).toBe(model.length);
        });
      },
    ),
  );
  const full = new BoundedQueue<number>(1);
  full.push(1);
  expect(() => full.push(2)).toThrow(expect.objectContaining({ code: "RESOURCE_EXHAUSTED" }));
  expect(() => new BoundedQueue(0)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

describe("readBounded", () => {
  const path = join(folder, "file");
  const read = (at: string, maxBytes = 10): Promise<Buffer | undefined> => readBounded(at, { maxBytes, what: "test file" });

  test("at the limit and one past; nothing there", async () => {
    writeFileSync(path, "0123456789");
    expect((await read(path))?.toString()).toBe("0123456789");
    writeFileSync(path, "0123456789a");
    await expect(read(path)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect(await read(join(folder, "none"))).toBeUndefined();
    expect(await read(join(path, "below"))).toBeUndefined();
  });

  test("a link is followed when that is asked for, within the same limit", async () => {
    const link = join(folder, "followed");
    symlinkSync(path, link);
    writeFileSync(path, "0123456789");
    expect((await readBounded(link, { maxBytes: 10, what: "test file", followLink: true }))?.toString()).toBe("0123456789");
    await expect(readBounded(link, { maxBytes: 9, what: "test file", followLink: true })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("a link, a folder and a FIFO are refused, the last one without waiting for a writer", async () => {
    symlinkSync(path, join(folder, "link"));
    execFileSync("mkfifo", [join(folder, "fifo")]);
    for (const name of ["link", "fifo", "."]) await expect(read(join(folder, name))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

test("a folder that cannot be made is an error at once, not a hang", () => {
  expect(() => makeFolder("/proc/none/such", 0o700)).toThrow();
  makeFolder(join(folder, "a/b/c"), 0o700);
  makeFolder(join(folder, "a/b/c"), 0o755);
  expect(statSync(join(folder, "a/b")).mode & 0o777).toBe(0o700);
});

test("suggestions: near words only", () => {
  const known = ["install", "verify", "audit"];
  expect(["instal", "isntall", "verfiy", "adit"].map((word) => nearestWord(word, known))).toEqual(["install", "install", "verify", "audit"]);
  expect(["x", "policy", "zzzzzzz"].map((word) => nearestWord(word, known))).toEqual([undefined, undefined, undefined]);
});

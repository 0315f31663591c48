import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { type Head, HeadFile } from "./head-file.ts";

const base = mkdtempSync(join(tmpdir(), "cofferdam-head-"));
afterAll(() => rmSync(base, { recursive: true }));
let next = 0;
const fresh = (): string => join(base, String(next++), "head");
const headOf = (seq: number): Head => ({ logId: "log_1", seq, hash: seq.toString(16).padStart(64, "0") });

test("property: a write that is torn anywhere leaves the head before it, whatever the steps are", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 12 }), fc.integer({ min: 0, max: 1023 }), (steps, cut) => {
      const path = fresh();
      const file = new HeadFile(path, "AUDIT_UNAVAILABLE");
      file.create(headOf(0));
      let seq = 0;
      for (const step of steps) {
        const before = readFileSync(path);
        const known = seq;
        seq += step;
        file.advance(headOf(seq));
        const after = readFileSync(path);
        expect(file.read()).toEqual({ head: headOf(seq) });
        // Bytes up to `cut` are of the new write, the rest is what stood there.
        writeFileSync(path, Buffer.concat([after.subarray(0, cut), before.subarray(cut)]));
        expect([headOf(known), headOf(seq)]).toContainEqual(Object.values(file.read())[0]);
        writeFileSync(path, after);
      }
    }),
    { numRuns: 60 },
  );
});

test("it only goes forward", () => {
  const file = new HeadFile(fresh(), "AUDIT_UNAVAILABLE");
  file.create(headOf(0));
  file.advance(headOf(5));
  file.advance(headOf(5));
  expect(() => file.advance(headOf(4))).toThrow(expect.objectContaining({ code: "INTEGRITY_FAILURE" }));
  expect(() => file.advance({ ...headOf(5), hash: "f".repeat(64) })).toThrow(expect.objectContaining({ code: "INTEGRITY_FAILURE" }));
  expect(file.read()).toEqual({ head: headOf(5) });
});

test("absent, damaged, linked and private", () => {
  const path = fresh();
  const file = new HeadFile(path, "AUDIT_UNAVAILABLE");
  expect(file.read()).toEqual({ absent: true });
  expect(() => file.advance(headOf(1))).toThrow(expect.objectContaining({ code: "AUDIT_UNAVAILABLE" }));
  file.create(headOf(0));
  expect([statSync(path).mode & 0o777, statSync(join(path, "..")).mode & 0o777]).toEqual([0o600, 0o700]);
  for (const bytes of [Buffer.alloc(1024, 0x58), Buffer.alloc(0), readFileSync(path).fill(0x20, 70, 80)]) {
    writeFileSync(path, bytes);
    expect(file.read()).toHaveProperty("damaged");
  }
  rmSync(path);
  symlinkSync("/dev/null", path);
  expect(file.read()).toHaveProperty("damaged");
  rmSync(join(path, ".."), { recursive: true });
});

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { requires } from "../../../test/world/needs.ts";
import { cgroupOf, changedFiles, type Evidence, keepEvidence, MAX_EVIDENCE_BYTES, snapshotOf } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "cofferdam-response-"));
afterAll(() => rmSync(folder, { recursive: true }));

const EVIDENCE: Evidence = {
  ...{ schema: "cofferdam/evidence/v1", threat: { type: "x" }, container: "c", job: "j", takenAt: "2026-11-27T00:00:00.000Z", frozen: true },
  ...{ processes: [], moreProcesses: 0, changedFiles: { files: [], cut: false }, events: [], lost: 0 },
};
let count = 0;
const fresh = (): string => join(folder, `evidence-${++count}`, "one.json");

describe("control groups", () => {
  beforeEach((context) => requires(context, "root"));

  test("whoever is in a group with us, or in none of its own, is not stopped", () => {
    expect(() => cgroupOf(process.pid)).toThrow(expect.objectContaining({ code: "FAILED_PRECONDITION" }));
    expect(() => cgroupOf(1)).toThrow(expect.objectContaining({ code: expect.stringMatching(/^(?:FAILED_PRECONDITION|NOT_FOUND)$/) }));
    expect(() => cgroupOf(4_194_303)).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
  });
});

describe("evidence", () => {
  test("a process that is there, with what it has open; one that is gone is none", async () => {
    const child = spawn("sleep", ["60"], { stdio: ["ignore", "pipe", "ignore"] });
    await once(child, "spawn");
    const gone = spawn("true");
    await once(gone, "exit");
    const { processes } = snapshotOf([child.pid ?? 0, gone.pid ?? 0]);
    child.kill("SIGKILL");
    expect(processes).toMatchObject([{ pid: child.pid, args: ["sleep", "60"] }]);
    expect(processes[0]?.descriptors.map(({ fd }) => fd)).toEqual(expect.arrayContaining([0, 1, 2]));
  });

  test("more of them than are kept are counted", () =>
    expect(snapshotOf(Array.from({ length: 250 }, () => 4_194_303))).toEqual({ processes: [], moreProcesses: 50 }));

  test("is root's alone, without secrets, whole on the disk, and never written over", async () => {
    const path = fresh();
    const kept = await keepEvidence({ ...EVIDENCE, events: [{ args: "curl -H s3cr3t" }] }, path, (text) => text.replaceAll("s3cr3t", "***"));
    expect(readFileSync(path, "utf8")).toContain("curl -H ***");
    expect(statSync(path)).toMatchObject({ mode: 0o100600, size: kept.bytes });
    await expect(keepEvidence(EVIDENCE, path, (text) => text)).rejects.toMatchObject({ code: "EEXIST" });
  });

  test("property: it stays within its bound, the oldest events go first, and what it says of itself is true", async () => {
    const big = fc.record({ events: fc.integer({ min: 0, max: 3000 }), files: fc.integer({ min: 0, max: 2000 }), size: fc.integer({ min: 10, max: 2000 }) });
    await fc.assert(
      fc.asyncProperty(big, async ({ events, files, size }) => {
        const path = fresh();
        const text = "x".repeat(size);
        const list = Array.from({ length: files }, (_, i) => ({ path: `/${i}${text}`, type: "file", size: 1, mode: 0, mtime: 0 }) as const);
        const kept = await keepEvidence(
          { ...EVIDENCE, events: Array.from({ length: events }, (_, i) => ({ i, text })), changedFiles: { files: list, cut: false } },
          path,
          (one) => one,
        );
        const read = JSON.parse(readFileSync(path, "utf8"));
        expect(kept.bytes).toBeLessThanOrEqual(MAX_EVIDENCE_BYTES);
        expect([read.events.length, read.changedFiles.files.length]).toEqual([kept.events, kept.changedFiles]);
        expect(read.changedFiles.cut).toBe(kept.changedFiles < files);
        if (kept.events > 0) expect(read.events.at(-1).i).toBe(events - 1);
        if (kept.changedFiles < files) expect(kept.events).toBe(0);
      }),
      { numRuns: 12 },
    );
  });
});

describe("changed files", () => {
  const upper = join(folder, "upper");

  test("named by type, none opened, no link followed; what was removed is told so", async (context) => {
    requires(context, "root");
    mkdirSync(join(upper, "a/b"), { recursive: true });
    writeFileSync(join(upper, "a/b/new\nname"), "12345");
    symlinkSync("/etc", join(upper, "a/link"));
    execFileSync("mknod", [join(upper, "a/gone"), "c", "0", "0"]);
    const { files, cut, why } = await changedFiles(upper, AbortSignal.timeout(5000));
    expect(files.map(({ path, type, size }) => [path, type, type === "file" ? size : 0]).sort()).toEqual([
      ["/a", "folder", 0],
      ["/a/b", "folder", 0],
      ["/a/b/new\nname", "file", 5],
      ["/a/gone", "removed", 0],
      ["/a/link", "link", 0],
    ]);
    expect([cut, why]).toEqual([false, undefined]);
  });

  test("bounded, and said to be; nowhere to look is said", async () => {
    const many = join(folder, "many");
    mkdirSync(many);
    for (let i = 0; i < 2100; i++) writeFileSync(join(many, String(i)), "");
    expect(await changedFiles(many, AbortSignal.timeout(5000))).toMatchObject({ files: { length: 2000 }, cut: true });
    expect(await changedFiles(undefined, AbortSignal.timeout(5000))).toEqual({ files: [], cut: false, why: "its file system is no overlay" });
    expect((await changedFiles(join(folder, "none"), AbortSignal.timeout(5000))).why).toMatch(/ENOENT/);
    expect(await changedFiles(many, AbortSignal.abort())).toMatchObject({ files: [], cut: true });
  });
});

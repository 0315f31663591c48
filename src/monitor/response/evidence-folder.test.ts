import { hash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { EvidenceFolder, type EvidencePruning, type RemovedEvidence } from "./evidence-folder.ts";
import { type Evidence, keepEvidence, MAX_EVIDENCE_BYTES } from "./index.ts";

const base = mkdtempSync(join(tmpdir(), "cofferdam-evidence-"));
afterAll(() => rmSync(base, { recursive: true }));
let count = 0;
const NOW = 1_800_000_000_000;

function fresh(): string {
  const folder = join(base, String(++count));
  mkdirSync(folder);
  return folder;
}

const idOf = (n: number): string => `job-${n}-${String(n).padStart(26, "0")}`;

async function keepOne(folder: string, n: number, ageMs: number, padding = 0): Promise<string> {
  const threat = { id: `thr_${n}`, type: "escape-file", severity: "critical", padding: "x".repeat(padding) };
  const evidence: Evidence = {
    ...{ schema: "cofferdam/evidence/v1", threat, container: "c".repeat(64), job: `job-${n}`, takenAt: "2026-11-27T00:00:00.000Z", frozen: true },
    ...{ processes: [], moreProcesses: 0, changedFiles: { files: [], cut: false }, events: [], lost: 0 },
  };
  const { path } = await keepEvidence(evidence, join(folder, `${idOf(n)}.json`), (text) => text);
  utimesSync(path, new Date(NOW - ageMs), new Date(NOW - ageMs));
  return path;
}

interface Asked {
  readonly keep?: number;
  readonly bytes?: number;
  readonly age?: (time: number) => Promise<number>;
  readonly dryRun?: boolean;
  readonly needed?: (job: string) => string | undefined;
  readonly record?: (removed: RemovedEvidence) => void;
}

async function prune(
  folder: string,
  { keep = 1000, bytes = 2 ** 40, age = async (time) => NOW - time, dryRun = false, needed = () => undefined, record = () => undefined }: Asked,
): Promise<EvidencePruning> {
  const options = {
    now: NOW,
    age,
    dryRun,
    needed: async ({ job }: { readonly job: string }) => needed(job),
    record: async (one: RemovedEvidence) => record(one),
  };
  return await new EvidenceFolder(folder).prune({ keep, bytes }, options);
}

test("a file that is finished is read whole with its hash; of one that is not, nobody knows", async () => {
  const folder = fresh();
  const path = await keepOne(folder, 1, 0);
  const evidence = new EvidenceFolder(folder);
  expect(await evidence.list()).toMatchObject([{ id: idOf(1), path }]);
  expect(await evidence.read(idOf(1))).toMatchObject({
    ...{ job: "job-1", sha256: hash("sha256", readFileSync(path)), threat: { id: "thr_1", type: "escape-file", severity: "critical" } },
    document: { schema: "cofferdam/evidence/v1", frozen: true },
  });
  expect(readdirSync(folder)).toEqual([`${idOf(1)}.json`]);
  expect(await new EvidenceFolder(join(folder, "none")).list()).toEqual([]);
});

test("what is no evidence is not read, and no name leads out of the folder", async () => {
  const folder = fresh();
  const evidence = new EvidenceFolder(folder);
  for (const id of ["../passwd", "", "a/b", `${"x".repeat(90)}-${"0".repeat(26)}`])
    await expect(evidence.read(id)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(evidence.read(idOf(9))).rejects.toMatchObject({ code: "NOT_FOUND" });
  writeFileSync(join(folder, `${idOf(1)}.json`), "{}");
  await expect(evidence.read(idOf(1))).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  truncateSync(join(folder, `${idOf(1)}.json`), MAX_EVIDENCE_BYTES + 1);
  await expect(evidence.read(idOf(1))).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  symlinkSync("/etc/passwd", join(folder, `${idOf(2)}.json`));
  await expect(evidence.read(idOf(2))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("what cannot be read stays, with its reason; a stranger's file and a link are not ours to take", async () => {
  const folder = fresh();
  const [broken, stranger, linked] = [`${idOf(1)}.json`, "notes.txt", `${idOf(2)}.json`].map((name) => join(folder, name));
  for (const path of [broken, stranger]) {
    writeFileSync(path ?? "", "{");
    utimesSync(path ?? "", 1, 1);
  }
  symlinkSync("/etc/hostname", linked ?? "");
  expect(await prune(folder, {})).toMatchObject({ removed: [], kept: [{ id: idOf(1), why: expect.stringContaining("no evidence") }] });
  expect(readdirSync(folder).length).toBe(3);
  expect(existsSync("/etc/hostname")).toBe(true);
});

test("what a killed process was writing goes after a day, on record; a file that is being written now does not", async () => {
  const folder = fresh();
  const [old, young] = [1, 2].map((n) => join(folder, `${idOf(n)}.json.part`));
  for (const path of [old, young]) writeFileSync(path ?? "", "{half");
  utimesSync(old ?? "", new Date(NOW - 86_400_001), new Date(NOW - 86_400_001));
  utimesSync(young ?? "", new Date(NOW), new Date(NOW));
  const recorded: RemovedEvidence[] = [];
  await prune(folder, { keep: 10, record: (one) => void recorded.push(one) });
  expect(recorded).toMatchObject([{ why: "unfinished", sha256: hash("sha256", "{half"), about: undefined }]);
  expect([existsSync(old ?? ""), existsSync(young ?? "")]).toEqual([false, true]);
});

test("what is old by the clock alone stays: it may have been set ahead", async () => {
  const folder = fresh();
  await keepOne(folder, 1, 5000);
  expect(await prune(folder, { age: async () => 999 })).toMatchObject({ removed: [], kept: [] });
  expect(await prune(folder, { age: async () => 1001 })).toMatchObject({ removed: [{ why: "age" }] });
});

test("nothing goes that is not on record, and a dry run touches nothing", async () => {
  const folder = fresh();
  const path = await keepOne(folder, 1, 5000);
  await expect(
    prune(folder, {
      record: () => {
        expect(existsSync(path)).toBe(true);
        throw new Error("no trail");
      },
    }),
  ).rejects.toThrow("no trail");
  expect(existsSync(path)).toBe(true);
  const recorded: RemovedEvidence[] = [];
  expect((await prune(folder, { dryRun: true, record: (one) => void recorded.push(one) })).removed).toMatchObject([{ id: idOf(1), why: "age" }]);
  expect([recorded, existsSync(path)]).toEqual([[], true]);
});

test("property: what goes is what a naive reading of the limits says; what somebody needs never does", async () => {
  const file = fc.record({ age: fc.integer({ min: 0, max: 100 }), padding: fc.integer({ min: 0, max: 3000 }), needed: fc.boolean() });
  const limits = fc.record({ keep: fc.integer({ min: 0, max: 100 }), bytes: fc.integer({ min: 0, max: 12_000 }) });
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(file, { maxLength: 8, selector: ({ age }) => age }), limits, async (files, { keep: age, bytes }) => {
      const folder = fresh();
      const made = await Promise.all(files.map(async (one, n) => ({ ...one, n, path: await keepOne(folder, n, one.age * 1000, one.padding) })));
      const oldestFirst = made.toSorted((a, b) => b.age - a.age).map((one) => ({ ...one, size: readFileSync(one.path).length }));
      // One after the other, counting what is still there.
      const gone = new Set<number>();
      const left = (): number => oldestFirst.filter(({ n }) => !gone.has(n)).reduce((sum, { size }) => sum + size, 0);
      for (const one of oldestFirst) if (!one.needed && (one.age > age || left() > bytes)) gone.add(one.n);
      const recorded: RemovedEvidence[] = [];
      const { removed, bytes: after } = await prune(folder, {
        ...{ keep: age * 1000, bytes, needed: (job) => (files[Number(job.slice(4))]?.needed === true ? "needed" : undefined) },
        record: (one) => void recorded.push(one),
      });
      expect(removed.map(({ id }) => id).sort()).toEqual([...gone].map(idOf).sort());
      expect(recorded).toEqual(removed);
      expect(after).toBe(left());
      for (const { n, path } of made) expect(existsSync(path)).toBe(!gone.has(n));
    }),
    { numRuns: 60 },
  );
});

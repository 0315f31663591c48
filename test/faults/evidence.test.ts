/** Evidence goes on record before it is gone: also when the process that takes it away is killed at any step of it. */
import { spawnSync } from "node:child_process";
import { hash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditLogger } from "../../src/audit/index.ts";
import { makeFolder } from "../../src/foundation/index.ts";
import { SqliteStore } from "../../src/store/index.ts";

const SCRIPT = fileURLToPath(new URL("../world/evidence-process.ts", import.meta.url));
const FILES = 2;
/** Before and after its record, before and after its end. */
const STEPS = 4;

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "cofferdam-evidence-"));
  makeFolder(join(stateDir, "evidence"), 0o700);
  // A trail of a moment makes nothing older than a month.
  writeFileSync(join(stateDir, "policy.yaml"), "version: 1\njobs: {evidence-keep: 1d}\n");
});
afterEach(() => rmSync(stateDir, { recursive: true }));

/** Files that are years old, the oldest first. @returns their hashes. */
function keepFiles(): readonly string[] {
  return Array.from({ length: FILES }, (_, n) => {
    const path = join(stateDir, "evidence", `job-${n}-${String(n).padStart(26, "0")}.json`);
    const threat = { id: `thr_${n}`, type: "escape-file", severity: "critical" };
    const text = JSON.stringify({ schema: "cofferdam/evidence/v1", threat, container: "c", job: `job-${n}`, takenAt: "2020-01-01T00:00:00.000Z" });
    writeFileSync(path, text);
    const old = new Date(Date.UTC(2020, 0, 1 + n));
    utimesSync(path, old, old);
    return hash("sha256", text);
  });
}

function prune(killBefore: number): NodeJS.Signals | null {
  const { signal, stderr, status } = spawnSync(process.execPath, [SCRIPT, stateDir, String(killBefore)], { encoding: "utf8" });
  if (signal === null && status !== 0) throw new Error(stderr);
  return signal;
}

/** Hashes of what went, in the order of the trail. */
async function recorded(): Promise<readonly string[]> {
  await using store = new SqliteStore({ path: join(stateDir, "cofferdam.db") });
  await using audit = new AuditLogger({ store, storage: { directory: stateDir } });
  await audit.initialize();
  expect(await audit.verifyIntegrity()).toMatchObject({ failed: 0 });
  const { events } = await audit.searchPage({ category: "monitor", action: "EvidenceRemoved", limit: 1000 });
  return events.map(({ details }) => String(details?.["sha256"]));
}

test("killed at any step: what is gone is on record, by its hash; the next time takes what is left", async () => {
  let hashes = keepFiles();
  let before = 0;
  for (let killBefore = 1; killBefore <= FILES * STEPS; killBefore++) {
    hashes = keepFiles();
    expect(prune(killBefore)).toBe("SIGKILL");
    const fresh = (await recorded()).slice(before);
    before += fresh.length;
    expect([killBefore, fresh]).toEqual([killBefore, hashes.slice(0, Math.floor((killBefore + 2) / STEPS))]);
    expect([killBefore, readdirSync(join(stateDir, "evidence")).length]).toEqual([killBefore, FILES - Math.floor(killBefore / STEPS)]);
  }
  keepFiles();
  expect(prune(0)).toBeNull();
  expect(readdirSync(join(stateDir, "evidence"))).toEqual([]);
  expect((await recorded()).slice(before)).toEqual(hashes);
}, 60_000);

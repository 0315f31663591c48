/** Quotas: admission decisions a second (many callers, one caller), and how long a workspace of limited size takes to make. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ResourceQuotaManager } from "../dist/quota/index.js";
import { SqliteStore } from "../dist/store/index.js";
import { interleaved, median, print, printLimit, timed } from "./measure.ts";

const ROUNDS = 5;
const JOBS = 2000;
const CALLERS = 64;
const request = { requestedResources: { cpu: 0.01, memory: "6MiB", disk: "1MiB" } } as const;
const rate = (decisions: number, ms: number): number => decisions / (ms / 1000);

/** Runs work on a book of its own. @returns what it returned. */
async function withQuota(work: (quota: ResourceQuotaManager, folder: string) => Promise<number>): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-quota-"));
  try {
    await using store = new SqliteStore({ path: join(folder, "cofferdam.db") });
    await using quota = new ResourceQuotaManager(undefined, { store, workspaces: join(folder, "workspaces") });
    await quota.initialize();
    return await work(quota, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Every job is two decisions: it is admitted, and it gives back. */
async function decide(quota: ResourceQuotaManager, callers: number, jobs: number): Promise<number> {
  const caller = async (first: number): Promise<void> => {
    for (let i = first; i < jobs; i += callers) {
      await quota.allocateResources(`job${i}`, request);
      await quota.releaseResources(`job${i}`);
    }
  };
  return rate(2 * jobs, await timed(() => Promise.all(Array.from({ length: callers }, (_, i) => caller(i)))));
}

/** The least that a durable decision can cost here: one row, one commit. */
async function bareCommits(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-commits-"));
  const db = new DatabaseSync(join(folder, "x.db"));
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)");
  const insert = db.prepare("INSERT INTO t (body) VALUES (?)");
  const ms = await timed(() => {
    for (let i = 0; i < 500; i++) insert.run("x".repeat(300));
  });
  db.close();
  rmSync(folder, { recursive: true });
  return rate(500, ms);
}

const [many = 0, one = 0, bare = 0] = await interleaved(
  [
    { name: "64 callers", run: () => withQuota((quota) => decide(quota, CALLERS, JOBS)) },
    { name: "one caller", run: () => withQuota((quota) => decide(quota, 1, 250)) },
    { name: "bare commits", run: bareCommits },
  ],
  ROUNDS,
);
print({ name: `quota-admission, ${CALLERS} callers, vs 2,000 a second`, ours: many, peer: 2000, unit: "decisions/s", goal: { kind: "at-least", ratio: 1 } });
print({ name: "quota-admission, one caller, vs bare SQLite commits", ours: one, peer: bare, unit: "decisions/s" });

if (process.geteuid?.() === 0) {
  const times: number[] = [];
  await withQuota(async (quota) => {
    for (let i = 0; i < 10; i++) {
      await quota.allocateResources(`job${i}`, { requestedResources: { cpu: 0.01, memory: "6MiB", disk: "10GiB" } });
      times.push(await timed(() => quota.createWorkspace(`job${i}`, { uid: 1000, gid: 1000 })));
      await quota.releaseResources(`job${i}`);
    }
    return 0;
  });
  printLimit({ name: "quota-workspace of 10 GiB, made and mounted", ours: median(times), unit: "ms", most: 50 });
}

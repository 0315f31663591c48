import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ownIdentity } from "../foundation/index.ts";
import { SqliteStore } from "../store/index.ts";
import { type Allocation, PRIORITIES, type Priority, ResourceQuotaManager, type ResourceQuotaOptions } from "./index.ts";

const PROCESS = fileURLToPath(new URL("../../test/world/quota-process.ts", import.meta.url));
let folder: string;
let open: AsyncDisposable[];
let children: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cofferdam-quota-"));
  open = [];
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const one of open.reverse()) await one[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const path = (): string => join(folder, "cofferdam.db");
const tiny = { memory: "6MiB", disk: "1MiB" } as const;

async function manager(options: ResourceQuotaOptions = {}): Promise<ResourceQuotaManager> {
  const store = new SqliteStore({ path: path() });
  const quota = new ResourceQuotaManager(undefined, { store, slots: 4, defaults: tiny, ...options });
  open.push(store, quota);
  await quota.initialize();
  return quota;
}

function process_(...args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [PROCESS, path(), ...args], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return child;
}

/** The pool that tests work in, of cpus. */
async function poolOf(quota: ResourceQuotaManager): Promise<number> {
  const error = await quota.allocateResources("probe", { requestedResources: { cpu: 4096 } }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "RESOURCE_EXHAUSTED", details: { never: true, pool: { cpu: expect.any(Number) } } });
  return Number((error as { details: { pool: { cpu: number } } }).details.pool.cpu);
}

describe("admission", () => {
  test("what does not fit is RESOURCE_EXHAUSTED and says what is free", async () => {
    const quota = await manager();
    const pool = await poolOf(quota);
    await quota.allocateResources("a", { requestedResources: { cpu: pool - 0.25 } });
    await expect(quota.allocateResources("b", { requestedResources: { cpu: 0.5 } })).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      message: expect.stringContaining("free is 0.25 cpu"),
      details: { free: { cpu: 0.25 }, never: false },
    });
    await quota.allocateResources("c", { requestedResources: { cpu: 0.25 } });
    await quota.releaseResources("a");
    await quota.allocateResources("b", { requestedResources: { cpu: 0.5 } });
  });

  test("one id holds once; a release is idempotent, and says what it gave back", async () => {
    const quota = await manager();
    const [first, second] = await Promise.allSettled([quota.allocateResources("a"), quota.allocateResources("a")]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ status: "rejected", reason: { code: "CONFLICT" } });
    expect((await quota.releaseResources("a"))?.allocation.jobId).toBe("a");
    expect(await quota.releaseResources("a")).toBeUndefined();
  });

  test("soft enforcement lets in more than there is, and says so", async () => {
    const quota = await manager({ quotaEnforcement: "soft" });
    const pool = await poolOf(await manager());
    expect((await quota.allocateResources("a", { requestedResources: { cpu: pool } })).overPool).toBe(false);
    expect((await quota.allocateResources("b", { requestedResources: { cpu: pool } })).overPool).toBe(true);
  });

  test("overcommit is of cpu alone unless memory is named", async () => {
    const details = async (options: ResourceQuotaOptions): Promise<{ cpu: number; memory: number }> => {
      const error: unknown = await (await manager(options)).allocateResources("x", { requestedResources: { cpu: 4096 } }).catch((thrown: unknown) => thrown);
      return (error as { details: { pool: { cpu: number; memory: number } } }).details.pool;
    };
    const plain = await details({});
    const cpu = await details({ enableOvercommit: true, overcommitRatio: 2 });
    const both = await details({ enableOvercommit: true, overcommitRatio: 2, overcommitMemory: true });
    expect(cpu.cpu).toBeCloseTo(plain.cpu * 2, 2);
    expect(cpu.memory).toBe(plain.memory);
    expect(both.memory / plain.memory).toBeCloseTo(2, 5);
  });

  test.each(["", "../x", "a/b", "a b", `a${"b".repeat(100)}`, "a\0"])("job id %j is refused", async (id) => {
    await expect((await manager()).allocateResources(id)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("the queue", () => {
  test("goes by priority, then first come first served, and nobody overtakes", async () => {
    const quota = await manager();
    const pool = await poolOf(quota);
    const order: string[] = [];
    const wait = (id: string, priority: Priority, cpu: number): Promise<unknown> =>
      quota.allocateResources(id, { priority, tier: "normal", requestedResources: { cpu }, wait: 60_000 }).then(() => order.push(id));
    await quota.allocateResources("first", { requestedResources: { cpu: pool } });
    const waits = [wait("low", "low", 0.1), wait("large", "normal", pool), wait("small", "normal", 0.1), wait("high", "high", 0.1)];
    await queued(quota, 4);
    // Fits, but others wait for it.
    await expect(quota.allocateResources("pushy", { priority: "low", tier: "normal", requestedResources: { cpu: 0.01 } })).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
    });
    for (const id of ["first", "high", "large"]) {
      await quota.releaseResources(id);
      if (id === "first") await waits[3];
      if (id === "high") await waits[1];
    }
    await Promise.all(waits);
    expect(order.slice(0, 2)).toEqual(["high", "large"]);
    expect(order.slice(2).sort()).toEqual(["low", "small"]);
  });

  test("an abort, a time-out and a release from elsewhere end a wait; nothing stays behind", async () => {
    const quota = await manager();
    const pool = await poolOf(quota);
    await quota.allocateResources("first", { requestedResources: { cpu: pool } });
    const controller = new AbortController();
    const aborted = quota.allocateResources("a", { requestedResources: { cpu: pool }, wait: 60_000, signal: controller.signal });
    const late = quota.allocateResources("b", { requestedResources: { cpu: pool }, wait: 300 });
    const released = quota.allocateResources("c", { requestedResources: { cpu: pool }, wait: 60_000 });
    const small = quota.allocateResources("d", { requestedResources: { cpu: 0.01 }, wait: 60_000 });
    const ends = Promise.allSettled([aborted, late, released]);
    await queued(quota, 4);
    controller.abort(new Error("enough"));
    await (await manager()).releaseResources("c");
    const [first, second, third] = await ends;
    expect(first).toMatchObject({ reason: { message: "enough" } });
    expect(second).toMatchObject({ reason: { code: "DEADLINE_EXCEEDED" } });
    expect(third).toMatchObject({ reason: { code: "CANCELLED" } });
    await quota.releaseResources("first");
    await small;
    expect(rows("SELECT job_id FROM quota_jobs")).toEqual([{ job_id: "d" }]);
  });

  test("a wait is over when another process gives back", async () => {
    const [here, there] = [await manager(), await manager()];
    const pool = await poolOf(here);
    await there.allocateResources("theirs", { requestedResources: { cpu: pool } });
    const wait = here.allocateResources("ours", { requestedResources: { cpu: pool }, wait: 60_000 });
    await queued(here, 1);
    await there.releaseResources("theirs");
    expect((await wait).state).toBe("held");
  });

  test("any history: what is held fits, and who is held agrees with a naive queue", async () => {
    const commands = fc.array(
      fc.record({
        job: fc.integer({ min: 0, max: 9 }),
        release: fc.boolean(),
        cpu: fc.integer({ min: 1, max: 100 }),
        priority: fc.constantFrom(...PRIORITIES),
      }),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(commands, async (history) => {
        await using store = new SqliteStore();
        await using quota = new ResourceQuotaManager(undefined, { store, slots: 4, defaults: tiny });
        await quota.initialize();
        const pool = Math.round((await poolOf(quota)) * 1000);
        const held = new Map<number, number>();
        let queue: { job: number; cpu: number; rank: number }[] = [];
        const waits = new Map<number, Promise<Allocation | undefined>>();
        const used = (): number => [...held.values()].reduce((sum, cpu) => sum + cpu, 0);
        for (const { job, release, cpu: percent, priority } of history) {
          const cpu = Math.max(10, Math.floor((pool * percent) / 100));
          if (release) {
            held.delete(job);
            queue = queue.filter((one) => one.job !== job);
            await quota.releaseResources(`j${job}`);
          } else if (!held.has(job) && !queue.some((one) => one.job === job)) {
            const rank = PRIORITIES.indexOf(priority);
            queue.push({ job, cpu, rank });
            waits.set(
              job,
              quota.allocateResources(`j${job}`, { priority, tier: "normal", requestedResources: { cpu: cpu / 1000 }, wait: 60_000 }).catch(() => undefined),
            );
          }
          for (;;) {
            const rank = Math.max(...queue.map((one) => one.rank));
            const head = queue.find((one) => one.rank === rank);
            if (head === undefined || used() + head.cpu > pool) break;
            held.set(head.job, head.cpu);
            queue = queue.filter((one) => one !== head);
          }
          // A release of nothing waits for every decision before it.
          await quota.releaseResources("nothing");
          const found = await store.read((tx) => tx.all("SELECT job_id FROM quota_jobs WHERE state = 'held' ORDER BY job_id"));
          expect(found.map((row) => row["job_id"])).toEqual([...held.keys()].sort().map((name) => `j${name}`));
        }
        await Promise.all([...waits.keys()].map((job) => quota.releaseResources(`j${job}`)));
        await Promise.all(waits.values());
      }),
      { numRuns: 40 },
    );
  });
});

describe("several processes", () => {
  test("two of them, a thousand jobs: never more than the pool, nothing lost, nothing left", async () => {
    const quota = await manager();
    const pool = Math.round((await poolOf(quota)) * 1000);
    // Judged by the database at every change, not by looking now and then.
    const db = new DatabaseSync(path());
    const over = `(SELECT sum(cpu) FROM quota_jobs WHERE state = 'held') > ${pool}`;
    for (const what of ["INSERT", "UPDATE"])
      db.exec(`CREATE TRIGGER over_${what} AFTER ${what} ON quota_jobs WHEN ${over} BEGIN SELECT RAISE(ABORT, 'more than the pool'); END`);
    db.close();
    const ends = await Promise.all([process_("a", "500"), process_("b", "500")].map((child) => once(child, "exit")));
    expect(ends.map(([code]) => code)).toEqual([0, 0]);
    expect(rows("SELECT * FROM quota_jobs")).toEqual([]);
  });

  test("what a killed process held and waited for is given on, and told; what a living one has stays", async () => {
    const quota = await manager();
    const pool = await poolOf(quota);
    const reclaimed: string[] = [];
    quota.events.on("allocationReclaimed", ({ jobId }) => reclaimed.push(jobId));
    const child = process_("theirs", "3", "hold");
    await once(child.stdout ?? child, "data");
    await quota.allocateResources("ours", { requestedResources: { cpu: 0.01 } });
    const wait = quota.allocateResources("next", { requestedResources: { cpu: pool - 0.01 }, wait: 60_000 });
    await queued(quota, 1);
    // Stopped is not gone.
    child.kill("SIGSTOP");
    await expect(quota.allocateResources("more", { requestedResources: { cpu: pool - 0.01 } })).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    expect(reclaimed).toEqual([]);
    child.kill("SIGKILL");
    expect((await wait).state).toBe("held");
    expect(reclaimed.sort()).toEqual(["theirs-0", "theirs-1", "theirs-2"]);
    expect(rows("SELECT job_id FROM quota_jobs ORDER BY job_id")).toEqual([{ job_id: "next" }, { job_id: "ours" }]);
  });

  test("another process with the pid of the one that is gone is not taken for it", async () => {
    const quota = await manager();
    await quota.allocateResources("mine");
    const { host, boot, pidNamespace, pid } = ownIdentity();
    write("INSERT INTO quota_owners VALUES ('old', ?, ?, ?, ?, '1', 0)", host, boot, pidNamespace, pid);
    write("UPDATE quota_jobs SET owner = 'old', job_id = 'theirs' WHERE job_id = 'mine'");
    const reclaimed: string[] = [];
    const next = await manager();
    next.events.on("allocationReclaimed", ({ jobId }) => reclaimed.push(jobId));
    await next.initialize();
    expect(rows("SELECT * FROM quota_jobs")).toEqual([]);
  });

  test("of a process that cannot be looked at, only the lease decides; and it hears that it lost", async () => {
    const quota = await manager({ lease: 1000 });
    await quota.allocateResources("hidden");
    const lost: string[] = [];
    quota.events.on("allocationsLost", ({ jobIds }) => lost.push(...jobIds));
    write("UPDATE quota_owners SET pid_namespace = '1'");
    const other = await manager({ lease: 60_000 });
    expect(rows("SELECT job_id FROM quota_jobs")).toEqual([{ job_id: "hidden" }]);
    write("UPDATE quota_owners SET heartbeat = heartbeat - 61000 WHERE pid_namespace = '1'");
    await (await manager({ lease: 60_000 })).releaseResources("nothing");
    expect(rows("SELECT job_id FROM quota_jobs")).toEqual([]);
    await quota.releaseResources("hidden");
    expect(lost).toEqual(["hidden"]);
    await other.close();
  });

  test("nothing that an earlier start of the machine held counts", async () => {
    const quota = await manager();
    await quota.allocateResources("before");
    write("UPDATE quota_owners SET boot = 'another'");
    await manager();
    expect(rows("SELECT * FROM quota_jobs")).toEqual([]);
  });
});

test("a row that nobody of us wrote is INTEGRITY_FAILURE, not a crash", async () => {
  const quota = await manager();
  await quota.allocateResources("a");
  write("UPDATE quota_jobs SET body = '{'");
  await expect(quota.releaseResources("a")).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
});

function rows(sql: string): unknown[] {
  const db = new DatabaseSync(path());
  const found = db
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));
  db.close();
  return found;
}

function write(sql: string, ...params: (string | number)[]): void {
  const db = new DatabaseSync(path());
  db.prepare(sql).run(...params);
  db.close();
}

/** Until so many wait in the database. */
async function queued(quota: ResourceQuotaManager, count: number): Promise<void> {
  while (rows("SELECT 1 FROM quota_jobs WHERE state = 'waiting'").length < count) await quota.releaseResources("nothing");
}

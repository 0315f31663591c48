/** The audit trail under kill -9, tampering, full disks and replaced files. Real files, real processes. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AuditFaultKind, AuditLogger, type VerifyReport } from "../../src/audit/index.ts";
import { requires } from "../world/needs.ts";

const SCRIPT = fileURLToPath(new URL("../world/audit-process.ts", import.meta.url));
let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "cofferdam-faults-"));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

async function withLog<T>(work: (audit: AuditLogger) => Promise<T>): Promise<T> {
  await using audit = new AuditLogger({ storage: { directory: state } });
  await audit.initialize();
  return await work(audit);
}

const fill = (count: number): Promise<unknown> =>
  withLog(async (audit) => {
    for (let i = 0; i < count; i++) await audit.log({ category: "test", action: "append", result: "success", details: { i } });
  });
const verify = (): Promise<VerifyReport> => withLog((audit) => audit.verifyIntegrity());

interface Appender {
  readonly acknowledged: number[];
  readonly ended: Promise<number | null>;
  kill(): void;
}

function appender(count: number, name: string): Appender {
  const child = spawn(process.execPath, [SCRIPT, state, String(count), name], { stdio: ["ignore", "pipe", "inherit"] });
  const acknowledged: number[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    acknowledged.push(...lines.map(Number));
  });
  return { acknowledged, ended: new Promise((resolve) => child.once("close", resolve)), kill: () => void child.kill("SIGKILL") };
}

test("three processes at once: one chain, no gap, nothing twice", async () => {
  const appenders = ["a", "b", "c"].map((name) => appender(300, name));
  expect(await Promise.all(appenders.map((one) => one.ended))).toEqual([0, 0, 0]);
  const seqs = appenders.flatMap((one) => one.acknowledged).sort((a, b) => a - b);
  expect(seqs).toEqual(Array.from({ length: 900 }, (_, i) => i + 1));
  expect(await verify()).toMatchObject({ verified: 900, failed: 0 });
});

test("kill -9 again and again: every acknowledged event is there, and the chain is whole", async () => {
  const acknowledged = new Set<number>();
  for (let round = 0; round < 12; round++) {
    const appenders = [appender(2000, "x"), appender(2000, "y")];
    // Somewhere in the middle of it, however slow the machine is today.
    const enough = 1 + Math.random() * 300;
    while (appenders.reduce((sum, one) => sum + one.acknowledged.length, 0) < enough) await new Promise((resolve) => setTimeout(resolve, 3));
    for (const one of appenders) one.kill();
    await Promise.all(appenders.map((one) => one.ended));
    for (const one of appenders) for (const seq of one.acknowledged) acknowledged.add(seq);
  }
  expect(acknowledged.size).toBeGreaterThan(0);
  const report = await verify();
  expect(report).toMatchObject({ failed: 0, errors: [] });
  expect(Math.max(...acknowledged)).toBeLessThanOrEqual(report.size);
  await fill(1);
});

describe("tampering is found, and named", () => {
  const sql = (text: string): void => {
    const db = new DatabaseSync(join(state, "cofferdam.db"));
    db.exec(text);
    db.close();
  };
  const rewriteTail = (): void => {
    // What an attacker with the code would do: drop the last event and append another, all hashes right.
    sql("DELETE FROM audit_events WHERE seq = 8");
    rmSync(join(state, "checkpoints"), { recursive: true });
  };
  const cases: readonly [name: string, kind: AuditFaultKind, seq: number, tamper: () => void][] = [
    ["an edited body", "content", 3, () => sql("UPDATE audit_events SET body = CAST(replace(CAST(body AS TEXT), '\"i\":2', '\"i\":9') AS BLOB) WHERE seq = 3")],
    ["an edited column", "content", 3, () => sql("UPDATE audit_events SET result = 'failure' WHERE seq = 3")],
    ["an edited time column", "content", 3, () => sql("UPDATE audit_events SET at = at + 1 WHERE seq = 3")],
    ["an edited leaf", "content", 3, () => sql("UPDATE audit_events SET leaf = zeroblob(32) WHERE seq = 3")],
    ["an edited hash", "link", 3, () => sql("UPDATE audit_events SET hash = zeroblob(32) WHERE seq = 3")],
    ["an edited link", "link", 3, () => sql("UPDATE audit_events SET previous = zeroblob(32) WHERE seq = 3")],
    ["a deleted event", "gap", 5, () => sql("DELETE FROM audit_events WHERE seq = 4")],
    ["a deleted first event", "gap", 2, () => sql("DELETE FROM audit_events WHERE seq = 1")],
    ["a deleted last event", "head", 8, () => sql("DELETE FROM audit_events WHERE seq = 8")],
    ["all events deleted", "head", 8, () => sql("DELETE FROM audit_events")],
    [
      "two swapped events",
      "order",
      3,
      () =>
        sql("UPDATE audit_events SET seq = -3 WHERE seq = 3; UPDATE audit_events SET seq = 3 WHERE seq = 4; UPDATE audit_events SET seq = 4 WHERE seq = -3"),
    ],
    [
      "a copied body",
      "duplicate",
      6,
      () =>
        sql("UPDATE audit_events SET body = (SELECT body FROM audit_events WHERE seq = 5), leaf = (SELECT leaf FROM audit_events WHERE seq = 5) WHERE seq = 6"),
    ],
  ];
  test.each(cases)("%s: %s", async (_name, kind, seq, tamper) => {
    await fill(8);
    expect(await verify()).toMatchObject({ failed: 0 });
    tamper();
    const report = await verify();
    expect(report.failed).toBeGreaterThan(0);
    expect(report.errors).toContainEqual(expect.objectContaining({ kind, seq }));
  });

  test("an old copy of the database put back: nothing more is appended", async () => {
    await fill(5);
    cpSync(join(state, "cofferdam.db"), join(state, "old.db"));
    await fill(3);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(state, `cofferdam.db${suffix}`), { force: true });
    cpSync(join(state, "old.db"), join(state, "cofferdam.db"));
    expect(await verify()).toMatchObject({ failed: 1, errors: [{ kind: "head", seq: 8 }] });
    await expect(fill(1)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });

  test("the database deleted: a new log does not hide it", async () => {
    await fill(5);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(state, `cofferdam.db${suffix}`), { force: true });
    expect(await verify()).toMatchObject({ failed: 1, errors: [{ kind: "head", detail: expect.stringContaining("another log") }] });
  });

  test("a tail written again with right hashes, when the head file is gone too, is what an outside copy is for", async () => {
    await fill(8);
    const before = (await verify()).head?.hash;
    rewriteTail();
    await fill(1);
    const report = await verify();
    expect(report).toMatchObject({ failed: 0, size: 8, anchored: false });
    expect(report.head?.hash).not.toBe(before);
  });
});

describe("the head file", () => {
  const path = (): string => join(state, "checkpoints", "head");
  test("one torn slot is survived, without an alarm", async () => {
    await fill(7);
    const bytes = readFileSync(path());
    // Event 7 was written to the second slot; a crash tore it.
    writeFileSync(path(), Buffer.concat([bytes.subarray(0, 512), Buffer.alloc(512, 0x20)]));
    expect(await verify()).toMatchObject({ failed: 0 });
    await fill(1);
    expect(await verify()).toMatchObject({ failed: 0, size: 8 });
  });

  test("both slots damaged is a failure, not a fresh start", async () => {
    await fill(7);
    writeFileSync(path(), Buffer.alloc(1024, 0x58));
    await expect(verify()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });

  test("a flipped bit in the write-ahead log that drops later events is found", async () => {
    // kill -9 leaves the log unmerged; SQLite itself then reads up to the first frame that does not check out, and is content.
    await fill(3);
    const child = appender(400, "wal");
    while (child.acknowledged.length < 40) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill();
    await child.ended;
    const wal = readFileSync(join(state, "cofferdam.db-wal"));
    // Frames are a 24-byte header and a page; few enough events that the log was not merged in between. Flip in an early one.
    const at = 32 + 4 * (24 + 4096) + 100;
    wal[at] = (wal[at] ?? 0) ^ 1;
    writeFileSync(join(state, "cofferdam.db-wal"), wal);
    expect((await verify()).errors).toContainEqual(expect.objectContaining({ kind: "head" }));
  });
});

test("a full disk: AUDIT_UNAVAILABLE, and whole again once there is room", async (context) => {
  requires(context, "root");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", state]);
  try {
    await withLog(async (audit) => {
      const write = (): Promise<unknown> => audit.log({ category: "test", action: "append", result: "success", details: { x: "y".repeat(20_000) } });
      let acknowledged = 0;
      const failure = await (async () => {
        for (;;) {
          await write();
          acknowledged += 1;
        }
      })().catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
      await expect(write()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
      execFileSync("mount", ["-o", "remount,size=16m", state]);
      await write();
      const report = await audit.verifyIntegrity();
      expect(report).toMatchObject({ failed: 0 });
      expect(report.size).toBeGreaterThanOrEqual(acknowledged + 1);
    });
  } finally {
    execFileSync("umount", [state]);
  }
});

test("key and head file are private", async () => {
  await fill(1);
  const modes = execFileSync(
    "stat",
    ["-c", "%a", join(state, "keys"), join(state, "keys/audit.pem"), join(state, "checkpoints/head"), join(state, "cofferdam.db")],
    { encoding: "utf8" },
  );
  expect(modes.trim().split("\n")).toEqual(["700", "600", "600", "600"]);
  chmodSync(join(state, "keys/audit.pem"), 0o600);
  unlinkSync(join(state, "keys/audit.pem"));
  // The log's identity is in the database; a new key does not make the old events another log's.
  expect(await verify()).toMatchObject({ failed: 0 });
});

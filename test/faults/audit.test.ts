/** The audit trail under kill -9, tampering, full disks and replaced files. Real files, real processes. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AuditFaultKind, AuditLogger, type VerifyReport } from "../../src/audit/index.ts";
import { HeadFile } from "../../src/store/index.ts";
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
  // One that starts while another is between its commit and its head finds a tail, and says so.
  const own = await withLog((audit) => audit.search({ category: "audit" }));
  expect(own.filter(({ action }) => action !== "tail_recovered")).toEqual([]);
  const seqs = [...appenders.flatMap((one) => one.acknowledged), ...own.map(({ seq }) => seq)].sort((a, b) => a - b);
  expect(seqs).toEqual(Array.from({ length: 900 + own.length }, (_, i) => i + 1));
  expect(await verify()).toMatchObject({ verified: 900 + own.length, failed: 0 });
});

test("kill -9 again and again: every acknowledged event is there, and the chain is whole", async () => {
  const acknowledged = new Set<number>();
  let total = 0;
  for (let round = 0; round < 20; round++) {
    const appenders = [appender(2000, "x"), appender(2000, "y")];
    const enough = 1 + Math.floor(Math.random() * 150);
    while (appenders.every((one) => one.acknowledged.length < enough)) await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
    for (const one of appenders) one.kill();
    await Promise.all(appenders.map((one) => one.ended));
    for (const seq of appenders.flatMap((one) => one.acknowledged)) acknowledged.add(seq);
    total += appenders.reduce((sum, one) => sum + one.acknowledged.length, 0);
  }
  expect(acknowledged.size).toBe(total);
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
  /** What an attacker with the code would do: drop the last event and append another to what is left, all hashes right. */
  const rewriteTail = async (): Promise<void> => {
    const head = join(state, "checkpoints", "head");
    const acknowledged = readFileSync(head);
    const { hash, previousHash, logId } = await withLog(async (audit) => {
      const last = (await audit.search({ newestFirst: true, limit: 1 }))[0];
      return { hash: last?.integrity.hash, previousHash: last?.integrity.previousHash.slice("sha256:".length) ?? "", logId: last?.logId ?? "" };
    });
    sql("DELETE FROM audit_events WHERE seq = 8");
    new HeadFile(head, "AUDIT_UNAVAILABLE").create({ logId, seq: 7, hash: previousHash });
    await fill(1);
    expect((await verify()).head?.hash).not.toBe(hash);
    writeFileSync(join(state, "forged-head"), readFileSync(head));
    writeFileSync(head, acknowledged);
  };
  const cases: readonly [name: string, kind: AuditFaultKind, seq: number, tamper: () => void][] = [
    ["an edited body", "content", 3, () => sql("UPDATE audit_events SET body = replace(body, '\"i\":2', '\"i\":9') WHERE seq = 3")],
    ["a body kept as bytes, in which no search finds anything", "content", 3, () => sql("UPDATE audit_events SET body = CAST(body AS BLOB) WHERE seq = 3")],
    ["a body taken away", "content", 3, () => sql("UPDATE audit_events SET body = NULL WHERE seq = 3")],
    ["a body taken away in the name of an event", "content", 3, () => sql("UPDATE audit_events SET body = NULL, pruned = 5 WHERE seq = 3")],
    ["a body taken away in the name of an event to come", "content", 3, () => sql("UPDATE audit_events SET body = NULL, pruned = 99 WHERE seq = 3")],
    [
      "a forged event in front",
      "order",
      1,
      () =>
        sql('INSERT INTO audit_events (seq, body, leaf, hash) SELECT 0, replace(body, \'"id":"\', \'"id":"x\'), leaf, hash FROM audit_events WHERE seq = 1'),
    ],
    [
      "a forged event without a number",
      "order",
      9,
      () => sql('INSERT INTO audit_events (body, leaf, hash) SELECT replace(body, \'"id":"\', \'"id":"x\'), leaf, hash FROM audit_events WHERE seq = 1'),
    ],
    ["another public key", "link", 1, () => sql("UPDATE audit_log SET public_key = 'AAAA'")],
    ["another log id", "head", 8, () => sql("UPDATE audit_log SET log_id = 'log_other'")],
    ["a deleted head file", "head", 8, () => rmSync(join(state, "checkpoints"), { recursive: true })],
    ["a damaged head file", "head", 8, () => writeFileSync(join(state, "checkpoints", "head"), Buffer.alloc(1024, 0x58))],
    ["an edited leaf", "content", 3, () => sql("UPDATE audit_events SET leaf = zeroblob(32) WHERE seq = 3")],
    ["an edited hash", "link", 3, () => sql("UPDATE audit_events SET hash = zeroblob(32) WHERE seq = 3")],
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
      "order",
      6,
      () =>
        sql(
          'UPDATE audit_events SET body = (SELECT replace(body, \'"id":"\', \'"id":"x\') FROM audit_events WHERE seq = 5), leaf = (SELECT leaf FROM audit_events WHERE seq = 5) WHERE seq = 6',
        ),
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

  test("a tail written again with right hashes is not what was acknowledged", async () => {
    await fill(8);
    await rewriteTail();
    expect(await verify()).toMatchObject({ failed: 1, errors: [{ kind: "head", seq: 8, detail: expect.stringContaining("written again") }] });
    await expect(fill(1)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });

  test("when the head file is forged too, only an outside copy of the head tells", async () => {
    await fill(8);
    const before = (await verify()).head?.hash;
    await rewriteTail();
    writeFileSync(join(state, "checkpoints", "head"), readFileSync(join(state, "forged-head")));
    const report = await verify();
    expect(report).toMatchObject({ failed: 0, size: 8, acknowledged: 8, anchored: false });
    expect(report.head?.hash).not.toBe(before);
  });

  test("rolled back under a running process: it refuses to go on, and the head file stays", async () => {
    await withLog(async (audit) => {
      const write = (): Promise<unknown> => audit.log({ category: "test", action: "append", result: "success" });
      for (let i = 0; i < 5; i++) await write();
      const head = readFileSync(join(state, "checkpoints", "head"));
      sql("DELETE FROM audit_events WHERE seq > 3");
      for (let i = 0; i < 4; i++) await expect(write()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE", details: { kind: "head" } });
      expect(readFileSync(join(state, "checkpoints", "head")).equals(head)).toBe(true);
    });
    expect(await verify()).toMatchObject({ failed: 1, size: 3, acknowledged: 5 });
  });

  test("database and head file both put back under a running process: it remembers what it acknowledged", async () => {
    await withLog(async (audit) => {
      const write = (): Promise<unknown> => audit.log({ category: "test", action: "append", result: "success" });
      for (let i = 0; i < 3; i++) await write();
      const head = readFileSync(join(state, "checkpoints", "head"));
      for (let i = 0; i < 2; i++) await write();
      sql("DELETE FROM audit_events WHERE seq > 3");
      writeFileSync(join(state, "checkpoints", "head"), head);
      await expect(write()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE", message: expect.stringContaining("put back to 3") });
    });
  });
});

test("the database removed under a running process: AUDIT_UNAVAILABLE, and whole again when it is back", async () => {
  await withLog(async (audit) => {
    const write = (): Promise<unknown> => audit.log({ category: "test", action: "append", result: "success" });
    await write();
    // The first one is made beside the first event; it is not to fail meanwhile, which would be an event more.
    await audit.checkpoint();
    const parts = ["", "-wal", "-shm"].map((suffix) => join(state, `cofferdam.db${suffix}`));
    for (const part of parts) renameSync(part, `${part}.aside`);
    for (let i = 0; i < 2; i++) await expect(write()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    expect(readdirSync(state)).not.toContain("cofferdam.db");
    for (const part of parts) renameSync(`${part}.aside`, part);
    await write();
    expect(await audit.verifyIntegrity()).toMatchObject({ failed: 0, size: 2, acknowledged: 2 });
  });
});

test("the making of a log interrupted after its head was written: the next start makes it", async () => {
  await fill(0);
  // The head is written inside the transaction that makes the log; a crash before its commit leaves the file alone.
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(state, `cofferdam.db${suffix}`), { force: true });
  await fill(2);
  expect(await verify()).toMatchObject({ verified: 2, failed: 0, acknowledged: 2 });
});

describe("the head file", () => {
  const path = (): string => join(state, "checkpoints", "head");
  test("one torn slot is survived, without an alarm", async () => {
    await fill(7);
    const bytes = readFileSync(path());
    // Head 7 was written to the second slot, 6 is in the first; a crash tore it.
    writeFileSync(path(), Buffer.concat([bytes.subarray(0, 512), Buffer.alloc(512, 0x20)]));
    expect(await verify()).toMatchObject({ failed: 0 });
    await fill(1);
    // The event that the torn head no longer acknowledged is counted in one of its own.
    expect(await verify()).toMatchObject({ failed: 0, size: 9 });
  });

  test("both slots damaged: nothing is appended, and search goes on", async () => {
    await fill(7);
    writeFileSync(path(), Buffer.alloc(1024, 0x58));
    await withLog(async (audit) => {
      await audit.initialize();
      await expect(audit.log({ category: "test", action: "append", result: "success" })).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
      expect(await audit.search()).toHaveLength(7);
    });
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
  // The chain is bound to the public key in the database. A lost key is not replaced in silence by one that it does not know.
  expect(await verify()).toMatchObject({ failed: 0 });
  expect(existsSync(join(state, "keys/audit.pem"))).toBe(false);
});

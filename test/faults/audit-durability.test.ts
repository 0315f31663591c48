/** What the trail does when the disk is full, answers EIO, or lost what it had: real file systems, a real process, real errors. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AuditLogger } from "../../src/audit/index.ts";
import { requires } from "../world/needs.ts";

const STEPS = fileURLToPath(new URL("../world/audit-steps.ts", import.meta.url));
let base: string;
let state: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-durable-"));
  state = join(base, "state");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function withLog<T>(work: (audit: AuditLogger) => Promise<T>): Promise<T> {
  await using audit = new AuditLogger({ storage: { directory: state }, checkpoint: { events: 1_000_000, interval: 1e12 } });
  await audit.initialize();
  return await work(audit);
}
const fill = (count: number): Promise<unknown> =>
  withLog(async (audit) => {
    for (let i = 0; i < count; i++) await audit.log({ category: "test", action: "append", result: "success", details: { i } });
  });
const sql = (text: string): void => {
  const db = new DatabaseSync(join(state, "cofferdam.db"));
  db.exec(text);
  db.close();
};
const head = (): string => join(state, "checkpoints", "head");

test("a full disk: what would go on is refused, refusals are recorded in the space kept for them, then all is as before", async (context) => {
  requires(context, "root");
  execFileSync("mkdir", ["-p", state]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", state]);
  try {
    await withLog(async (audit) => {
      const grant = (): Promise<unknown> => audit.log({ category: "test", action: "grant", result: "success", details: { x: "y".repeat(20_000) } });
      const refuse = (): Promise<unknown> => audit.log({ category: "test", action: "refuse", result: "failure" });
      let granted = 0;
      await expect(
        (async () => {
          for (;;) {
            await grant();
            granted += 1;
          }
        })(),
      ).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", message: expect.stringContaining("kept for refusals") });
      expect(granted).toBeGreaterThan(50);
      await expect(grant()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
      for (let i = 0; i < 100; i++) await refuse();
      // Another process knows it too, and does not use up what is kept.
      await withLog(async (other) => {
        await expect(other.log({ category: "test", action: "grant", result: "success" })).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
        await other.log({ category: "test", action: "refuse", result: "failure" });
      });
      await expect(grant()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
      expect(await audit.search({ action: "refuse", limit: 1000 })).toHaveLength(101);
      expect(await audit.search({ category: "audit", action: "disk_full" })).toMatchObject([{ result: "failure", details: { waiting: 1 } }]);
      execFileSync("mount", ["-o", "remount,size=32m", state]);
      await grant();
      expect(await audit.verifyIntegrity()).toMatchObject({ failed: 0, size: granted + 103 });
      expect(existsSync(join(state, "checkpoints", "reserve"))).toBe(true);
    });
  } finally {
    execFileSync("umount", [state]);
  }
});

test("a disk that answers EIO when it should make something durable: nobody is told that it is, and whole again after", async (context) => {
  const library = join(base, "fault.so");
  const flag = join(base, "fault");
  writeFileSync(
    join(base, "fault.c"),
    `#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>
#include <sys/syscall.h>
static int failing(void) { return access("${flag}", F_OK) == 0; }
int fdatasync(int fd) { if (failing()) { errno = EIO; return -1; } return (int)syscall(SYS_fdatasync, fd); }
int fsync(int fd) { if (failing()) { errno = EIO; return -1; } return (int)syscall(SYS_fsync, fd); }
`,
  );
  try {
    execFileSync("cc", ["-shared", "-fPIC", "-o", library, join(base, "fault.c")], { stdio: "ignore" });
  } catch {
    if (process.env["REQUIRE_ALL"] === "1") throw new Error("requires a C compiler, and REQUIRE_ALL=1 is set");
    context.skip("requires a C compiler");
  }
  const child = spawn(process.execPath, [STEPS, state], { env: { ...process.env, LD_PRELOAD: library }, stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const step = async (): Promise<string> => {
    child.stdin.write("x\n");
    return String((await lines.next()).value);
  };
  expect([await step(), await step()]).toEqual(["1", "2"]);
  writeFileSync(flag, "");
  for (let i = 0; i < 3; i++) expect(await step()).toBe("AUDIT_UNAVAILABLE");
  rmSync(flag);
  const after = Number(await step());
  expect(after).toBeGreaterThan(2);
  child.stdin.end();
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
  // Some of what failed may be there (nobody was told that it is not); the rest is whole.
  expect(await withLog((audit) => audit.verifyIntegrity())).toMatchObject({ failed: 0, size: after, acknowledged: after });
});

test("events that were committed and not acknowledged are counted, and that is itself recorded", async () => {
  await fill(3);
  execFileSync("cp", [head(), join(base, "head")]);
  await fill(4);
  // As a crash between commit and head leaves it.
  execFileSync("cp", [join(base, "head"), head()]);
  await fill(1);
  await withLog(async (audit) => {
    expect(await audit.search({ category: "audit" })).toMatchObject([
      { seq: 8, action: "tail_recovered", details: { acknowledged: 3, found: 7, recovered: 4 } },
    ]);
    expect(await audit.verifyIntegrity()).toMatchObject({ failed: 0, size: 9, acknowledged: 9 });
  });
});

describe("going on after a loss is asked for, and recorded", () => {
  test("a lost head file", async () => {
    await fill(5);
    rmSync(head());
    await expect(fill(1)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
    await withLog(async (audit) => {
      const recovered = await audit.recover({ reason: "disk replaced, OPS-7" });
      expect(recovered).toMatchObject({ seq: 6, category: "audit", action: "recovered", details: { reason: "disk replaced, OPS-7", size: 5 } });
      await expect(audit.recover({ reason: "again" })).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    });
    await fill(1);
    expect(await withLog((audit) => audit.verifyIntegrity())).toMatchObject({ failed: 0, size: 7, acknowledged: 7 });
  });

  test("lost events: only with acceptLoss, and what was acknowledged stays on record", async () => {
    await fill(5);
    sql("DELETE FROM audit_events WHERE seq > 3");
    await withLog(async (audit) => {
      await expect(audit.recover({ reason: "x" })).rejects.toMatchObject({ code: "FAILED_PRECONDITION", hint: expect.stringContaining("backup") });
      expect(await audit.recover({ reason: "x", acceptLoss: true })).toMatchObject({
        seq: 4,
        details: { acknowledged: { seq: 5, hash: expect.stringMatching(/^[0-9a-f]{64}$/) }, size: 3 },
      });
    });
    await fill(1);
    expect(await withLog((audit) => audit.verifyIntegrity())).toMatchObject({ failed: 0, size: 5 });
  });

  test("a lost key: the new one is on record, and whoever pinned the old one sees that nothing vouches for it", async () => {
    await fill(2);
    const pinned = await withLog((audit) => audit.verifierKey());
    await withLog((audit) => audit.checkpoint());
    rmSync(join(state, "keys"), { recursive: true });
    await withLog(async (audit) => {
      await audit.replaceLostKey("host reinstalled");
      await audit.checkpoint();
      expect(await audit.verify({})).toMatchObject({ failed: 0, keyReplaced: true, checkpoint: { size: 3 } });
      expect(await audit.verify({ keys: [pinned] })).toMatchObject({ checkpoint: { size: 2 }, errors: [{ kind: "signature", seq: 3 }] });
    });
  });
});

test("a backup taken while events are recorded: head first, then the database as one snapshot; restored, it goes on", async () => {
  const backup = join(base, "backup");
  await fill(20);
  await withLog((audit) => audit.checkpoint());
  const child = spawn(process.execPath, [STEPS, state], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  for (let i = 0; i < 5; i++) {
    child.stdin.write("x\n");
    await lines.next();
  }
  child.stdin.write("x\n".repeat(200));
  // docs/audit.md, Backup.
  execFileSync("mkdir", ["-p", join(backup, "checkpoints")]);
  execFileSync("cp", ["-a", join(state, "keys"), backup]);
  execFileSync("cp", ["-a", head(), join(backup, "checkpoints")]);
  const db = new DatabaseSync(join(state, "cofferdam.db"));
  db.exec(`VACUUM INTO '${join(backup, "cofferdam.db")}'`);
  db.close();
  child.stdin.end();
  child.stdout.resume();
  expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
  const kept = await withLog((audit) => audit.checkpoint());
  rmSync(state, { recursive: true });
  execFileSync("cp", ["-a", backup, state]);
  const restored = await withLog((audit) => audit.verify({}));
  expect(restored.failed).toBe(0);
  expect(restored.size).toBeGreaterThanOrEqual(25);
  // What was recorded after the backup is gone, and an outside checkpoint says so.
  if (restored.size < kept.size) expect((await withLog((audit) => audit.verify({ checkpoints: [kept.note] }))).errors).toMatchObject([{ kind: "size" }]);
  await fill(1);
  expect((await withLog((audit) => audit.verify({}))).failed).toBe(0);
});

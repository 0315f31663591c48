/** Evidence of the audit trail that its own code has no part in: raw SQL before and after, hashes made here, a file system that refuses. */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
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
  state = mkdtempSync(join(tmpdir(), "cofferdam-evidence-"));
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

function withDatabase<T>(work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(join(state, "cofferdam.db"));
  try {
    return work(db);
  } finally {
    db.close();
  }
}
const sql = (text: string): void => withDatabase((db) => db.exec(text));

interface Appender {
  readonly name: string;
  readonly acknowledged: number[];
  readonly ended: Promise<unknown>;
  kill(): void;
}

function appender(name: string): Appender {
  const child = spawn(process.execPath, [SCRIPT, state, "2000", name], { stdio: ["ignore", "pipe", "inherit"] });
  const acknowledged: number[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    acknowledged.push(...lines.map(Number));
  });
  return { name, acknowledged, ended: new Promise((resolve) => child.once("close", resolve)), kill: () => void child.kill("SIGKILL") };
}

test("kill -9, 20 times: what was acknowledged stands where it was said to stand, and is still whose it was", { timeout: 120_000 }, async () => {
  const acknowledged: { seq: number; name: string }[] = [];
  for (let round = 0; round < 20; round++) {
    // A name of its own for each process: a place that was lost and given to a later event shows.
    const appenders = [appender(`x${round}`), appender(`y${round}`)];
    while (appenders.every((one) => one.acknowledged.length === 0)) await new Promise((resolve) => setTimeout(resolve, 2));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 100));
    for (const one of appenders) one.kill();
    await Promise.all(appenders.map((one) => one.ended));
    for (const { name, acknowledged: seqs } of appenders) acknowledged.push(...seqs.map((seq) => ({ seq, name })));
  }
  const stored = withDatabase(
    (db) =>
      new Map(
        db
          .prepare("SELECT seq, user_id FROM audit_events")
          .all()
          .map((row) => [Number(row["seq"]), row["user_id"]]),
      ),
  );
  expect(acknowledged.length).toBeGreaterThanOrEqual(15);
  expect(acknowledged.filter(({ seq, name }) => stored.get(seq) !== name)).toEqual([]);
  expect(await verify()).toMatchObject({ verified: stored.size, failed: 0, errors: [] });
});

/** Other words in event `from`, and every hash from there on made right again: leaves, chain and tree. */
function rewriteFrom(from: number): void {
  const sha = (...parts: (string | Uint8Array)[]): Buffer => parts.reduce((digest, part) => digest.update(part), createHash("sha256")).digest();
  const bytes = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : new Uint8Array());
  withDatabase((db) => {
    const log = db.prepare("SELECT log_id AS logId, public_key AS publicKey FROM audit_log").get();
    const before = db.prepare("SELECT hash FROM audit_events WHERE seq = ?").get(from - 1);
    let previous = before === undefined ? sha(`{"logId":"${String(log?.["logId"])}","publicKey":"${String(log?.["publicKey"])}"}`) : bytes(before["hash"]);
    for (const row of db.prepare("SELECT seq, body FROM audit_events WHERE seq >= ? ORDER BY seq").all(from)) {
      const text = String(row["body"]);
      const body = Number(row["seq"]) === from ? text.replace('"success"', '"failure"') : text;
      const leaf = sha(Buffer.from([0]), body);
      const hash = sha("cofferdam/audit/chain/v1\0", previous, leaf);
      db.prepare("UPDATE audit_events SET body = ?, leaf = ?, hash = ? WHERE seq = ?").run(body, leaf, hash, Number(row["seq"]));
      previous = hash;
    }
  });
}

describe("written again with right hashes: the acknowledged head tells, and nothing is appended", () => {
  test.each([8, 3, 1])("from event %d", async (from) => {
    await fill(8);
    const signed = withDatabase((db) =>
      db
        .prepare("SELECT size FROM audit_checkpoints ORDER BY size")
        .all()
        .map(({ size }) => Number(size)),
    );
    expect(signed.length).toBeGreaterThan(0);
    rewriteFrom(from);
    const [changed] = await withLog((audit) => audit.search({ result: "failure" }));
    expect(changed?.seq).toBe(from);
    // Every hash is right: what was signed (how far the checkpoints came by then) and the head are all there is to see it by.
    const forks = signed.filter((size) => size >= from).map((size) => ({ kind: "fork", seq: size }));
    const errors = [...forks, { kind: "head", seq: 8 }];
    expect(await verify()).toMatchObject({ verified: 8, failed: errors.length, errors });
    await expect(fill(1)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });
});

describe("rows moved about", () => {
  const again = 'INSERT INTO audit_events (seq, body, leaf, hash) SELECT 9, replace(body, \'"id":"\', \'"id":"x\'), leaf, hash FROM audit_events WHERE seq = 8';
  const swapBodies = (columns: readonly string[]): string =>
    [
      "DROP INDEX audit_events_id",
      `CREATE TEMP TABLE kept AS SELECT ${columns.join(", ")} FROM audit_events WHERE seq = 3`,
      ...columns.map((column) => `UPDATE audit_events SET ${column} = (SELECT ${column} FROM audit_events WHERE seq = 4) WHERE seq = 3`),
      ...columns.map((column) => `UPDATE audit_events SET ${column} = (SELECT ${column} FROM kept) WHERE seq = 4`),
      "CREATE UNIQUE INDEX audit_events_id ON audit_events (id)",
    ].join("; ");
  test.each<[string, string, readonly (readonly [AuditFaultKind, number])[]]>([
    [
      "two bodies swapped",
      swapBodies(["body"]),
      [
        ["order", 3],
        ["order", 4],
        ["content", 3],
        ["content", 4],
      ],
    ],
    [
      "two bodies swapped with their leaves",
      swapBodies(["body", "leaf"]),
      [
        ["order", 3],
        ["order", 4],
        ["link", 3],
        ["link", 4],
      ],
    ],
    [
      "the last event once more",
      again,
      [
        ["content", 9],
        ["order", 9],
        ["link", 9],
      ],
    ],
  ])("%s", async (_name, statements, faults) => {
    await fill(8);
    sql(statements);
    const { errors } = await verify();
    for (const [kind, seq] of faults) expect(errors).toContainEqual(expect.objectContaining({ kind, seq }));
    expect(new Set(errors.map(({ seq }) => seq))).toEqual(new Set(faults.map(([, seq]) => seq)));
  });
});

test("a read-only file system: AUDIT_UNAVAILABLE for an old log and a new one, and whole again once it can be written", async (context) => {
  requires(context, "root");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", state]);
  try {
    await fill(3);
    execFileSync("mount", ["-o", "remount,ro", state]);
    await expect(fill(1)).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    await using fresh = new AuditLogger({ storage: { directory: join(state, "fresh") } });
    await expect(fresh.initialize()).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    execFileSync("mount", ["-o", "remount,rw", state]);
    await fill(1);
    expect(await verify()).toMatchObject({ verified: 4, failed: 0 });
  } finally {
    execFileSync("umount", [state]);
  }
});

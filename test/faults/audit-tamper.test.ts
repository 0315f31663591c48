/**
 * What somebody who can write the state directory does to it, from clumsy to complete, and the verdict each time. (More of
 * the clumsy ones: audit.test.ts, audit-evidence.test.ts. Bundles: src/audit/bundle.test.ts.)
 */
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkpointText } from "../../src/audit/checkpoint.ts";
import { type AuditFaultKind, AuditLogger, type AuditVerifyRequest, type SignedCheckpoint, type VerifyReport } from "../../src/audit/index.ts";
import { signatureLine } from "../../src/audit/note.ts";
import { AUDIT_MIGRATIONS } from "../../src/audit/schema.ts";
import { HeadFile } from "../../src/store/index.ts";

const EVENTS = 40;
let base: string;
let state: string;
/** A checkpoint that was taken away while all was well. */
let kept: SignedCheckpoint;
let key: string;

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-tamper-"));
  state = join(base, "state");
  await fill(EVENTS);
  kept = await withLog((audit) => audit.checkpoint());
  key = await withLog((audit) => audit.verifierKey());
  // All in the main file, so that what is done to it is what is read.
  sql("PRAGMA wal_checkpoint(TRUNCATE)");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function withLog<T>(work: (audit: AuditLogger) => Promise<T>, directory = state): Promise<T> {
  await using audit = new AuditLogger({ storage: { directory }, checkpoint: { events: 1_000_000, interval: 1e12 } });
  await audit.initialize();
  return await work(audit);
}
const fill = (count: number, directory = state, from = 1): Promise<unknown> =>
  withLog(async (audit) => {
    for (let i = from; i < from + count; i++)
      await audit.log({ category: "test", action: i % 2 === 0 ? "even" : "odd", result: "success", userId: `u${i % 3}`, details: { i } });
  }, directory);
const verify = (request: AuditVerifyRequest = {}): Promise<VerifyReport> => withLog((audit) => audit.verify(request));
const outside = (): AuditVerifyRequest => ({ checkpoints: [kept.note], keys: [key] });

function sql(...statements: string[]): void {
  const db = new DatabaseSync(join(state, "cofferdam.db"));
  // Defensive mode is what an attacker leaves off.
  db.enableDefensive(false);
  for (const statement of statements) db.exec(statement);
  db.close();
}
const editSchema = (from: string, to: string): void =>
  sql("PRAGMA writable_schema = ON", `UPDATE sqlite_master SET sql = replace(sql, '${from.replaceAll("'", "''")}', '${to.replaceAll("'", "''")}')`);
const privateKey = (): ReturnType<typeof createPrivateKey> => createPrivateKey(readFileSync(join(state, "keys", "audit.pem")));
/** A checkpoint of the attacker's making; with the log's own key, unless told otherwise. */
const signed = (size: number, root: Buffer, signer = privateKey()): string => {
  const text = checkpointText({ origin: kept.origin, size, root });
  return `${text}\n${signatureLine(text, kept.origin, signer)}`;
};
const putCheckpoint = (size: number, root: Buffer, note: string): void => {
  const db = new DatabaseSync(join(state, "cofferdam.db"));
  db.prepare("INSERT OR REPLACE INTO audit_checkpoints (size, root, note, made_at) VALUES (?, ?, ?, ?)").run(size, root, note, "2026-01-01T00:00:00.000Z");
  db.close();
};

test("untouched, it is whole, and anchored by what was kept", async () => {
  expect(await verify(outside())).toMatchObject({
    verified: EVENTS,
    failed: 0,
    errors: [],
    anchored: true,
    sound: { from: 1, to: EVENTS },
    root: kept.root.toString("base64"),
  });
});

describe("in the database", () => {
  const other = Buffer.alloc(32, 7);
  test.each<[string, AuditFaultKind, number, () => void]>([
    [
      "a computed column made an ordinary one, to be edited",
      "schema",
      0,
      () => editSchema("category TEXT GENERATED ALWAYS AS (body ->> 'category') VIRTUAL", "category TEXT"),
    ],
    ["a computed column that computes something else", "schema", 0, () => editSchema("(body ->> 'category')", "(body ->> 'action')")],
    ["a trigger that swallows what is inserted", "schema", 0, () => sql("CREATE TRIGGER t BEFORE INSERT ON audit_events BEGIN SELECT RAISE(IGNORE); END")],
    [
      "a trigger that changes what is inserted",
      "schema",
      0,
      () => sql("CREATE TRIGGER t AFTER INSERT ON audit_events BEGIN UPDATE audit_events SET body = 'x' WHERE seq = new.seq; END"),
    ],
    ["an index dropped", "schema", 0, () => sql("DROP INDEX audit_events_user")],
    [
      "an index over fewer events",
      "schema",
      0,
      () => sql("DROP INDEX audit_events_user", "CREATE INDEX audit_events_user ON audit_events (user_id) WHERE seq < 10"),
    ],
    [
      "a view in the place of a table",
      "schema",
      0,
      () => sql("ALTER TABLE audit_checkpoints RENAME TO moved", "CREATE VIEW audit_checkpoints AS SELECT * FROM moved WHERE size < 10"),
    ],
    [
      "the tree's table dropped and made anew",
      "tree",
      1,
      () => sql("DROP TABLE audit_nodes", AUDIT_MIGRATIONS[0]?.sql.find((text) => text.includes("TABLE audit_nodes")) ?? ""),
    ],
    ["a node's hash edited", "tree", 17, () => sql("UPDATE audit_nodes SET hash = zeroblob(32) WHERE level = 1 AND idx = 1")],
    [
      "a node's times edited, to hide events from searches by time",
      "tree",
      17,
      () => sql("UPDATE audit_nodes SET low = '1999-01-01', high = '1999-01-02' WHERE level = 1 AND idx = 1"),
    ],
    ["a node deleted", "tree", 1, () => sql("DELETE FROM audit_nodes WHERE level = 1 AND idx = 0")],
    ["a node too many", "tree", EVENTS, () => sql("INSERT INTO audit_nodes SELECT level, 9, hash, low, high FROM audit_nodes WHERE idx = 0")],
    ["a checkpoint of another root, signed with the log's key", "fork", 20, () => putCheckpoint(20, other, signed(20, other))],
    ["a checkpoint signed with another key", "signature", 20, () => putCheckpoint(20, other, signed(20, other, generateKeyPairSync("ed25519").privateKey))],
    ["a checkpoint whose note is of another size", "signature", 20, () => putCheckpoint(20, kept.root, kept.note)],
    ["a checkpoint that is no note", "signature", 20, () => putCheckpoint(20, other, "x")],
    ["a checkpoint of more events than there are", "size", 99, () => putCheckpoint(99, other, signed(99, other))],
    ["the last event deleted, head file made to fit", "size", EVENTS, () => cutTo(EVENTS - 1)],
    ["half of the log deleted, head file made to fit", "size", EVENTS, () => cutTo(EVENTS / 2)],
    ["an event given another type", "content", 5, () => sql("UPDATE audit_events SET body = CAST(body AS BLOB) WHERE seq = 5")],
    ["a member added to an event", "content", 5, () => sql(`UPDATE audit_events SET body = '{"aaa":1,' || substr(body, 2) WHERE seq = 5`)],
    ["white space in an event", "content", 5, () => sql("UPDATE audit_events SET body = body || ' ' WHERE seq = 5")],
    [
      "an event's key twice, the second one read",
      "content",
      5,
      () => sql(`UPDATE audit_events SET body = replace(body, '"result":"success"', '"result":"success","result":"failure"') WHERE seq = 5`),
    ],
    ["an event's leaf and hash edited with it", "link", 5, () => sql("UPDATE audit_events SET leaf = zeroblob(32), hash = zeroblob(32) WHERE seq = 5")],
    ["pruned without being gone", "content", 5, () => sql("UPDATE audit_events SET pruned = 30 WHERE seq = 5")],
    [
      "an event inserted between two, the rest moved up",
      "order",
      6,
      () =>
        sql(
          "UPDATE audit_events SET seq = -seq - 1 WHERE seq > 5",
          "UPDATE audit_events SET seq = -seq WHERE seq < 0",
          `INSERT INTO audit_events (seq, body, leaf, hash) SELECT 6, replace(body, '"id":"', '"id":"x'), leaf, hash FROM audit_events WHERE seq = 5`,
        ),
    ],
  ])("%s: %s at %d", async (_name, kind, seq, tamper) => {
    tamper();
    for (const request of [{}, outside()]) {
      const report = await verify(request);
      expect(report.failed).toBeGreaterThan(0);
      expect(report.errors.find((fault) => fault.kind === kind)).toMatchObject({ seq });
    }
  });

  /** Deletes events and forges the head file, as the program itself would write it. */
  function cutTo(size: number): void {
    const db = new DatabaseSync(join(state, "cofferdam.db"));
    db.exec(`DELETE FROM audit_events WHERE seq > ${size}; DELETE FROM audit_nodes WHERE (idx + 1) * 16 > ${size}`);
    const hash = db.prepare("SELECT hash FROM audit_events WHERE seq = ?").get(size)?.["hash"];
    const logId = String(db.prepare("SELECT log_id FROM audit_log").get()?.["log_id"]);
    db.close();
    new HeadFile(join(state, "checkpoints", "head"), "AUDIT_UNAVAILABLE").create({
      logId,
      seq: size,
      hash: Buffer.from(hash instanceof Uint8Array ? hash : []).toString("hex"),
    });
  }

  test("a trigger that swallows events: the caller is told that nothing was recorded", async () => {
    sql("CREATE TRIGGER t BEFORE INSERT ON audit_events WHEN new.seq = 42 BEGIN SELECT RAISE(IGNORE); END");
    await withLog(async (audit) => {
      const both = ["a", "b", "c"].map((action) => audit.log({ category: "test", action, result: "success" }));
      for (const one of both) await expect(one).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
    });
    expect((await verify()).size).toBe(EVENTS);
  });

  test("an event that an edited index hides from a search: the index does not hold what its table does", async () => {
    // The index is emptied as a file would be: its root page is another, empty index's.
    sql("CREATE INDEX decoy ON audit_events (user_id) WHERE seq < 0");
    const db = new DatabaseSync(join(state, "cofferdam.db"));
    const root = db.prepare("SELECT rootpage FROM sqlite_master WHERE name = 'decoy'").get()?.["rootpage"];
    db.close();
    sql(
      "PRAGMA writable_schema = ON",
      `UPDATE sqlite_master SET rootpage = ${Number(root)} WHERE name = 'audit_events_user'`,
      "DELETE FROM sqlite_master WHERE name = 'decoy'",
    );
    expect(await withLog((audit) => audit.search({ userId: "u1" }))).toEqual([]);
    expect((await verify()).errors).toContainEqual(expect.objectContaining({ kind: "schema", detail: expect.stringMatching(/audit_events/) }));
  });
});

describe("complete: everything written again, with every hash right and signed with the log's own key", () => {
  /** Another history of the same log, made with the program itself. */
  async function rewrite(events: number): Promise<void> {
    const forged = join(base, "forged");
    const log = (() => {
      const db = new DatabaseSync(join(state, "cofferdam.db"));
      const row = db.prepare("SELECT log_id, public_key FROM audit_log").get();
      db.close();
      return { logId: String(row?.["log_id"]), publicKey: String(row?.["public_key"]) };
    })();
    await withLog(async () => undefined, forged);
    cpSync(join(state, "keys"), join(forged, "keys"), { recursive: true });
    const db = new DatabaseSync(join(forged, "cofferdam.db"));
    db.prepare("UPDATE audit_log SET log_id = ?, public_key = ?").run(log.logId, log.publicKey);
    db.close();
    const { genesisHash } = await import("../../src/audit/chain.ts");
    new HeadFile(join(forged, "checkpoints", "head"), "AUDIT_UNAVAILABLE").create({
      logId: log.logId,
      seq: 0,
      hash: genesisHash(log.logId, log.publicKey).toString("hex"),
    });
    await fill(events, forged, 1000);
    await withLog((audit) => audit.checkpoint(), forged);
    renameSync(state, `${state}.old`);
    renameSync(forged, state);
  }

  test.each([EVENTS, EVENTS + 10])("with %d events: the log agrees with itself, and only what is from outside tells", async (events) => {
    await rewrite(events);
    expect(await verify()).toMatchObject({ verified: events, failed: 0, anchored: false });
    expect(await verify(outside())).toMatchObject({ anchored: false, errors: [{ kind: "fork", seq: EVENTS }], sound: undefined });
  });

  test("with fewer events", async () => {
    await rewrite(EVENTS - 10);
    expect(await verify()).toMatchObject({ failed: 0, anchored: false });
    expect(await verify(outside())).toMatchObject({ anchored: false, errors: [{ kind: "size", seq: EVENTS }] });
  });

  test("with another key: the pinned one did not sign", async () => {
    rmSync(state, { recursive: true });
    await fill(EVENTS);
    await withLog((audit) => audit.checkpoint());
    expect(await verify()).toMatchObject({ failed: 0 });
    expect(await verify({ keys: [key] })).toMatchObject({ errors: [{ kind: "signature" }] });
    await expect(verify({ checkpoints: [kept.note] })).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });

  test("everything deleted: a new log has nothing to do with the kept checkpoint", async () => {
    rmSync(state, { recursive: true });
    expect(await withLog((audit) => audit.verify({}))).toMatchObject({ size: 0, failed: 0 });
    expect(await verify(outside())).toMatchObject({ anchored: false, errors: [{ kind: expect.stringMatching(/size|fork/) }] });
  });
});

describe("copies of the whole state directory", () => {
  test("rolled back to an older copy: whole in itself, smaller than what was kept since", async () => {
    cpSync(state, `${state}.old`, { recursive: true });
    await fill(5);
    kept = await withLog((audit) => audit.checkpoint());
    rmSync(state, { recursive: true });
    renameSync(`${state}.old`, state);
    expect(await verify()).toMatchObject({ failed: 0, size: EVENTS });
    expect(await verify(outside())).toMatchObject({ errors: [{ kind: "size", seq: EVENTS + 5 }] });
  });

  test("forked: two copies go on with different events; each fits what it signed, and not what the other did", async () => {
    const twin = `${state}.twin`;
    cpSync(state, twin, { recursive: true });
    await fill(5, state, 100);
    await fill(5, twin, 200);
    const [mine, theirs] = [await withLog((audit) => audit.checkpoint()), await withLog((audit) => audit.checkpoint(), twin)];
    expect(mine.size).toBe(theirs.size);
    expect(await verify({ checkpoints: [kept.note, mine.note] })).toMatchObject({ failed: 0, anchored: true });
    expect(await verify({ checkpoints: [theirs.note] })).toMatchObject({ anchored: false, errors: [{ kind: "fork", seq: EVENTS + 5 }] });
    // The common past still is what was kept.
    expect(await verify({ checkpoints: [kept.note, theirs.note] })).toMatchObject({
      anchored: true,
      errors: [{ kind: "fork" }],
      sound: { from: 1, to: EVENTS },
    });
  });

  test("two writers on one log and one on a copy of its database: the head file tells the copy", async () => {
    cpSync(join(state, "cofferdam.db"), join(base, "old.db"));
    await Promise.all([fill(20), fill(20)]);
    expect(await verify(outside())).toMatchObject({ failed: 0, size: EVENTS + 40, anchored: true });
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(state, `cofferdam.db${suffix}`), { force: true });
    cpSync(join(base, "old.db"), join(state, "cofferdam.db"));
    await expect(fill(1)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });
});

describe("single bits", () => {
  /** What a reader gets: every event as text, or that the log cannot be read. */
  const content = (): Promise<string> => withLog((audit) => audit.export({}, "json")).catch(() => "unreadable");

  test("property: a flipped bit of the database is found, or changes nothing that anybody reads", async () => {
    const path = join(state, "cofferdam.db");
    const whole = readFileSync(path);
    const before = await content();
    sql("PRAGMA wal_checkpoint(TRUNCATE)");
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), async (at, bit) => {
        for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
        const flipped = Buffer.from(whole);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        writeFileSync(path, flipped);
        const verdict = await verify(outside()).then(
          ({ failed }) => (failed === 0 ? "whole" : "found"),
          // An error of a kind that says so is a verdict as well.
          (error: unknown) => (error instanceof Error && "code" in error ? "found" : "crashed"),
        );
        expect(verdict).not.toBe("crashed");
        if (verdict === "whole") expect(await content()).toBe(before);
      }),
      { numRuns: 120 },
    );
  }, 120_000);

  test("property: a flipped bit of the write-ahead log is found, or changes nothing that anybody reads", async () => {
    const wal = join(state, "cofferdam.db-wal");
    // As a killed process leaves it: a copy while the log is open.
    const copy = `${state}.live`;
    await withLog(async (audit) => {
      for (let i = 0; i < 30; i++) await audit.log({ category: "test", action: "late", result: "success", details: { i } });
      cpSync(state, copy, { recursive: true });
    });
    rmSync(state, { recursive: true });
    renameSync(copy, state);
    rmSync(`${wal.slice(0, -4)}-shm`, { force: true });
    const [whole, database] = [readFileSync(wal), readFileSync(join(state, "cofferdam.db"))];
    expect(statSync(wal).size).toBeGreaterThan(100_000);
    const before = await content();
    let found = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), async (at, bit) => {
        rmSync(`${wal.slice(0, -4)}-shm`, { force: true });
        writeFileSync(join(state, "cofferdam.db"), database);
        const flipped = Buffer.from(whole);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        writeFileSync(wal, flipped);
        const verdict = await verify(outside()).then(
          ({ failed }) => (failed === 0 ? "whole" : "found"),
          (error: unknown) => (error instanceof Error && "code" in error ? "found" : "crashed"),
        );
        expect(verdict).not.toBe("crashed");
        if (verdict === "found") found += 1;
        else expect(await content()).toBe(before);
      }),
      { numRuns: 60 },
    );
    expect(found).toBeGreaterThan(0);
  }, 120_000);
});

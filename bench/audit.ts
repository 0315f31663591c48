/**
 * The audit trail against what it stands on: the same rows and indexes written by a bare node:sqlite loop, and a plain file
 * with fdatasync. Events of about 500 bytes; 64 in flight, as a busy process has them.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AuditLogger } from "../dist/audit/index.js";
import { AUDIT_MIGRATIONS } from "../dist/audit/schema.js";
import { interleaved, print } from "./measure.ts";

const EVENTS = 40_000;
const IN_FLIGHT = 64;
const note = "x".repeat(180);
const rate = (ms: number): number => EVENTS / (ms / 1000);
const latencies: number[] = [];
const verified: number[] = [];
const hashed: number[] = [];
const deep: number[] = [];

function inFolder<T>(work: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-bench-audit-"));
  const done = (): void => rmSync(directory, { recursive: true });
  const result = work(directory);
  if (result instanceof Promise) void result.finally(done);
  else done();
  return result;
}

/** Durable appends, and what it takes to verify them. */
const ours = (): Promise<number> =>
  inFolder(async (directory) => {
    await using audit = new AuditLogger({ storage: { directory } });
    await audit.initialize();
    let next = 0;
    const started = performance.now();
    const caller = async (): Promise<void> => {
      for (let i = next++; i < EVENTS; i = next++) {
        const asked = performance.now();
        await audit.log({
          category: "bench",
          action: `append_${i % 7}`,
          result: i % 50 === 0 ? "failure" : "success",
          userId: `user-${i % 500}`,
          sessionId: `run_${Math.floor(i / 40)}`,
          resourceType: "project",
          resourceId: `/srv/projects/p${i % 3000}`,
          details: { i, note },
        });
        latencies.push(performance.now() - asked);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
    const appended = performance.now();
    written = rowsOf(directory);
    const read = performance.now();
    await audit.verify({});
    const whole = performance.now();
    await audit.verify({ indexes: false });
    const texts = performance.now();
    await audit.verify({ indexes: false, deep: true });
    verified.push(rate(whole - read));
    hashed.push(rate(texts - whole));
    deep.push(rate(performance.now() - texts));
    return rate(appended - started);
  });

interface WrittenRow {
  readonly seq: number;
  readonly body: string;
  readonly leaf: Uint8Array;
  readonly hash: Uint8Array;
}

/** What a run of ours wrote. */
let written: readonly WrittenRow[] = [];

function rowsOf(directory: string): WrittenRow[] {
  const db = new DatabaseSync(join(directory, "cofferdam.db"), { readOnly: true });
  const rows = db.prepare("SELECT seq, body, leaf, hash FROM audit_events ORDER BY seq").all();
  db.close();
  const bytes = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : new Uint8Array());
  return rows.map(({ seq, body, leaf, hash }) => ({ seq: Number(seq), body: String(body), leaf: bytes(leaf), hash: bytes(hash) }));
}

/** The very rows that ours wrote, in the same tables and indexes, ready before the clock starts; nothing hashed, linked, acknowledged or signed. */
const rows = async (): Promise<number> =>
  inFolder((directory) => {
    const db = new DatabaseSync(join(directory, "x.db"));
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    for (const sql of AUDIT_MIGRATIONS.flatMap((migration) => migration.sql)) if (sql.includes("audit_events")) db.exec(sql);
    const insert = db.prepare("INSERT INTO audit_events (seq, body, leaf, hash) VALUES (?, ?, ?, ?)");
    const started = performance.now();
    for (let at = 0; at < written.length; at += IN_FLIGHT) {
      db.exec("BEGIN IMMEDIATE");
      for (const { seq, body, leaf, hash } of written.slice(at, at + IN_FLIGHT)) insert.run(seq, body, leaf, hash);
      db.exec("COMMIT");
    }
    const ms = performance.now() - started;
    db.close();
    return rate(ms);
  });

const file = async (): Promise<number> =>
  inFolder((directory) => {
    const fd = openSync(join(directory, "x.log"), "a");
    const started = performance.now();
    for (let at = 0; at < written.length; at += IN_FLIGHT) {
      const lines = written.slice(at, at + IN_FLIGHT).map(({ body }) => `${body}\n`);
      writeSync(fd, lines.join(""));
      fdatasyncSync(fd);
    }
    const ms = performance.now() - started;
    closeSync(fd);
    return rate(ms);
  });

const [append = 0, bare = 0, plain = 0] = await interleaved(
  [
    { name: "ours", run: ours },
    { name: "bare rows", run: rows },
    { name: "plain file", run: file },
  ],
  5,
);
const sorted = (values: number[]): number[] => values.sort((a, b) => a - b);
const p99 = sorted(latencies)[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
print({
  name: `audit-append, ${IN_FLIGHT} in flight, vs the same SQLite rows`,
  ours: append,
  peer: bare,
  unit: "events/s",
  goal: { kind: "at-least", ratio: 0.6 },
});
print({ name: "audit-append vs 20,000/s", ours: append, peer: 20_000, unit: "events/s", goal: { kind: "at-least", ratio: 1 } });
print({ name: "audit-append vs a plain file with fdatasync", ours: append, peer: plain, unit: "events/s" });
print({ name: "audit-append p99 vs 20 ms", ours: p99, peer: 20, unit: "ms", goal: { kind: "at-most", ratio: 1 } });
print({
  name: "audit-verify, indexes included, vs 60,000/s",
  ours: sorted(verified)[2] ?? 0,
  peer: 60_000,
  unit: "events/s",
  goal: { kind: "at-least", ratio: 1 },
});
print({ name: "audit-verify deep vs 25,000/s", ours: sorted(deep)[2] ?? 0, peer: 25_000, unit: "events/s", goal: { kind: "at-least", ratio: 1 } });

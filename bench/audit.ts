/** The audit trail: appends and verification against bare SQLite rows of the same size. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AuditLogger } from "../dist/audit/index.js";
import { interleaved, print } from "./measure.ts";

const EVENTS = 9000;
const note = "x".repeat(300);
const rate = (ms: number): number => EVENTS / (ms / 1000);
let verifyRate: number[] = [];

async function ours(): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-bench-audit-"));
  const audit = new AuditLogger({ storage: { directory } });
  await audit.initialize();
  const started = performance.now();
  await Promise.all(Array.from({ length: EVENTS }, (_, i) => audit.log({ category: "bench", action: "append", result: "success", details: { i, note } })));
  const appended = performance.now();
  await audit.verifyIntegrity();
  verifyRate = [...verifyRate, rate(performance.now() - appended)];
  await audit.close();
  rmSync(directory, { recursive: true });
  return rate(appended - started);
}

async function rows(): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-bench-rows-"));
  const db = new DatabaseSync(join(directory, "x.db"));
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (seq INTEGER PRIMARY KEY, body TEXT)");
  const insert = db.prepare("INSERT INTO t VALUES (?, ?)");
  const started = performance.now();
  for (let at = 0; at < EVENTS; at += 512) {
    db.exec("BEGIN");
    for (let i = at; i < Math.min(at + 512, EVENTS); i++)
      insert.run(i, JSON.stringify({ category: "bench", action: "append", result: "success", details: { i, note } }));
    db.exec("COMMIT");
  }
  const ms = performance.now() - started;
  db.close();
  rmSync(directory, { recursive: true });
  return rate(ms);
}

const [append = 0, bare = 0] = await interleaved(
  [
    { name: "ours", run: ours },
    { name: "bare rows", run: rows },
  ],
  5,
);
print({ name: "audit-append vs bare SQLite rows", ours: append, peer: bare, unit: "events/s" });
print({ name: "audit-verify vs audit-append", ours: verifyRate.sort((a, b) => a - b)[2] ?? 0, peer: append, unit: "events/s" });

/** Makes a log of many events fast: the same tables, texts, hashes and tree as the program writes, in bulk and without waiting for the disk. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { chainHash, genesisHash, leafHash } from "../dist/audit/chain.js";
import { AuditLogger } from "../dist/audit/index.js";
import { FANOUT, joined } from "../dist/audit/tree.js";
import { HeadFile } from "../dist/store/index.js";

interface TimedHash {
  readonly hash: Buffer;
  readonly low: string;
  readonly high: string;
}

const BATCH = 20_000;
/** One event every four seconds of 2026 and after: ten million are 463 days. */
const STEP = 4000;
const START = Date.UTC(2026, 0, 1);
export const CATEGORIES = ["packages", "scripts", "jobs", "rbac", "secrets", "network"] as const;

/** About 500 bytes each, in canonical form. What is rare in them is named in {@link rarities}. */
export function bodyOf(seq: number, logId: string): string {
  const at = new Date(START + seq * STEP).toISOString();
  const kind = (seq * 7919) % 30;
  const category = CATEGORIES[kind % CATEGORIES.length] ?? "packages";
  const note = `resolved ${(seq * 2_654_435_761) % 1_000_003} of the set, ${"abcdefghijklmnopqrstuvwxyz".slice(kind % 20)} ${"lorem ipsum dolor sit amet ".repeat(4)}`;
  const user = seq % 1_000_000 === 500_000 ? "rare" : `user-${(seq * 104_729) % 500}`;
  const result = seq % 53 === 0 ? "failure" : "success";
  const id = `evt_${(START + seq * STEP).toString(36).padStart(10, "0")}${String(seq).padStart(16, "0")}`;
  return `{"action":"action_${kind}","category":"${category}","details":{"note":"${note}","step":${seq % 40}},"id":"${id}","logId":"${logId}","resourceId":"/srv/projects/p${(seq * 31) % 5000}","resourceType":"project","result":"${result}","salt":"${randomBytes(16).toString("hex")}","schemaVersion":1,"seq":${seq},"sessionId":"run_${Math.floor(seq / 40)}","timestamp":"${at}","userId":"${user}"}`;
}

/** Fills an empty state directory. @returns seconds that it took. */
export async function makeLog(directory: string, events: number): Promise<number> {
  if (existsSync(join(directory, "cofferdam.db"))) return 0;
  mkdirSync(directory, { recursive: true });
  await using audit = new AuditLogger({ storage: { directory } });
  await audit.initialize();
  const started = performance.now();
  const db = new DatabaseSync(join(directory, "cofferdam.db"));
  db.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA wal_autocheckpoint = 100000");
  const indexes = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'audit_events' AND sql IS NOT NULL").all();
  for (const { name } of indexes) db.exec(`DROP INDEX ${String(name)}`);
  const row = db.prepare("SELECT log_id, public_key FROM audit_log").get();
  const log = { logId: String(row?.["log_id"]), publicKey: String(row?.["public_key"]) };
  const insert = db.prepare("INSERT INTO audit_events (seq, body, leaf, hash) VALUES (?, ?, ?, ?)");
  const node = db.prepare("INSERT INTO audit_nodes (level, idx, hash, low, high) VALUES (?, ?, ?, ?, ?)");
  const levels: { pending: TimedHash[]; next: number }[] = [];
  const add = (level: number, child: TimedHash): void => {
    const at = levels[level] ?? { pending: [], next: 0 };
    levels[level] = at;
    at.pending.push(child);
    if (at.pending.length < FANOUT) return;
    const above = joined(at.pending);
    node.run(level + 1, at.next, above.hash, above.low, above.high);
    at.pending = [];
    at.next += 1;
    add(level + 1, above);
  };
  let previous = genesisHash(log.logId, log.publicKey);
  for (let seq = 1; seq <= events; seq++) {
    if (seq % BATCH === 1) db.exec("BEGIN");
    const body = bodyOf(seq, log.logId);
    const leaf = leafHash(body);
    previous = chainHash(previous, leaf);
    insert.run(seq, body, leaf, previous);
    const time = new Date(START + seq * STEP).toISOString();
    add(0, { hash: leaf, low: time, high: time });
    if (seq % BATCH === 0 || seq === events) db.exec("COMMIT");
  }
  for (const { sql } of indexes) db.exec(String(sql));
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
  new HeadFile(join(directory, "checkpoints", "head"), "AUDIT_UNAVAILABLE").create({ logId: log.logId, seq: events, hash: previous.toString("hex") });
  return (performance.now() - started) / 1000;
}

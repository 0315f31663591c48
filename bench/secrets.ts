/**
 * Secrets: values sealed a second in memory; one read of the file backend, with and without its record in the trail; one change of
 * it. Peers in the same run: AES-256-GCM of node:crypto with one key and no binding, and the same rows in SQLite without any of ours.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AuditLogger } from "../dist/audit/index.js";
import { SecretManagementSystem } from "../dist/secrets/index.js";
import { sealValue } from "../dist/secrets/sealing/envelope.js";
import { newMasterKey } from "../dist/secrets/sealing/master-key.js";
import { SqliteStore } from "../dist/store/index.js";
import { interleaved, median, print, printLimit, timed } from "./measure.ts";

const ROUNDS = 5;
const SEALS = 20_000;
const READS = 400;
const CHANGES = 100;
const SECRETS = 200;
const value = randomBytes(64);
const rate = (times: number, ms: number): number => times / (ms / 1000);

/** Processor time of synchronous work, ms: what others do on the machine meanwhile is not ours. */
function processorTime(work: () => void): number {
  const from = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
}

async function seals(): Promise<number> {
  const [master, said] = [newMasterKey(), randomBytes(32)];
  const ms = processorTime(() => {
    for (let version = 1; version <= SEALS; version++) sealValue(master, { storeId: "sec_1", secretId: "npm/publish", version }, said, value);
  });
  return rate(SEALS, ms);
}

async function plainSeals(): Promise<number> {
  const key = randomBytes(32);
  return rate(
    SEALS,
    processorTime(() => {
      for (let i = 0; i < SEALS; i++) plainSeal(key);
    }),
  );
}

function plainSeal(key: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  return Buffer.concat([nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
}

function plainOpen(key: Uint8Array, box: Uint8Array): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, box.subarray(0, 12));
  decipher.setAuthTag(box.subarray(-16));
  return Buffer.concat([decipher.update(box.subarray(12, -16)), decipher.final()]);
}

interface Opened {
  readonly secrets: SecretManagementSystem;
}

/** Runs work on a file backend with its secrets. @param recorded in a trail of the same database, as the command line has it. */
async function withSecrets(recorded: boolean, work: (opened: Opened) => Promise<number>): Promise<number> {
  const stateDir = mkdtempSync(join(tmpdir(), "cofferdam-bench-secrets-"));
  try {
    await using store = new SqliteStore({ path: join(stateDir, "cofferdam.db") });
    await using audit = new AuditLogger({ store, storage: { directory: stateDir }, checkpoint: { events: 1_000_000, interval: 1e9 } });
    await audit.initialize();
    const jobs = { find: async (jobId: string) => ({ jobId, active: true, repository: "acme/web" }) };
    await using secrets = new SecretManagementSystem({ stateDir, store, jobs, ...(recorded ? { audit } : {}) });
    await secrets.initialize();
    for (let i = 0; i < SECRETS; i++) await secrets.storeSecret(`team/secret-${i}`, value, { allow: { repositories: ["acme/*"] } });
    return await work({ secrets });
  } finally {
    rmSync(stateDir, { recursive: true });
  }
}

/** @returns the median of single reads, ms. */
async function reads({ secrets }: Opened): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < READS; i++) times.push(await timed(() => secrets.retrieveSecret(`team/secret-${i % SECRETS}`, { userId: "alice", jobId: "job1" })));
  return median(times);
}

async function changes({ secrets }: Opened): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) times.push(await timed(() => secrets.rotateSecret(`team/secret-${i}`, value)));
  return median(times);
}

/** The same rows, a value under one key, one commit a change; a read is one row and one decryption. */
async function plain(kind: "read" | "change"): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-bench-plain-"));
  const database = new DatabaseSync(join(folder, "x.db"));
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (id TEXT PRIMARY KEY, body TEXT, sealed BLOB)");
    const key = randomBytes(32);
    const put = database.prepare("INSERT INTO t VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed");
    const get = database.prepare("SELECT body, sealed FROM t WHERE id = ?");
    for (let i = 0; i < SECRETS; i++) put.run(`team/secret-${i}`, "x".repeat(400), plainSeal(key));
    const times: number[] = [];
    for (let i = 0; i < (kind === "read" ? READS : CHANGES); i++) {
      const id = `team/secret-${i % SECRETS}`;
      times.push(
        await timed(() => {
          if (kind === "change") return put.run(id, "x".repeat(400), plainSeal(key));
          const sealed = get.get(id)?.["sealed"];
          return sealed instanceof Uint8Array ? plainOpen(key, sealed) : undefined;
        }),
      );
    }
    return median(times);
  } finally {
    database.close();
    rmSync(folder, { recursive: true });
  }
}

const [ours = 0, bare = 0, read = 0, recorded = 0, change = 0, plainRead = 0, plainChange = 0] = await interleaved(
  [
    { name: "seals", run: seals },
    { name: "plain seals", run: plainSeals },
    { name: "reads", run: () => withSecrets(false, reads) },
    { name: "reads on record", run: () => withSecrets(true, reads) },
    { name: "changes on record", run: () => withSecrets(true, changes) },
    { name: "plain reads", run: () => plain("read") },
    { name: "plain changes", run: () => plain("change") },
  ],
  ROUNDS,
);
print({
  name: "secrets-seal of 64 bytes in memory, processor time, vs 20,000 a second",
  ours,
  peer: 20_000,
  unit: "seals/s",
  goal: { kind: "at-least", ratio: 1 },
});
print({ name: "secrets-seal, vs AES-256-GCM with one key and no binding", ours, peer: bare, unit: "seals/s" });
printLimit({ name: "secrets-retrieve, file backend, p50 without the record", ours: 1000 * read, unit: "us", most: 200 });
printLimit({ name: "secrets-retrieve, file backend, p50 with the record committed", ours: 1000 * recorded, unit: "us", most: 1000 });
print({ name: "secrets-retrieve without the record, vs one row and one decryption", ours: 1000 * read, peer: 1000 * plainRead, unit: "us" });
print({ name: "secrets-rotate, durable and on record, vs one commit", ours: change, peer: plainChange, unit: "ms" });

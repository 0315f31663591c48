/**
 * Whether the database still has the tables, the computed columns and the indexes that this program made, and nothing
 * besides, and whether every index holds what its table does. SQLite's own catalogue and check; another backend asks its own.
 */
import { messageOf } from "../foundation/index.ts";
import type { Transaction } from "../store/index.ts";
import type { AuditFault } from "./faults.ts";
import { AUDIT_MIGRATIONS } from "./schema.ts";

const TABLES = ["audit_events", "audit_nodes", "audit_checkpoints", "audit_subjects", "audit_log"] as const;

/** @param indexes also read every index against its table, which takes a few microseconds an event. */
export async function schemaFaults(tx: Transaction, indexes: boolean): Promise<AuditFault[]> {
  const faults: AuditFault[] = [];
  const fault = (detail: string): void => {
    faults.push({ seq: 0, kind: "schema", detail });
  };
  const expected = new Map<string, string>();
  for (const sql of AUDIT_MIGRATIONS.flatMap((migration) => migration.sql)) {
    const name = /^CREATE (?:TABLE|(?:UNIQUE )?INDEX) (\w+)/.exec(sql)?.[1];
    if (name !== undefined) expected.set(name, sql);
  }
  for (const row of await tx.all("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND (name LIKE 'audit%' OR tbl_name LIKE 'audit%')")) {
    const name = String(row["name"]);
    const known = expected.get(name);
    if (known === undefined) fault(`${name.slice(0, 100)} is not of this program: it can change what is written or found`);
    else if (row["sql"] !== known) fault(`${name} is defined in another way than this program does it`);
    expected.delete(name);
  }
  for (const name of expected.keys()) fault(`${name} is missing`);
  if (!indexes || faults.length > 0) return faults;
  for (const table of TABLES) for (const message of await integrityMessages(tx, table)) fault(`${table}: ${message}`);
  return faults;
}

async function integrityMessages(tx: Transaction, table: string): Promise<string[]> {
  try {
    const rows = await tx.all(`PRAGMA integrity_check(${table})`);
    return rows.map((row) => String(row["integrity_check"]).slice(0, 200)).filter((message) => message !== "ok");
  } catch (error) {
    return [messageOf(error).slice(0, 200)];
  }
}

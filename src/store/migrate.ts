/** Schema versions by room, with a guard against running an old program on a new database. */
import { CofferdamError } from "../foundation/index.ts";
import type { Migration, Store, Transaction } from "./store.ts";

/** Shared by the backends: applies what is missing, in order, in one transaction. */
export async function applyMigrations(store: Pick<Store, "read" | "write">, room: string, migrations: readonly Migration[]): Promise<void> {
  // The usual case, nothing to do, costs one read and no lock.
  if ((await store.read((tx) => currentVersion(tx, room))) === migrations.length) return;
  await store.write(async (tx) => {
    await tx.run("CREATE TABLE IF NOT EXISTS schema_versions (room TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (room, version))");
    const version = await currentVersion(tx, room);
    if (version > migrations.length) {
      throw new CofferdamError("FAILED_PRECONDITION", `the database has version ${version} of ${room}, this program knows ${migrations.length}`, {
        hint: "run the newer cofferdam, or give this one another state directory (--state)",
      });
    }
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      for (const sql of migration.sql) await tx.run(sql);
      await tx.run("INSERT INTO schema_versions (room, version, name) VALUES (?, ?, ?)", [room, index + 1, migration.name]);
    }
  });
}

async function currentVersion(tx: Transaction, room: string): Promise<number> {
  try {
    const row = await tx.get("SELECT max(version) AS version FROM schema_versions WHERE room = ?", [room]);
    return Number(row?.["version"] ?? 0);
  } catch (error) {
    // The first open of all: there is no such table yet. Any other failure will show again in the write.
    if (error instanceof Error && /schema_versions/.test(error.message)) return 0;
    throw error;
  }
}

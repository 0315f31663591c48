/** Sealed secrets in the Store, the database of the state directory. */
import type { Migration, Row, SqlValue, Store, Transaction } from "../../store/index.ts";
import type { Envelope } from "../sealing/envelope.ts";
import type { KeptValue, NamedText, RowsEdit, RowsView, SecretRows, SignedText } from "./rows.ts";

const MIGRATIONS: readonly Migration[] = [
  {
    name: "secrets",
    sql: [
      "CREATE TABLE secret_store (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL, tag BLOB NOT NULL)",
      "CREATE TABLE secrets (secret_id TEXT PRIMARY KEY, deleted INTEGER NOT NULL, body TEXT NOT NULL, tag BLOB NOT NULL)",
      `CREATE TABLE secret_values (
        secret_id TEXT NOT NULL REFERENCES secrets (secret_id), version BIGINT NOT NULL, key_id TEXT NOT NULL, wrapped BLOB NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY (secret_id, version))`,
      "CREATE INDEX secret_values_key ON secret_values (key_id)",
    ],
  },
];

export class SqlRows implements SecretRows {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async initialize(): Promise<void> {
    await this.#store.migrate("secrets", MIGRATIONS);
  }

  async read<T>(work: (rows: RowsView) => Promise<T>): Promise<T> {
    return await this.#store.read((tx) => work(new SqlEdit(tx)));
  }

  async write<T>(work: (rows: RowsEdit) => Promise<T>): Promise<T> {
    return await this.#store.write((tx) => work(new SqlEdit(tx)));
  }

  /** The store is whoever's it was. */
  async close(): Promise<void> {
    await Promise.resolve();
  }
}

class SqlEdit implements RowsEdit {
  readonly #tx: Transaction;

  constructor(tx: Transaction) {
    this.#tx = tx;
  }

  async store(): Promise<SignedText | undefined> {
    return signed(await this.#tx.get("SELECT body, tag FROM secret_store WHERE one = 1"));
  }

  async record(secretId: string): Promise<SignedText | undefined> {
    return signed(await this.#tx.get("SELECT body, tag FROM secrets WHERE secret_id = ?", [secretId]));
  }

  async *records(): AsyncGenerator<NamedText> {
    for await (const row of this.#tx.iterate("SELECT secret_id, deleted, body, tag FROM secrets"))
      yield { secretId: text(row["secret_id"]), deleted: row["deleted"] === 1, body: text(row["body"]), tag: bytes(row["tag"]) };
  }

  async countRecords(): Promise<number> {
    return Number((await this.#tx.get("SELECT count(*) AS n FROM secrets"))?.["n"] ?? 0);
  }

  async value(secretId: string, version: number): Promise<Envelope | undefined> {
    const row = await this.#tx.get("SELECT key_id, wrapped, sealed FROM secret_values WHERE secret_id = ? AND version = ?", [secretId, version]);
    return row === undefined ? undefined : { keyId: text(row["key_id"]), wrapped: bytes(row["wrapped"]), sealed: bytes(row["sealed"]) };
  }

  async ids(after: string | undefined, limit: number): Promise<readonly string[]> {
    const rows = await this.#tx.all("SELECT secret_id FROM secrets WHERE deleted = 0 AND secret_id > ? ORDER BY secret_id LIMIT ?", [after ?? "", limit]);
    return rows.map((row) => text(row["secret_id"]));
  }

  async notUnder(keyId: string, limit: number): Promise<readonly KeptValue[]> {
    const rows = await this.#tx.all("SELECT secret_id, version, key_id, wrapped FROM secret_values WHERE key_id <> ? LIMIT ?", [keyId, limit]);
    return rows.map((row) => ({
      secretId: text(row["secret_id"]),
      version: Number(row["version"]),
      keyId: text(row["key_id"]),
      wrapped: bytes(row["wrapped"]),
    }));
  }

  async saveStore({ body, tag }: SignedText): Promise<void> {
    await this.#tx.run("INSERT INTO secret_store (one, body, tag) VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET body = excluded.body, tag = excluded.tag", [
      body,
      tag,
    ]);
  }

  async saveRecord(secretId: string, deleted: boolean, { body, tag }: SignedText): Promise<void> {
    await this.#tx.run(
      "INSERT INTO secrets (secret_id, deleted, body, tag) VALUES (?, ?, ?, ?) ON CONFLICT (secret_id) DO UPDATE SET deleted = excluded.deleted, body = excluded.body, tag = excluded.tag",
      [secretId, deleted ? 1 : 0, body, tag],
    );
  }

  async addValue(secretId: string, version: number, { keyId, wrapped, sealed }: Envelope): Promise<void> {
    await this.#tx.run("INSERT INTO secret_values (secret_id, version, key_id, wrapped, sealed) VALUES (?, ?, ?, ?, ?)", [
      secretId,
      version,
      keyId,
      wrapped,
      sealed,
    ]);
  }

  async rewrapValue(secretId: string, version: number, keyId: string, wrapped: Uint8Array): Promise<void> {
    await this.#tx.run("UPDATE secret_values SET key_id = ?, wrapped = ? WHERE secret_id = ? AND version = ?", [keyId, wrapped, secretId, version]);
  }

  async dropValues(secretId: string, versions: readonly number[]): Promise<void> {
    for (const version of versions) await this.#tx.run("DELETE FROM secret_values WHERE secret_id = ? AND version = ?", [secretId, version]);
  }
}

function signed(row: Row | undefined): SignedText | undefined {
  return row === undefined ? undefined : { body: text(row["body"]), tag: bytes(row["tag"]) };
}

/** What is of another kind was not written by us, and proves nothing. */
function text(value: SqlValue | undefined): string {
  return typeof value === "string" ? value : "";
}

function bytes(value: SqlValue | undefined): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array();
}

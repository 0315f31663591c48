/** Small facts by namespace and key that rooms remember between runs: JSON text and when it was learnt. */
import type { Migration, Store } from "./store.ts";

const MIGRATIONS: readonly Migration[] = [
  {
    name: "facts",
    sql: ["CREATE TABLE facts (namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, learnt_at BIGINT NOT NULL, PRIMARY KEY (namespace, key))"],
  },
];

export class Facts {
  readonly #store: Store;
  readonly #namespace: string;

  constructor(store: Store, namespace: string) {
    this.#store = store;
    this.#namespace = namespace;
  }

  async initialize(): Promise<void> {
    await this.#store.migrate("facts", MIGRATIONS);
  }

  /** The JSON text of a fact, or undefined. */
  async get(key: string): Promise<string | undefined> {
    const row = await this.#store.read((tx) => tx.get("SELECT value FROM facts WHERE namespace = ? AND key = ?", [this.#namespace, key]));
    return typeof row?.["value"] === "string" ? row["value"] : undefined;
  }

  async put(key: string, json: string, now: number): Promise<void> {
    await this.#store.write((tx) =>
      tx.run(
        "INSERT INTO facts (namespace, key, value, learnt_at) VALUES (?, ?, ?, ?) ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, learnt_at = excluded.learnt_at",
        [this.#namespace, key, json, now],
      ),
    );
  }

  /** Reads and replaces a fact in one transaction. Returning undefined from `change` deletes it. */
  async update<T>(key: string, now: number, change: (before: string | undefined) => { readonly after: string | undefined; readonly result: T }): Promise<T> {
    return await this.#store.write(async (tx) => {
      const row = await tx.get("SELECT value FROM facts WHERE namespace = ? AND key = ?", [this.#namespace, key]);
      const { after, result } = change(typeof row?.["value"] === "string" ? row["value"] : undefined);
      await tx.run("DELETE FROM facts WHERE namespace = ? AND key = ?", [this.#namespace, key]);
      if (after !== undefined) await tx.run("INSERT INTO facts (namespace, key, value, learnt_at) VALUES (?, ?, ?, ?)", [this.#namespace, key, after, now]);
      return result;
    });
  }
}

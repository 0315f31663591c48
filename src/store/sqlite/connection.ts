/** One SQLite connection as a Transaction: prepared statements by their text, and pauses in long iterations. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setImmediate as otherWork } from "node:timers/promises";
import { CofferdamError } from "../../foundation/index.ts";
import type { Row, SqlValue, Transaction } from "../store.ts";

/** How long SQLite itself may block the thread, ms; longer waits are the store's, between tries. */
const BLOCKING_WAIT = 20;
/** Rows between two pauses of an iteration: node:sqlite is synchronous, and the event loop has other work. */
const ROWS_AT_ONCE = 256;

export class Connection implements Transaction {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #iterated = false;

  /** Throws what SQLite throws, "busy" included. */
  constructor(path: string, kind: "write" | "read" | "memory") {
    this.#db = new DatabaseSync(path, { readOnly: kind === "read", timeout: BLOCKING_WAIT, enableForeignKeyConstraints: true });
    try {
      // A view or trigger that somebody planted in the file may not call what has side effects.
      this.#db.exec("PRAGMA trusted_schema = OFF");
      if (kind === "write") this.#useWriteAheadLog();
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  #useWriteAheadLog(): void {
    const mode = this.#db.prepare("PRAGMA journal_mode = WAL").get();
    if (mode?.["journal_mode"] !== "wal") {
      throw new CofferdamError("ENVIRONMENT_UNFIT", "the file system of the state directory has no shared memory, which the write-ahead log needs", {
        hint: "put the state directory on a local file system (--state)",
      });
    }
    this.#db.exec("PRAGMA synchronous = FULL");
    // What is deleted is overwritten, from the first page on: texts that retention took away are not to be found in the file.
    this.#db.exec("PRAGMA secure_delete = ON");
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  /** Rows were taken one by one: a statement may not have come to its end. */
  get iterated(): boolean {
    return this.#iterated;
  }

  /** Work in the transaction that is open, undone alone when it fails. Throws only when SQLite has undone the whole of it. */
  async apart(work: () => Promise<unknown>, failed: (error: unknown) => void): Promise<void> {
    this.#db.exec("SAVEPOINT one");
    try {
      await work();
    } catch (error) {
      // On some errors (a full disk) nothing is left to go on with.
      if (!this.#db.isTransaction) throw error;
      this.#db.exec("ROLLBACK TO one");
      failed(error);
    }
    this.#db.exec("RELEASE one");
  }

  rollback(): void {
    // SQLite has already rolled back on some errors (a full disk); then there is nothing to undo.
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
  }

  async run(sql: string, params: readonly SqlValue[] = []): Promise<{ changes: number }> {
    return { changes: Number(this.#statement(sql).run(...params).changes) };
  }

  async get(sql: string, params: readonly SqlValue[] = []): Promise<Row | undefined> {
    return this.row(sql, params);
  }

  row(sql: string, params: readonly SqlValue[]): Row | undefined {
    return this.#statement(sql).get(...params);
  }

  async all(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return this.#statement(sql).all(...params);
  }

  async *iterate(sql: string, params: readonly SqlValue[] = []): AsyncGenerator<Row> {
    let rows = 0;
    this.#iterated = true;
    // A statement of its own: two iterations of the same text must not disturb each other.
    for (const row of this.#db.prepare(sql).iterate(...params)) {
      yield row;
      if (++rows % ROWS_AT_ONCE === 0) await otherWork();
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#db.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }
}

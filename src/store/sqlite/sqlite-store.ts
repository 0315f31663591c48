/**
 * Store on node:sqlite: write-ahead log, synchronous=FULL (a commit is on the disk), BEGIN IMMEDIATE for writers. Many
 * short-lived processes share one file; a writer that must wait does so without blocking its event loop.
 */
import { chmodSync, lstatSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Clock, CofferdamError, makeFolder, messageOf, systemClock, wrapError } from "../../foundation/index.ts";
import { applyMigrations } from "../migrate.ts";
import type { Migration, Row, SqlValue, Store, Transaction } from "../store.ts";

export interface SqliteOptions {
  /** Database file, or undefined for one in memory. */
  readonly path?: string | undefined;
  /** Longest wait for the turn to write, ms. Default 10,000. */
  readonly writeTimeout?: number;
  readonly clock?: Clock;
}

/** Longest wait for a database that another process is making or leaving, ms. */
const OPENING_WAIT = 5000;
/** How long SQLite itself may block the thread; longer waits are ours, between tries. */
const BLOCKING_WAIT = 20;

export class SqliteStore implements Store {
  readonly #path: string | undefined;
  readonly #writeTimeout: number;
  readonly #clock: Clock;
  #connection: Connection | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: SqliteOptions = {}) {
    this.#path = options.path;
    this.#writeTimeout = options.writeTimeout ?? 10_000;
    this.#clock = options.clock ?? systemClock;
  }

  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      const connection = this.#open();
      await this.#begin(connection);
      try {
        const result = await work(connection);
        connection.exec("COMMIT");
        return result;
      } catch (error) {
        connection.rollback();
        throw storeError(error);
      }
    });
  }

  async read<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    // A file gets a connection of its own for each read, so that a long export and the writer do not wait for each other.
    if (this.#path === undefined) return await this.#inTurn(() => work(this.#open()));
    this.#open();
    const connection = new Connection(this.#path, true);
    try {
      connection.exec("BEGIN");
      return await work(connection);
    } finally {
      connection.close();
    }
  }

  async migrate(room: string, migrations: readonly Migration[]): Promise<void> {
    await applyMigrations(this, room, migrations);
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      this.#closed = true;
      this.#connection?.close();
      this.#connection = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Writers of this process one after another; writers of other processes are waited for in #begin. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  #open(): Connection {
    if (this.#closed) throw new CofferdamError("NOT_INITIALIZED", "the store is closed");
    if (this.#connection !== undefined) return this.#connection;
    if (this.#path !== undefined) prepareFile(this.#path);
    try {
      this.#connection = new Connection(this.#path ?? ":memory:", false);
    } catch (error) {
      throw storeError(error);
    }
    if (this.#path !== undefined) chmodSync(this.#path, 0o600);
    return this.#connection;
  }

  async #begin(connection: Connection): Promise<void> {
    const deadline = this.#clock.monotonic() + this.#writeTimeout;
    for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
      try {
        connection.exec("BEGIN IMMEDIATE");
        return;
      } catch (error) {
        if (!/database is locked|busy/i.test(messageOf(error))) throw storeError(error);
        if (this.#clock.monotonic() > deadline) {
          throw new CofferdamError("DEADLINE_EXCEEDED", `another process has kept the database for ${this.#writeTimeout} ms`, {
            hint: "see who holds it: fuser on the database file",
            cause: error,
          });
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pause + Math.random() * pause));
    }
  }
}

class Connection implements Transaction {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string, readOnly: boolean) {
    // Opening and reading wait in SQLite itself: the file is locked for moments only, when it is made or a last user leaves.
    this.#db = new DatabaseSync(path, { readOnly, timeout: OPENING_WAIT, enableForeignKeyConstraints: true });
    if (!readOnly) this.#db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = ${BLOCKING_WAIT}`);
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  rollback(): void {
    // SQLite has already rolled back on some errors (a full disk); then there is nothing to undo.
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
  }

  async run(sql: string, params: readonly SqlValue[] = []): Promise<{ changes: number }> {
    return { changes: Number(this.#statement(sql).run(...params).changes) };
  }

  async get(sql: string, params: readonly SqlValue[] = []): Promise<Row | undefined> {
    return this.#statement(sql).get(...params);
  }

  async all(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return this.#statement(sql).all(...params);
  }

  async *iterate(sql: string, params: readonly SqlValue[] = []): AsyncGenerator<Row> {
    // A statement of its own: two iterations of the same text must not disturb each other.
    yield* this.#db.prepare(sql).iterate(...params);
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

/** SQLite's result codes that mean something to a user (sqlite.org/rescode.html); others pass as they are. */
function storeError(error: unknown): unknown {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : undefined;
  switch (code) {
    case 13:
      return new CofferdamError("RESOURCE_EXHAUSTED", "the disk of the state directory is full", {
        hint: "free space there, or move it with --state",
        cause: error,
      });
    case 11:
    case 26:
      return new CofferdamError("INTEGRITY_FAILURE", "the database of the state directory is damaged", {
        hint: "restore it from a copy, or start another state directory (--state)",
        cause: error,
      });
    case 8:
    case 10:
    case 14:
      return new CofferdamError("ENVIRONMENT_UNFIT", `the database of the state directory cannot be used: ${messageOf(error)}`, {
        hint: "cofferdam doctor",
        cause: error,
      });
    default:
      return error;
  }
}

function prepareFile(path: string): void {
  try {
    makeFolder(dirname(path), 0o700);
  } catch (error) {
    throw wrapError(error, "ENVIRONMENT_UNFIT", "the state directory cannot be made");
  }
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat !== undefined && !stat.isFile()) {
    throw new CofferdamError("FAILED_PRECONDITION", `the database is not a regular file: ${path}`, {
      hint: "a link there could make us write somebody else's file; remove it",
    });
  }
}

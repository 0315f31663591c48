/**
 * Store on node:sqlite: write-ahead log, synchronous=FULL (a commit is on the disk), BEGIN IMMEDIATE for writers. Many
 * short-lived processes share one file; a writer that must wait does so without blocking its event loop.
 */
import { type Clock, CofferdamError, newId, systemClock } from "../../foundation/index.ts";
import { applyMigrations } from "../migrate.ts";
import type { Lookup, Migration, Store, Transaction } from "../store.ts";
import { Connection } from "./connection.ts";
import { identityOf, prepareFile } from "./database-file.ts";
import { FileLookup } from "./file-lookup.ts";
import { isBusy, storeError } from "./sqlite-error.ts";

export interface SqliteOptions {
  /** Database file, or undefined for one in memory; in memory, each read works on a copy. */
  readonly path?: string | undefined;
  /** Longest wait for the turn to write, ms. Default 10,000. */
  readonly writeTimeout?: number;
  readonly clock?: Clock;
}

/** Writes that one transaction takes at most. */
const MOST_TOGETHER = 64;

/** A write that waits for its turn. */
interface Waiting {
  /** @returns what tells the caller, once it is on the disk. */
  run(tx: Transaction): Promise<() => void>;
  reject(error: unknown): void;
}

interface Opened {
  readonly connection: Connection;
  /** Which file it is, from {@link identityOf}. */
  readonly file: string | undefined;
  /** The same of the write-ahead log, which is there from the first transaction on. */
  log?: string | undefined;
}

export class SqliteStore implements Store {
  readonly #path: string | undefined;
  readonly #writeTimeout: number;
  readonly #clock: Clock;
  #opened: Opened | undefined;
  #everOpened = false;
  #idleReader: Opened | undefined;
  readonly #waiting: Waiting[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: SqliteOptions = {}) {
    this.#path = options.path;
    this.#writeTimeout = options.writeTimeout ?? 10_000;
    this.#clock = options.clock ?? systemClock;
  }

  /** Writes that wait at the same time share a commit, and its wait for the disk; each is undone alone when it fails. */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run = async (tx: Transaction): Promise<() => void> => {
        const result = await work(tx);
        return () => resolve(result);
      };
      this.#waiting.push({ run, reject });
      void this.#inTurn(() => this.#writeWaiting());
    });
  }

  async read<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    if (this.#closed) throw new CofferdamError("NOT_INITIALIZED", "the store is closed");
    const reader = await this.#reader();
    try {
      reader.connection.exec("BEGIN");
      return await work(reader.connection);
    } catch (error) {
      throw storeError(error);
    } finally {
      this.#giveBack(reader);
    }
  }

  lookup(sql: string): Lookup {
    const path = this.#path;
    const connect = async (): Promise<Connection> => {
      if (this.#closed) throw new CofferdamError("NOT_INITIALIZED", "the store is closed");
      return (await this.#reader()).connection;
    };
    if (path !== undefined) return new FileLookup({ path, sql, connect, whenFree: (attempt) => this.#whenFree(attempt) });
    // In memory there is one connection, and whoever writes has it.
    return { get: (params) => this.#inTurn(async () => (await this.#open()).connection.get(sql, params)), close: () => undefined };
  }

  async migrate(room: string, migrations: readonly Migration[]): Promise<void> {
    await applyMigrations(this, room, migrations);
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      this.#closed = true;
      this.#forget();
      this.#idleReader?.connection.close();
      this.#idleReader = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Writers of this process one after another; writers of other processes are waited for in #whenFree. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #writeWaiting(): Promise<void> {
    const together = this.#waiting.splice(0, MOST_TOGETHER);
    // An earlier turn may have taken them along.
    if (together.length === 0) return;
    try {
      for (const tell of await this.#commit(together)) tell();
    } catch (error) {
      for (const { reject } of together) reject(error);
    }
  }

  /** @returns what tells those whose work is on the disk now; those whose work failed have been told. */
  async #commit(together: readonly Waiting[]): Promise<readonly (() => void)[]> {
    const opened = await this.#open();
    const { connection } = opened;
    const done: (() => void)[] = [];
    try {
      await this.#whenFree(() => connection.exec("BEGIN IMMEDIATE"));
      opened.log ??= this.#logIdentity();
      for (const { run, reject } of together) {
        if (together.length === 1) done.push(await run(connection));
        else
          await connection.apart(
            async () => done.push(await run(connection)),
            (error) => reject(storeError(error)),
          );
      }
      connection.exec("COMMIT");
      // Had a file been unlinked or replaced before this moment, the commit went where nobody will find it.
      if (!this.#inPlace(opened)) throw replaced(this.#path);
      return done;
    } catch (error) {
      connection.rollback();
      throw storeError(error);
    }
  }

  /** Each read has a connection of its own, so that a long export and the writers do not wait for each other. */
  async #reader(): Promise<Opened> {
    const path = this.#path;
    if (path !== undefined) {
      if (this.#opened === undefined) await this.#inTurn(() => this.#open());
      const idle = this.#idleReader;
      this.#idleReader = undefined;
      if (idle !== undefined && this.#inPlace(idle)) return idle;
      idle?.connection.close();
      try {
        const file = identityOf(path);
        const log = this.#logIdentity();
        return { connection: await this.#whenFree(() => new Connection(path, "read")), file, log };
      } catch (error) {
        throw storeError(error);
      }
    }
    return await this.#inTurn(async () => {
      const { connection } = await this.#open();
      // SQLite's in-memory databases have locks instead of snapshots: a reader would stop the writers.
      const name = `file:/${newId("copy")}?vfs=memdb`;
      const copy = new Connection(name, "memory");
      connection.exec(`VACUUM INTO '${name}'`);
      return { connection: copy, file: undefined };
    });
  }

  /** One is kept for the next read, unless a statement of it may still stand in the middle of its rows, on the old snapshot. */
  #giveBack(reader: Opened): void {
    const { connection, file } = reader;
    connection.rollback();
    if (file === undefined || this.#closed || this.#idleReader !== undefined || connection.iterated) connection.close();
    else this.#idleReader = reader;
  }

  /** The connection, in the turn of the caller; opened again when another file has taken the place of the one that it is on. */
  async #open(): Promise<Opened> {
    if (this.#closed) throw new CofferdamError("NOT_INITIALIZED", "the store is closed");
    if (this.#opened !== undefined && !this.#inPlace(this.#opened)) this.#forget();
    try {
      this.#opened ??= await this.#connect();
      return this.#opened;
    } catch (error) {
      throw storeError(error);
    }
  }

  async #connect(): Promise<Opened> {
    const path = this.#path;
    if (path === undefined) return { connection: new Connection(":memory:", "memory"), file: undefined };
    // A file that disappears is not made again in silence: its rows would seem never to have been.
    if (this.#everOpened && identityOf(path) === undefined) throw replaced(path);
    prepareFile(path);
    const file = identityOf(path);
    const connection = await this.#whenFree(() => new Connection(path, "write"));
    this.#everOpened = true;
    return { connection, file };
  }

  #inPlace({ file, log }: Opened): boolean {
    return this.#path === undefined || (identityOf(this.#path) === file && (log === undefined || this.#logIdentity() === log));
  }

  #logIdentity(): string | undefined {
    return this.#path === undefined ? undefined : identityOf(`${this.#path}-wal`);
  }

  #forget(): void {
    this.#opened?.connection.close();
    this.#opened = undefined;
  }

  /** Tries until nobody else has the lock. Throws DEADLINE_EXCEEDED after the time for writing. */
  async #whenFree<T>(attempt: () => T): Promise<T> {
    const deadline = this.#clock.monotonic() + this.#writeTimeout;
    for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
      try {
        return attempt();
      } catch (error) {
        if (!isBusy(error)) throw error;
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

function replaced(path: string | undefined): CofferdamError {
  return new CofferdamError("CONFLICT", `the database was removed or replaced while it was in use: ${String(path)}`, {
    hint: "put the right file back; what was being written is not recorded",
  });
}

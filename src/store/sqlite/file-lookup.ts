/** One row of a database file, asked for again and again on a connection that stays open. */
import type { Lookup, Row, SqlValue } from "../store.ts";
import type { Connection } from "./connection.ts";
import { identityOf } from "./database-file.ts";
import { storeError } from "./sqlite-error.ts";

interface FileLookupParts {
  readonly path: string;
  readonly sql: string;
  /** A new connection that reads. Throws what a read throws. */
  connect(): Promise<Connection>;
  /** Tries until nobody else has the lock. */
  whenFree<T>(attempt: () => T): Promise<T>;
}

interface Opened {
  readonly connection: Connection;
  /** Which file it is on. */
  readonly file: string | undefined;
}

export class FileLookup implements Lookup {
  readonly #parts: FileLookupParts;
  #opened: Promise<Opened> | undefined;

  constructor(parts: FileLookupParts) {
    this.#parts = parts;
  }

  async get(params: readonly SqlValue[] = []): Promise<Row | undefined> {
    const { path, sql, whenFree } = this.#parts;
    try {
      let opened = await this.#open();
      // Another file has taken its place: what stands in the old one is nobody's answer any more.
      if (identityOf(path) !== opened.file) {
        this.close();
        opened = await this.#open();
      }
      return await whenFree(() => opened.connection.row(sql, params));
    } catch (error) {
      this.close();
      throw storeError(error);
    }
  }

  close(): void {
    this.#opened?.then(
      ({ connection }) => connection.close(),
      () => undefined,
    );
    this.#opened = undefined;
  }

  async #open(): Promise<Opened> {
    this.#opened ??= this.#connect();
    return await this.#opened;
  }

  async #connect(): Promise<Opened> {
    // Before it is opened: had it been replaced meanwhile, the next question sees that.
    const file = identityOf(this.#parts.path);
    return { connection: await this.#parts.connect(), file };
  }
}

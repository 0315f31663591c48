/**
 * The one interface between rooms and a database. SQL is written once, with `?` parameters and in the part of the language
 * that SQLite and PostgreSQL share; a backend translates what differs. Rooms bring their own tables as migrations.
 */
export type SqlValue = null | number | bigint | string | Uint8Array;
export type Row = Readonly<Record<string, SqlValue>>;

export interface Transaction {
  /** Runs a statement that returns no rows. */
  run(sql: string, params?: readonly SqlValue[]): Promise<{ readonly changes: number }>;
  get(sql: string, params?: readonly SqlValue[]): Promise<Row | undefined>;
  all(sql: string, params?: readonly SqlValue[]): Promise<readonly Row[]>;
  /** Rows one by one, without holding them all. Only inside the transaction. */
  iterate(sql: string, params?: readonly SqlValue[]): AsyncIterable<Row>;
}

/** One row that is asked for so often that a connection of its own pays. */
export interface Lookup {
  /** As of the last commit, of any process, before the call. Throws what a read throws. */
  get(params?: readonly SqlValue[]): Promise<Row | undefined>;
  close(): void;
}

/** One step of a room's schema. Steps are only ever appended. */
export interface Migration {
  readonly name: string;
  readonly sql: readonly string[];
}

export interface Store {
  /**
   * Runs work that may write. Writers of every process take turns; the wait is bounded. What `work` did is durable when the
   * promise resolves, and undone when it rejects. Throws DEADLINE_EXCEEDED when the turn does not come in time.
   */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Runs work that only reads, on one snapshot, without holding writers up. */
  read<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** The same for one row, again and again, without a snapshot of its own each time. */
  lookup(sql: string): Lookup;
  /** Brings a room's tables up to date. Throws FAILED_PRECONDITION when the database is newer than this program. */
  migrate(room: string, migrations: readonly Migration[]): Promise<void>;
  close(): Promise<void>;
}

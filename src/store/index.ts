/** Store: where rooms keep what must outlive a process. */
export { Facts } from "./facts.ts";
export { type Head, HeadFile, type HeadState } from "./head-file.ts";
export { type SqliteOptions, SqliteStore } from "./sqlite/sqlite-store.ts";
export type { Lookup, Migration, Row, SqlValue, Store, Transaction } from "./store.ts";

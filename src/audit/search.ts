/**
 * Searching the log. A query becomes a range of sequence numbers (times narrow it through the stored tree), at most one
 * index, and conditions on what is left; it is read window by window, so that a page costs a bounded time however rare
 * what it looks for is.
 */
import { setImmediate as otherWork } from "node:timers/promises";
import type { Clock } from "../foundation/index.ts";
import type { Row, SqlValue, Transaction } from "../store/index.ts";
import { EVENT_COLUMNS } from "./log-table.ts";
import { type AuditQuery, isoOf } from "./query.ts";
import { FANOUT, leavesOf } from "./tree.ts";

/** Longest time that one page goes on looking, ms. */
const PAGE_TIME = 25;
/** Sequence numbers of the first window; the next is larger as long as windows are cheap. */
const FIRST_WINDOW = 4096;
const LARGEST_WINDOW = 262_144;
/** Sequence numbers that an export looks through before it gives way. */
const EXPORT_WINDOW = 16_384;

export interface Page {
  readonly rows: readonly Row[];
  /** Cursor to go on from; undefined when there is nothing more. */
  readonly next: number | undefined;
}

/** At most `limit` rows of a query, and where the next page begins. It may hold fewer, even none, and not be the last. */
export async function searchPage(tx: Transaction, query: AuditQuery, limit: number, clock: Clock): Promise<Page> {
  const span = await spanOf(tx, query);
  const { sql, params } = conditionsOf(query);
  const descending = query.newestFirst === true;
  const statement = `SELECT ${EVENT_COLUMNS} FROM audit_events WHERE seq >= ? AND seq <= ?${sql} ORDER BY seq ${descending ? "DESC" : "ASC"} LIMIT ?`;
  const started = clock.monotonic();
  const rows: Row[] = [];
  let { from, to } = span;
  for (let width = FIRST_WINDOW; from <= to; ) {
    const low = descending ? Math.max(from, to - width + 1) : from;
    const high = descending ? to : Math.min(to, from + width - 1);
    const before = clock.monotonic();
    // One more than asked for tells whether there is a next page.
    rows.push(...(await tx.all(statement, [low, high, ...params, limit + 1 - rows.length])));
    if (rows.length > limit) return { rows: rows.slice(0, limit), next: seqOf(rows[limit - 1]) };
    if (descending) to = low - 1;
    else from = high + 1;
    const now = clock.monotonic();
    if (now - started > PAGE_TIME && from <= to) return { rows, next: descending ? low : high };
    if (now - before < PAGE_TIME / 5) width = Math.min(width * 2, LARGEST_WINDOW);
  }
  return { rows, next: undefined };
}

/**
 * All rows of a query, oldest first unless asked; for exports, which read to the end. Read window by window too: a query that
 * finds little gives way to other work, and ends soon after `signal` does (throwing its reason).
 */
export async function* matchingRows(tx: Transaction, query: AuditQuery, signal?: AbortSignal): AsyncGenerator<Row> {
  const { sql, params } = conditionsOf(query);
  const descending = query.newestFirst === true;
  const statement = `SELECT ${EVENT_COLUMNS} FROM audit_events WHERE seq >= ? AND seq <= ?${sql} ORDER BY seq ${descending ? "DESC" : "ASC"}`;
  let left = query.limit ?? Number.POSITIVE_INFINITY;
  let { from, to } = await spanOf(tx, query);
  while (from <= to) {
    const low = descending ? Math.max(from, to - EXPORT_WINDOW + 1) : from;
    const high = descending ? to : Math.min(to, from + EXPORT_WINDOW - 1);
    for await (const row of tx.iterate(statement, [low, high, ...params])) {
      signal?.throwIfAborted();
      yield row;
      left -= 1;
      if (left === 0) return;
    }
    await otherWork();
    signal?.throwIfAborted();
    if (descending) to = low - 1;
    else from = high + 1;
  }
}

interface Span {
  readonly from: number;
  readonly to: number;
}

async function spanOf(tx: Transaction, query: AuditQuery): Promise<Span> {
  const last = await tx.get("SELECT seq FROM audit_events ORDER BY seq DESC LIMIT 1");
  const size = seqOf(last);
  const times = await timeSpan(tx, size, isoOf(query.startDate), isoOf(query.endDate));
  if (query.after === undefined) return times;
  return query.newestFirst === true
    ? { from: times.from, to: Math.min(times.to, query.after - 1) }
    : { from: Math.max(times.from, query.after + 1), to: times.to };
}

/**
 * First and last sequence number outside of which no event of these times is. Exact for a clock that only went forward; one that jumped
 * makes the span wider, never narrower.
 */
export async function timeSpan(tx: Transaction, size: number, start: string | undefined, end: string | undefined): Promise<Span> {
  if (start === undefined && end === undefined) return { from: 1, to: size };
  const times = [start ?? "", end ?? "\uffff"];
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  // Whole nodes of three levels, coarse to fine, each for the leaves that the level above it does not cover yet; then single events.
  let covered = 0;
  for (const level of [3, 2, 1]) {
    const leaves = leavesOf(level);
    const row = await tx.get("SELECT min(idx) AS low, max(idx) AS high FROM audit_nodes WHERE level = ? AND idx >= ? AND high >= ? AND low <= ?", [
      level,
      covered / leaves,
      ...times,
    ]);
    covered = Math.floor(size / leaves) * leaves;
    if (row === undefined || row["low"] === null) continue;
    from = Math.min(from, Number(row["low"]) * leaves + 1);
    to = Math.max(to, (Number(row["high"]) + 1) * leaves);
  }
  const rows = await tx.all("SELECT seq FROM audit_events WHERE seq > ? AND timestamp >= ? AND timestamp <= ? ORDER BY seq LIMIT ?", [
    covered,
    ...times,
    FANOUT,
  ]);
  if (rows.length > 0) {
    from = Math.min(from, seqOf(rows[0]));
    to = Math.max(to, seqOf(rows.at(-1)));
  }
  return from <= to ? { from, to } : { from: 1, to: 0 };
}

/** Columns by how few events share a value; the first that a query names is looked up, the others are only compared. */
const COLUMNS = [
  ["sessionId", "session_id"],
  ["resourceId", "resource_id"],
  ["userId", "user_id"],
  ["action", "action"],
  ["category", "category"],
  ["resourceType", "resource_type"],
] as const;

function conditionsOf(query: AuditQuery): { sql: string; params: SqlValue[] } {
  const conditions = ["body IS NOT NULL"];
  const params: SqlValue[] = [];
  let indexed = false;
  for (const [key, column] of COLUMNS) {
    const value = query[key];
    if (value === undefined) continue;
    // An expression keeps the planner from choosing this column's index as well.
    conditions.push(indexed ? `${column} || '' = ?` : `${column} = ?`);
    params.push(value);
    indexed = indexed || column !== "resource_type";
  }
  if (query.result === "failure" && !indexed) conditions.push("result = 'failure'");
  else if (query.result !== undefined) {
    conditions.push("result || '' = ?");
    params.push(query.result);
  }
  const [start, end] = [isoOf(query.startDate), isoOf(query.endDate)];
  if (start !== undefined) {
    conditions.push("timestamp >= ?");
    params.push(start);
  }
  if (end !== undefined) {
    conditions.push("timestamp <= ?");
    params.push(end);
  }
  if (query.text !== undefined) {
    // Bodies are JSON: a quote or a backslash in a value stands there escaped.
    const asStored = JSON.stringify(query.text).slice(1, -1);
    conditions.push("body LIKE ? ESCAPE '\\'");
    params.push(`%${asStored.replace(/[\\%_]/g, "\\$&")}%`);
  }
  return { sql: conditions.map((condition) => ` AND ${condition}`).join(""), params };
}

function seqOf(row: Row | undefined): number {
  return Number(row?.["seq"] ?? 0);
}

/** Searching the log: a query becomes one indexed statement; pages follow the sequence number. */
import { z } from "zod";
import { parseInput } from "../foundation/index.ts";
import type { SqlValue } from "../store/index.ts";

export interface AuditQuery {
  readonly startDate?: Date | string | undefined;
  /** Inclusive. */
  readonly endDate?: Date | string | undefined;
  readonly category?: string | undefined;
  readonly action?: string | undefined;
  readonly result?: "success" | "failure" | undefined;
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  /** Part of any value or name in the event, case-insensitive for ASCII. */
  readonly text?: string | undefined;
  /** Events of one page, 1 to 1000. Default 100. An export without it has no limit. */
  readonly limit?: number | undefined;
  /** Only events after this sequence number. */
  readonly after?: number | undefined;
  /** Newest first. Default false. */
  readonly newestFirst?: boolean | undefined;
}

const date = z.union([z.date(), z.iso.datetime({ offset: true }), z.iso.date()]);
const word = z.string().min(1).max(1024);
const schema: z.ZodType<AuditQuery> = z.strictObject({
  startDate: date.optional(),
  endDate: date.optional(),
  category: word.optional(),
  action: word.optional(),
  result: z.enum(["success", "failure"]).optional(),
  userId: word.optional(),
  sessionId: word.optional(),
  resourceType: word.optional(),
  resourceId: word.optional(),
  text: word.optional(),
  limit: z.int().min(1).max(1000).optional(),
  after: z.int().min(0).optional(),
  newestFirst: z.boolean().optional(),
});

const COLUMNS = {
  category: "category",
  action: "action",
  result: "result",
  userId: "user_id",
  sessionId: "session_id",
  resourceType: "resource_type",
  resourceId: "resource_id",
} as const;

/** Validates a query. Throws INVALID_ARGUMENT. */
export function parseQuery(query: unknown): AuditQuery {
  return parseInput(schema, query, "audit query");
}

/** The statement of a query. @param limit rows, or undefined for all. */
export function statementOf(query: AuditQuery, limit: number | undefined): { sql: string; params: SqlValue[] } {
  const conditions: string[] = [];
  const params: SqlValue[] = [];
  const add = (condition: string, value: SqlValue): void => {
    conditions.push(condition);
    params.push(value);
  };
  if (query.startDate !== undefined) add("at >= ?", timeOf(query.startDate));
  if (query.endDate !== undefined) add("at <= ?", timeOf(query.endDate));
  for (const [key, column] of Object.entries(COLUMNS)) {
    const value = Object.entries(query).find(([name]) => name === key)?.[1];
    if (typeof value === "string") add(`${column} = ?`, value);
  }
  if (query.after !== undefined) add(query.newestFirst === true ? "seq < ?" : "seq > ?", query.after);
  if (query.text !== undefined) {
    // Bodies are JSON: a quote or a backslash in a value stands there escaped.
    const asStored = JSON.stringify(query.text).slice(1, -1);
    add("CAST(body AS TEXT) LIKE ? ESCAPE '\\'", `%${asStored.replace(/[\\%_]/g, "\\$&")}%`);
  }
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  const order = ` ORDER BY seq ${query.newestFirst === true ? "DESC" : "ASC"}`;
  if (limit !== undefined) params.push(limit);
  return { sql: `SELECT body, hash, previous FROM audit_events${where}${order}${limit === undefined ? "" : " LIMIT ?"}`, params };
}

/** Milliseconds since the epoch. */
export function timeOf(date: Date | string): number {
  return date instanceof Date ? date.getTime() : Date.parse(date);
}

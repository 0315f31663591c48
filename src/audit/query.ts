/** What a search may ask for. */
import { z } from "zod";
import { parseInput } from "../foundation/index.ts";

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
  /** Part of any value or name in the event, case-insensitive for ASCII. No index helps with it: events are read one by one. */
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

/** Validates a query. Throws INVALID_ARGUMENT. */
export function parseQuery(query: unknown): AuditQuery {
  return parseInput(schema, query, "audit query");
}

/** A time as the log writes it (ISO 8601, UTC, milliseconds), which sorts as text. */
export function isoOf(date: Date | string | undefined): string | undefined {
  return date === undefined ? undefined : new Date(date).toISOString();
}

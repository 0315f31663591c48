/** Legal holds: events that match one keep their text, whatever retention says. A hold is itself two events: placed, and released. */
import { z } from "zod";
import { CofferdamError, newId, parseInput } from "../foundation/index.ts";
import type { Transaction } from "../store/index.ts";
import { type EventBody, parseBody } from "./body.ts";
import type { AuditEvent } from "./event.ts";
import type { Writer } from "./writer.ts";

const PLACED = "hold_placed";
const RELEASED = "hold_released";
/** Holds that are looked at, placed and released ones together. */
const MAX_HOLDS = 10_000;

/** What a hold covers: events that agree with everything that is given. */
export interface HoldScope {
  readonly category?: string | undefined;
  readonly action?: string | undefined;
  readonly userId?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly resourceId?: string | undefined;
  /** ISO 8601. */
  readonly from?: string | undefined;
  /** Inclusive. */
  readonly until?: string | undefined;
}

export interface Hold {
  readonly id: string;
  readonly reason: string;
  readonly scope: HoldScope;
}

const word = z.string().min(1).max(1024);
const time = z.union([z.iso.datetime({ offset: true }), z.iso.date()]);
const scopeSchema: z.ZodType<HoldScope> = z.strictObject({
  category: word.optional(),
  action: word.optional(),
  userId: word.optional(),
  sessionId: word.optional(),
  resourceId: word.optional(),
  from: time.optional(),
  until: time.optional(),
});
const holdSchema: z.ZodType<Hold> = z.strictObject({ id: word, reason: word, scope: scopeSchema });

/** Places a hold; an empty scope covers everything. Throws INVALID_ARGUMENT. */
export async function placeHold(writer: Writer, scope: HoldScope, reason: string): Promise<{ readonly id: string; readonly event: AuditEvent }> {
  const { scope: valid } = parseInput(holdSchema, { id: "x", reason, scope }, "legal hold");
  const id = newId("hold");
  const given = Object.fromEntries(Object.entries(valid).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  const event = await writer.logWith(async () => ({ category: "audit", action: PLACED, result: "success", details: { id, reason, scope: given } }));
  return { id, event };
}

/** Throws NOT_FOUND for a hold that is not there, or was released. */
export async function releaseHold(writer: Writer, id: string, reason: string): Promise<AuditEvent> {
  return await writer.logWith(async (tx) => {
    if (!(await activeHolds(tx)).some((hold) => hold.id === id)) throw new CofferdamError("NOT_FOUND", `no hold ${id.slice(0, 100)}`);
    return { category: "audit", action: RELEASED, result: "success", details: { id, reason } };
  });
}

/** Holds that were placed and not released. Throws INTEGRITY_FAILURE for one that cannot be read: what it covers is not known. */
export async function activeHolds(tx: Transaction): Promise<readonly Hold[]> {
  const rows = await tx.all("SELECT body FROM audit_events WHERE action IN (?, ?) AND category || '' = 'audit' ORDER BY seq LIMIT ?", [
    PLACED,
    RELEASED,
    MAX_HOLDS,
  ]);
  if (rows.length === MAX_HOLDS) throw new CofferdamError("RESOURCE_EXHAUSTED", `more than ${MAX_HOLDS} holds`);
  const holds = new Map<string, Hold>();
  for (const { body } of rows) {
    const event = typeof body === "string" ? parseBody(body) : undefined;
    if (event?.action === RELEASED) holds.delete(String(event.details?.["id"]));
    else {
      const hold = holdSchema.safeParse(event?.details);
      if (!hold.success)
        throw new CofferdamError("INTEGRITY_FAILURE", "a legal hold in the audit trail cannot be read: nothing is pruned", { hint: "cofferdam audit verify" });
      holds.set(hold.data.id, hold.data);
    }
  }
  return [...holds.values()];
}

/** One that covers an event of this session: what is kept of it besides stays too. Throws as {@link activeHolds}. */
export async function holdOfSession(tx: Transaction, sessionId: string): Promise<Hold | undefined> {
  const holds = await activeHolds(tx);
  if (holds.length === 0) return undefined;
  for await (const { body } of tx.iterate("SELECT body FROM audit_events WHERE session_id = ? AND body IS NOT NULL", [sessionId])) {
    const event = typeof body === "string" ? parseBody(body) : undefined;
    const hold = event === undefined ? undefined : holds.find((one) => isHeld(event, [one]));
    if (hold !== undefined) return hold;
  }
  // Its texts may be gone; its name is enough for who was meant.
  return holds.find(({ scope }) => scope.sessionId === sessionId);
}

export function isHeld(event: EventBody, holds: readonly Hold[]): boolean {
  return holds.some(({ scope }) => {
    const { from, until, ...members } = scope;
    const at = Date.parse(event.timestamp);
    if (from !== undefined && at < Date.parse(from)) return false;
    if (until !== undefined && at > Date.parse(until)) return false;
    return (
      (members.category === undefined || members.category === event.category) &&
      (members.action === undefined || members.action === event.action) &&
      (members.userId === undefined || members.userId === event.userId) &&
      (members.sessionId === undefined || members.sessionId === event.sessionId) &&
      (members.resourceId === undefined || members.resourceId === event.resourceId)
    );
  });
}

/**
 * Retention: the texts of events that are old enough go; their leaves, links and places stay, so that everything else still
 * verifies. Each pruning is an event that names how many texts it took and one hash over their leaves.
 *
 * Age is counted on the log's own time line: time that no event witnessed counts for at most {@link MAX_UNSEEN}, and time
 * that ran backwards for nothing. A clock that jumps years ahead deletes nothing of what a month would not.
 */
import { type Clock, CofferdamError } from "../foundation/index.ts";
import type { Store, Transaction } from "../store/index.ts";
import { type EventBody, parseBody } from "./body.ts";
import type { AuditEvent } from "./event.ts";
import { prunedDigest } from "./event-check.ts";
import { activeHolds, isHeld } from "./holds.ts";
import { PRUNED } from "./prune-check.ts";
import { type RetentionRules, STANDARD_DAYS } from "./retention-rules.ts";
import { bytesOf } from "./row.ts";
import { FANOUT } from "./tree.ts";
import type { Writer } from "./writer.ts";

const DAY = 86_400_000;
/** Most that a gap between two events counts for, ms. */
export const MAX_UNSEEN: number = 35 * DAY;
/** Texts that one event accounts for. */
const BATCH = 5000;

export interface PruneReport {
  /** Texts that went (or would, in a dry run). */
  readonly pruned: number;
  /** Old enough, and kept by a hold. */
  readonly held: number;
  /** The events that say so. */
  readonly events: readonly AuditEvent[];
}

/** Days that an event's text is kept. */
export function daysFor(event: EventBody, rules: RetentionRules): number {
  const own = Object.hasOwn(rules.categories ?? {}, event.category) ? rules.categories?.[event.category] : undefined;
  const asked = [own ?? rules.days, event.compliance?.retentionRequired ?? 0];
  const given = folded(rules.standards ?? {});
  for (const name of event.compliance?.standards ?? []) {
    const standard = fold(name);
    asked.push(given.get(standard) ?? (Object.hasOwn(STANDARD_DAYS, standard) ? (STANDARD_DAYS[standard] ?? 0) : 0));
  }
  return Math.max(...asked);
}

/** Prunes what the rules let go. Events of the log about itself are never pruned. Throws what the writer throws. */
export async function prune(store: Store, writer: Writer, clock: Clock, rules: RetentionRules, dryRun: boolean): Promise<PruneReport> {
  const ages = await store.read((tx) => agesOf(tx, clock.now()));
  const limit = ages.oldEnough(Math.min(rules.days, ...Object.values(rules.categories ?? {})) * DAY);
  const found = { pruned: 0, held: 0 };
  const events: AuditEvent[] = [];
  for (let after = 0; ; ) {
    const due = await store.read((tx) => dueBetween(tx, after, limit, ages, rules));
    found.held += due.held;
    found.pruned += due.seqs.length;
    if (due.seqs.length > 0 && !dryRun) events.push(await pruneBatch(writer, due.seqs, rules));
    if (due.next === undefined) return { ...found, events };
    after = due.next;
  }
}

interface Due {
  readonly seqs: readonly number[];
  readonly held: number;
  /** Where to go on; undefined at the end. */
  readonly next: number | undefined;
}

/** The next texts that may go, at most {@link BATCH}. */
async function dueBetween(tx: Transaction, after: number, limit: number, ages: Ages, rules: RetentionRules): Promise<Due> {
  const holds = await activeHolds(tx);
  const seqs: number[] = [];
  let held = 0;
  for await (const row of tx.iterate("SELECT seq, body FROM audit_events WHERE seq > ? AND seq <= ? AND body IS NOT NULL ORDER BY seq", [after, limit])) {
    const seq = Number(row["seq"]);
    const event = typeof row["body"] === "string" ? parseBody(row["body"]) : undefined;
    // What cannot be read is not thrown away: verification has to see it.
    if (event === undefined || event.category === "audit" || seq > ages.oldEnough(daysFor(event, rules) * DAY)) continue;
    if (isHeld(event, holds)) held += 1;
    else seqs.push(seq);
    if (seqs.length === BATCH) return { seqs, held, next: seq };
  }
  return { seqs, held, next: undefined };
}

async function pruneBatch(writer: Writer, seqs: readonly number[], rules: RetentionRules): Promise<AuditEvent> {
  return await writer.logWith(async (tx, at) => {
    // Looked at again in the turn to write: a hold may have been placed since.
    const holds = await activeHolds(tx);
    let digest: Buffer | undefined;
    for (const seq of seqs) {
      const row = await tx.get("SELECT leaf, body FROM audit_events WHERE seq = ? AND body IS NOT NULL", [seq]);
      const event = typeof row?.["body"] === "string" ? parseBody(row["body"]) : undefined;
      if (row === undefined || event === undefined || isHeld(event, holds))
        throw new CofferdamError(
          "FAILED_PRECONDITION",
          "another process pruned this audit trail, or placed a hold, at the same time: nothing of this batch was pruned",
        );
      digest = prunedDigest(digest, bytesOf(row["leaf"]));
      await tx.run("UPDATE audit_events SET body = NULL, pruned = ? WHERE seq = ?", [at, seq]);
    }
    const { days, categories = {}, standards = {} } = rules;
    const details = {
      count: seqs.length,
      digest: digest?.toString("hex") ?? "",
      from: seqs[0] ?? 0,
      to: seqs.at(-1) ?? 0,
      rules: { days, categories: { ...categories }, standards: { ...standards } },
    };
    return { category: "audit", action: PRUNED, result: "success", details };
  });
}

interface Ages {
  /** The last event at least this old, ms; 0 when there is none. */
  oldEnough(age: number): number;
}

/** Ages by groups of {@link FANOUT} events, newest first; the last group, not full yet, is never old enough. */
async function agesOf(tx: Transaction, now: number): Promise<Ages> {
  const ends: { readonly seq: number; readonly age: number }[] = [];
  let later = now;
  let age = 0;
  for await (const row of tx.iterate("SELECT idx, low, high FROM audit_nodes WHERE level = 1 ORDER BY idx DESC")) {
    const [low, high] = [Date.parse(String(row["low"])), Date.parse(String(row["high"]))];
    age += seen(later - high);
    const last = ends.at(-1);
    // One entry for each hour is enough to tell days apart.
    if (last === undefined || age - last.age >= 3_600_000) ends.push({ seq: (Number(row["idx"]) + 1) * FANOUT, age });
    age += seen(high - low);
    later = low;
  }
  return { oldEnough: (wanted) => ends.find((end) => end.age >= wanted)?.seq ?? 0 };
}

/**
 * How long ago that was, ms, on the log's time line: time that no event witnessed counts for at most {@link MAX_UNSEEN}, as above.
 * Never more than the clock says.
 */
export async function ageOn(tx: Transaction, time: number, now: number): Promise<number> {
  let later = now;
  let age = 0;
  for await (const row of tx.iterate("SELECT low, high FROM audit_nodes WHERE level = 1 ORDER BY idx DESC")) {
    const [low, high] = [Date.parse(String(row["low"])), Date.parse(String(row["high"]))];
    if (high <= time) break;
    age += seen(later - high) + seen(high - Math.max(low, time));
    later = Math.max(low, time);
    if (low <= time) break;
  }
  return Math.max(0, Math.min(age + seen(later - time), now - time));
}

function seen(ms: number): number {
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_UNSEEN) : 0;
}

function folded(record: Readonly<Record<string, number>>): Map<string, number> {
  return new Map(Object.entries(record).map(([name, days]) => [fold(name), days]));
}

function fold(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9]/g, "");
}

/**
 * Whether the trail has been seen outside of this host: from level high on, nothing that is guarded starts before. Every door
 * and every flow that guards something asks here, right before it starts.
 */
import { type Clock, CofferdamError, formatDuration } from "../foundation/index.ts";
import type { AuditSink } from "./audit-sink.ts";
import type { Delivery } from "./deliveries.ts";
import type { AuditEvent, AuditEventInput } from "./event.ts";

/** What a guarded action needs of the log. */
export interface GuardedTrail extends AuditSink {
  /** Records a refusal; many equal ones are counted in one event. See AuditLogger.denied. */
  denied(event: Omit<AuditEventInput, "result">): Promise<AuditEvent>;
  /** Every configured place with what came of it last. */
  deliveries(): Promise<readonly Delivery[]>;
  /** Signs what there is, brings it to every place, and tells what came of it. */
  bringOut(): Promise<readonly Delivery[]>;
}

/** The policy's part in it; PolicyValues has these. */
export interface OutsideRule {
  readonly level: string;
  readonly mode: "enforce" | "observe";
  readonly "audit.copy": readonly string[];
  readonly "audit.witnesses": readonly unknown[];
  /** Longest time without a delivery, ms. */
  readonly "audit.copy-within": number | "never";
}

/**
 * Lets a guarded action go on when a checkpoint left this host recently; when none did, one is brought out now.
 * @returns in observe mode, what would have been refused; undefined when nothing is to be said.
 * Throws FAILED_PRECONDITION when no place is configured, AUDIT_UNAVAILABLE when none was reached for longer than the policy
 * allows, INTEGRITY_FAILURE when a place has a checkpoint that this log contradicts.
 */
export async function requireOutside(trail: GuardedTrail, rule: OutsideRule, clock: Clock): Promise<string | undefined> {
  const within = rule["audit.copy-within"];
  if (within === "never") return undefined;
  const refusal = await refusalOf(trail, rule, within, clock);
  if (refusal === undefined) return undefined;
  if (rule.mode === "observe") return `${refusal.message} (would be refused)`;
  throw refusal;
}

async function refusalOf(trail: GuardedTrail, rule: OutsideRule, within: number, clock: Clock): Promise<CofferdamError | undefined> {
  if (rule["audit.copy"].length + rule["audit.witnesses"].length === 0) return noPlace(rule.level);
  if (outsideProblem(await trail.deliveries(), within, clock.now()) === undefined) return undefined;
  return outsideProblem(await trail.bringOut(), within, clock.now());
}

/** Why what was brought out, and when, is not enough; undefined when it is. One place that took it is enough. */
export function outsideProblem(deliveries: readonly Delivery[], within: number, now: number): CofferdamError | undefined {
  for (const { place, last, lastFailure } of deliveries)
    if (last === "failure" && lastFailure?.code === "INTEGRITY_FAILURE")
      return new CofferdamError("INTEGRITY_FAILURE", `${place}: ${lastFailure.message}`, { hint: "cofferdam audit verify, and docs/audit.md" });
  const times = deliveries.flatMap(({ lastSuccess }) => (lastSuccess === undefined ? [] : Date.parse(lastSuccess.at)));
  // A time to come was told by a clock that has been put back since: it says nothing.
  if (times.some((time) => time <= now && now - time <= within)) return undefined;
  const last = times.length === 0 ? "ever" : `since ${new Date(Math.max(...times)).toISOString()}`;
  const why = deliveries.flatMap(({ place, lastFailure }) => (lastFailure === undefined ? [] : `${place}: ${lastFailure.message.replace(`${place}: `, "")}`));
  return new CofferdamError(
    "AUDIT_UNAVAILABLE",
    `no checkpoint of the audit trail left this host ${last}, and audit.copy-within is ${formatDuration(within)}${why.length === 0 ? "" : ` (${why.join("; ").slice(0, 1000)})`}`,
    { hint: "cofferdam audit checkpoint, until it succeeds" },
  );
}

function noPlace(level: string): CofferdamError {
  return new CofferdamError(
    "FAILED_PRECONDITION",
    `level ${level} needs checkpoints of the audit trail outside of this host, and no place for them is configured`,
    {
      hint: 'in a cofferdam.yaml of your own (docs/audit.md): audit: {copy: "git@git.example.com:security/checkpoints.git"}',
    },
  );
}

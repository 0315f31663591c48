/**
 * Decisions on record: every refusal, and of what is allowed the first of each user and permission and every so many after it.
 * An event has what the decision was made of, so that another policy can be asked the same later ({@link ./dry-run.ts}).
 */
import type { JsonObject, TrailEvent } from "../foundation/index.ts";
import type { Answer } from "./asking.ts";
import type { Decision } from "./contract.ts";
import { type AuditTrail, CATEGORY } from "./trail.ts";

/** Users and permissions that are counted; when there are more, counting begins anew, and each is recorded once more. */
const MOST_COUNTED = 10_000;
const UNKNOWN: ReadonlySet<Decision["reason"]> = new Set(["unknown-user", "unauthenticated"]);

export class DecisionLog {
  readonly #trail: AuditTrail;
  readonly #every: number;
  readonly #allowed = new Map<string, number>();

  /** @param every allows of one user and permission for which one event stands. */
  constructor(trail: AuditTrail, every: number) {
    this.#trail = trail;
    this.#every = every;
  }

  /** Resolves when it is recorded, or counted with others of its kind. Throws what the trail throws. */
  async denied(answer: Answer, decision: Decision): Promise<void> {
    await this.#trail.denied({ category: CATEGORY, action: "permission_denied", ...factsOf(answer, decision) });
  }

  /** Whether this one is due to be recorded, and for how many it stands. */
  count(userId: string, permission: string): number | undefined {
    const key = `${userId} ${permission}`;
    const before = this.#allowed.get(key);
    if (before === undefined && this.#allowed.size >= MOST_COUNTED) this.#allowed.clear();
    const since = (before ?? this.#every - 1) + 1;
    this.#allowed.set(key, since === this.#every ? 0 : since);
    return since === this.#every ? (before === undefined ? 1 : this.#every) : undefined;
  }

  async allowed(answer: Answer, decision: Decision, represents: number): Promise<void> {
    const { details, ...facts } = factsOf(answer, decision);
    await this.#trail.log({ category: CATEGORY, action: "permission_granted", result: "success", ...facts, details: { ...details, represents } });
  }
}

function factsOf(
  { question, sessionId, limits }: Answer,
  { userId, permission, reason, rule, path, failed, epoch }: Decision,
): Omit<TrailEvent, "category" | "action" | "result"> {
  const { now, repository, organisation, environment, ipAddress, mfa, facts } = question ?? {};
  const context: JsonObject = {
    ...given({ repository, organisation: repository === undefined ? organisation : undefined, environment, mfa }),
    ...(facts !== undefined && Object.keys(facts).length > 0 && { facts: given({ ...facts }) }),
    ...(limits.length > 0 && { limited: true }),
  };
  const asked: JsonObject = question === undefined ? {} : { asked: { at: new Date(now ?? 0).toISOString(), ...context } };
  // Nobody gets a key of their own for personal data by naming somebody who is not there.
  const subject = UNKNOWN.has(reason) || userId === "" ? "unidentified" : userId;
  return {
    ...(userId === "" ? {} : { userId }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(permission === "" ? {} : { resourceType: "permission", resourceId: permission }),
    details: {
      reason,
      epoch,
      ...given({ rule }),
      ...(path.length > 0 && { path: [...path] }),
      ...(failed !== undefined && { failed: { ...failed } }),
      ...asked,
    },
    ...(ipAddress === undefined ? {} : { personal: { subject, data: { ipAddress } } }),
  };
}

function given(members: Readonly<Record<string, string | boolean | undefined>>): Record<string, string | boolean> {
  return Object.fromEntries(Object.entries(members).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

/**
 * From what a caller says to one decision: the context is checked, the session verified, the relation to the repository looked
 * up where a rule needs it, and the policy asked that is in force then.
 */
import { type Clock, CofferdamError } from "../foundation/index.ts";
import { isWithin } from "./authority.ts";
import { type Checker, isAllowed } from "./checker.ts";
import { type Established, type Question, questionOf } from "./conditions/question.ts";
import type { AccessContext, AccessLimits, DecisionReason, RepositoryFacts, SessionPort } from "./contract.ts";
import type { LivePolicy } from "./live-policy.ts";
import { accessLimitsSchema } from "./schemas.ts";

export interface AskingParts {
  readonly live: LivePolicy;
  readonly clock: Clock;
  /** The greatest time that was seen, ms since the Unix epoch. */
  readonly latest: () => number;
  readonly sessions: Pick<SessionPort, "verifySession">;
  /** What is known of a user, by id, and a repository. Never throws. */
  readonly factsOf: (userId: string, repository: string) => Promise<RepositoryFacts>;
}

/** A decision, and what it was made of. */
export interface Answer {
  readonly reason: DecisionReason;
  /** As ids are stored; of what cannot be one, nothing. */
  readonly userId: string;
  readonly permission: string;
  readonly checker: Checker;
  /** Undefined when it did not come to that. */
  readonly question: Question | undefined;
  /** Those of the caller, and of the session. */
  readonly limits: readonly AccessLimits[];
  readonly sessionId: string | undefined;
}

/** Policies that may come one after another while a repository is looked up; then it counts as unknown. */
const MOST_ROUNDS = 3;

export class Asking {
  readonly #parts: AskingParts;

  constructor(parts: AskingParts) {
    this.#parts = parts;
  }

  /** Throws what the store throws, and nothing for what the caller says: that is refused. */
  async ask(user: unknown, asked: unknown, context: unknown): Promise<Answer> {
    const userId = typeof user === "string" && user.length <= 128 ? user.toLowerCase() : "";
    const permission = typeof asked === "string" ? asked : "";
    const { live, clock, latest, factsOf } = this.#parts;
    const of = limitsOf(context);
    const refused = async (reason: DecisionReason): Promise<Answer> => {
      return { reason, userId, permission, checker: await live.current(), question: undefined, limits: [], sessionId: undefined };
    };
    if (of === undefined) return await refused("malformed-context");
    const session = await this.#session(userId, objectOf(context));
    if (session === "unauthenticated") return await refused("unauthenticated");
    const limits = [...of, ...(session?.limits === undefined ? [] : [session.limits])];
    let checker = await live.current();
    let facts: RepositoryFacts = {};
    const established = (): Established => ({ now: clock.now(), latest: latest(), mfa: session?.mfa, facts });
    let question = questionOf(objectOf(context), established());
    for (let round = 0; question?.repository !== undefined && checker.needsFacts(userId, permission); round++) {
      facts = round === MOST_ROUNDS ? {} : await factsOf(userId, question.repository);
      question = questionOf(objectOf(context), established());
      const after = await live.current();
      const same = after.parts.epoch === checker.parts.epoch;
      checker = after;
      if (same || round === MOST_ROUNDS) break;
    }
    const answer = { userId, permission, checker, question, limits, sessionId: session?.handle };
    if (question === undefined) return { ...answer, reason: "malformed-context" };
    const reason = checker.decide(userId, permission, question);
    return { ...answer, reason: limits.every((one) => isWithin(one, permission, question.repository)) || !isAllowed(reason) ? reason : "token-limits" };
  }

  async #session(userId: string, context: Partial<AccessContext>): Promise<KnownSession | "unauthenticated" | undefined> {
    const { sessionId, ipAddress, userAgent } = context;
    if (sessionId === undefined) return undefined;
    if (typeof sessionId !== "string" || sessionId.length > 512) return "unauthenticated";
    try {
      const session: KnownSession = await this.#parts.sessions.verifySession(sessionId, {
        ...(typeof ipAddress === "string" && { ipAddress }),
        ...(typeof userAgent === "string" && { userAgent }),
      });
      return session.userId === userId ? session : "unauthenticated";
    } catch (error) {
      if (error instanceof CofferdamError && (error.code === "UNAUTHENTICATED" || error.code === "INVALID_ARGUMENT")) return "unauthenticated";
      throw error;
    }
  }
}

interface KnownSession {
  readonly userId: string;
  readonly mfa: boolean;
  readonly limits?: AccessLimits | undefined;
  /** Names it in records. */
  readonly handle?: string | undefined;
}

function objectOf(context: unknown): Partial<AccessContext> {
  return typeof context === "object" && context !== null ? context : {};
}

/** Undefined for limits that are none, and for a context that is no object. */
function limitsOf(context: unknown): readonly AccessLimits[] | undefined {
  if (context === undefined) return [];
  if (typeof context !== "object" || context === null) return undefined;
  const { limits } = objectOf(context);
  if (limits === undefined) return [];
  const parsed = accessLimitsSchema.safeParse(limits);
  return parsed.success ? [parsed.data] : undefined;
}

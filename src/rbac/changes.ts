/** A change of the policy: who wants it, may they, and then all of it in one transaction with its epoch and its event. */
import { type Clock, type CofferdamError, type JsonObject, newId, parseInput } from "../foundation/index.ts";
import type { Transaction } from "../store/index.ts";
import type { Answer, Asking } from "./asking.ts";
import { firstLacking, type GivenRule } from "./authority.ts";
import type { ChangeBook } from "./change-book.ts";
import type { Checker } from "./checker.ts";
import type { Actor, Decision, Scope } from "./contract.ts";
import { type LivePolicy, raiseEpoch } from "./live-policy.ts";
import { actorSchema } from "./schemas.ts";
import { CATEGORY } from "./trail.ts";

export interface ChangeParts {
  readonly live: LivePolicy;
  readonly asking: Asking;
  readonly book: ChangeBook;
  readonly clock: Clock;
  /** The greatest time that was seen, ms since the Unix epoch. */
  readonly latest: () => number;
  readonly actor: Actor;
  /** Records a refusal. */
  readonly refused: (answer: Answer, decision?: Partial<Decision>) => Promise<CofferdamError>;
  readonly changed: (change: PolicyChange) => void;
}

/** What is told of a change. */
export interface PolicyChange {
  readonly action: string;
  readonly subject: string;
  readonly epoch: number;
}

/** What is asked of whoever makes a change. */
export interface Wanted {
  /** As an audit event's action: `role_created`. */
  readonly action: string;
  readonly permission: string;
  readonly resource: { readonly type: "user" | "role" | "repository" | "policy"; readonly id: string };
  /** Where it is made. */
  readonly scope?: Scope | undefined;
}

export interface Work {
  readonly tx: Transaction;
  /** As it was before the change. */
  readonly policy: Checker;
  readonly now: number;
  /** Name of the actor, as records have it. */
  readonly by: string;
  /** Throws PERMISSION_DENIED when a user makes the change who lacks one of these rules. */
  requireHeld(rules: readonly GivenRule[]): void;
}

export interface Done<T> {
  readonly result: T;
  readonly before: JsonObject | undefined;
  readonly after: JsonObject | undefined;
  readonly touched: readonly (readonly ["user" | "role", string])[];
}

export class Changes {
  readonly #parts: ChangeParts;

  constructor(parts: ChangeParts) {
    this.#parts = parts;
  }

  /** Throws PERMISSION_DENIED or UNAUTHENTICATED, on record; what `work` throws; and what {@link ChangeBook.make} throws. */
  async make<T>(wanted: Wanted, actor: Actor | undefined, work: (at: Work) => Promise<Done<T>>): Promise<T> {
    const { live, book, clock, latest, changed, refused } = this.#parts;
    const who = parseInput(actorSchema, actor ?? this.#parts.actor, "actor of a change");
    const answer = await this.#authorise(wanted, who);
    let epoch = 0;
    try {
      const result = await book.make(async (tx) => {
        const policy = await live.within(tx);
        const now = clock.now();
        const requireHeld = (rules: readonly GivenRule[]): void => {
          if (who.kind !== "user") return;
          const one = firstLacking(policy, who.userId.toLowerCase(), rules, latest(), answer?.limits);
          if (one !== undefined) throw new Lacking(one);
        };
        // What has changed since it was asked counts too.
        if (answer !== undefined && !this.#still(policy, answer)) throw new Lacking(undefined);
        const { result, before, after, touched } = await work({ tx, policy, now, by: nameOf(who), requireHeld });
        epoch = await raiseEpoch(tx, newId("rev"), touched);
        const details: JsonObject = { epoch, by: who.kind, ...(before !== undefined && { before }), ...(after !== undefined && { after }) };
        const { action, resource } = wanted;
        return {
          result,
          events: [{ category: CATEGORY, action, result: "success", userId: nameOf(who), resourceType: resource.type, resourceId: resource.id, details }],
        };
      });
      changed({ action: wanted.action, subject: wanted.resource.id, epoch });
      return result;
    } catch (error) {
      throw error instanceof Lacking && answer !== undefined ? await refused(answer, error.decision(wanted)) : error;
    }
  }

  async #authorise(wanted: Wanted, actor: Actor): Promise<Answer | undefined> {
    if (actor.kind !== "user") return undefined;
    // Where the change is made is not the caller's to say: one that is for everywhere takes a right that holds everywhere.
    const place = { repository: undefined, organisation: undefined, environment: undefined, ...wanted.scope };
    const answer = await this.#parts.asking.ask(actor.userId, wanted.permission, { ...actor.context, ...place });
    if (answer.reason !== "granted") throw await this.#parts.refused(answer);
    return answer;
  }

  #still(policy: Checker, { userId, permission, question }: Answer): boolean {
    return question !== undefined && policy.decide(userId, permission, question) === "granted";
  }
}

/** Why a change was given up inside of its transaction. */
class Lacking extends Error {
  readonly #rule: GivenRule | undefined;

  constructor(rule: GivenRule | undefined) {
    super("lacking");
    this.#rule = rule;
  }

  decision({ action, permission }: Wanted): Partial<Decision> {
    const pattern = this.#rule?.pattern;
    if (pattern === undefined) return { reason: "lacking", explanation: `the right to ${permission} went away while the change waited for its turn` };
    return {
      reason: "lacking",
      explanation: `nobody gives away what they lack: ${action} would give ${pattern}, which ${permission} does not cover`,
      remedy: `ask somebody who has ${pattern} there, as long, and without conditions`,
    };
  }
}

export function nameOf(actor: Actor): string {
  switch (actor.kind) {
    case "user":
      return actor.userId.toLowerCase();
    case "local-owner":
      return "local-owner";
    case "embedding":
      return actor.vouchedBy;
  }
}

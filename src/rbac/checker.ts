/**
 * The decision itself: synchronous, on one immutable state of the policy. A denial that may apply wins over everything; a
 * grant needs all of its own conditions.
 */

import { DISABLED, type UserEntry } from "./compiled/packed-users.ts";
import { meets } from "./compiled/patterns.ts";
import type { CompiledRole, RoleTable } from "./compiled/role-table.ts";
import type { UserTable } from "./compiled/user-table.ts";
import { inScope } from "./conditions/conditions.ts";
import { type Established, type Question, questionOf } from "./conditions/question.ts";
import type { AccessContext, DecisionReason } from "./contract.ts";

export interface CheckerParts {
  readonly roles: RoleTable;
  readonly users: UserTable;
  /** Of the policy: it grows with each change. */
  readonly epoch: number;
  /** What no rule speaks of is refused. */
  readonly denyByDefault: boolean;
  /** Users that the policy does not know are refused, whatever is allowed by default. */
  readonly requireAuthentication: boolean;
}

export class Checker {
  readonly parts: CheckerParts;

  constructor(parts: CheckerParts) {
    this.parts = parts;
  }

  /** @param userId in lower case, as ids are stored. */
  decide(userId: string, permission: string, question: Question): DecisionReason {
    const { roles, users, requireAuthentication } = this.parts;
    const assignments = users.get(userId);
    if (assignments === DISABLED) return "disabled-user";
    if (assignments === undefined && requireAuthentication) return "unknown-user";
    const met = roles.met(permission);
    if (met === undefined) return "malformed-permission";
    // No role of anybody has a rule for it.
    if (met.length === 0 || assignments === undefined) return this.#byDefault();
    let granted = false;
    let conditional = false;
    for (const { role: number, scope, expiresAt } of assignments) {
      const role = roles.at(number);
      if (role === undefined || !meets(role.any, met) || expiresAt <= question.latest) continue;
      const here = inScope(scope, question);
      if (here !== false && role.deny !== undefined && meets(role.deny, met)) return "deny-rule";
      if (meets(role.allow, met)) {
        if (here === true) granted = true;
        else conditional = true;
      }
      for (const rules of role.conditional) {
        const denies = here !== false && meets(rules.deny, met);
        const allows = meets(rules.allow, met);
        if (!denies && !allows) continue;
        const holds = rules.conditions.test(question);
        if (denies && holds !== false) return "deny-rule";
        if (allows) {
          if (here === true && holds === true) granted = true;
          else conditional = true;
        }
      }
    }
    if (granted) return "granted";
    return conditional ? "condition" : this.#byDefault();
  }

  /**
   * The decision for a caller's context, as a yes or no; a malformed one is refused. `sessionId`, `userAgent` and `limits` are
   * not looked at: whoever asks here has seen to them.
   */
  check(userId: string, permission: string, context: AccessContext | undefined, known: Established): boolean {
    const question = questionOf(context, known);
    return question !== undefined && isAllowed(this.decide(userId, permission, question));
  }

  /** Whether the answer may hang on what the user has to do with the repository. */
  needsFacts(userId: string, permission: string): boolean {
    const { roles, users } = this.parts;
    const met = roles.met(permission);
    if (met === undefined) return false;
    const asks = (role: CompiledRole | undefined): boolean =>
      role?.conditional.some(({ conditions, allow, deny }) => conditions.needFacts && (meets(allow, met) || meets(deny, met))) === true;
    return (users.get(userId) ?? NOBODY).some(({ role }) => asks(roles.at(role)));
  }

  #byDefault(): DecisionReason {
    return this.parts.denyByDefault ? "no-rule" : "allowed-by-default";
  }
}

const NOBODY: UserEntry = [];

export function isAllowed(reason: DecisionReason): boolean {
  return reason === "granted" || reason === "allowed-by-default";
}

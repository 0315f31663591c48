/**
 * Nobody grants what they lack. Whoever gives a rule away has to have it: by a rule of their own that covers it, without
 * conditions or with the same ones, at least there and at least as long, and with nothing that refuses a part of it. Where
 * that cannot be seen from the rules, it counts as lacking: better to ask somebody who has more.
 */
import type { Checker } from "./checker.ts";
import { DISABLED } from "./compiled/packed-users.ts";
import type { AccessLimits, Constraints, Role, Scope } from "./contract.ts";
import { organisationOf } from "./names.ts";
import { coversPermission, permissionsOverlap } from "./permission.ts";
import { matchesRepository } from "./repository-pattern.ts";
import { closureOf } from "./role-graph.ts";

/** Something that is given away. */
export interface GivenRule {
  readonly pattern: string;
  readonly constraints: Constraints | undefined;
  readonly scope: Scope | undefined;
  /** ms since the Unix epoch. */
  readonly expiresAt: number;
}

interface Holding {
  readonly role: Role;
  readonly scope: Scope | undefined;
  readonly expiresAt: number;
}

/** The first rule of those that a user lacks, or undefined when they have them all. */
export function firstLacking(
  checker: Checker,
  userId: string,
  rules: readonly GivenRule[],
  now: number,
  limits: readonly AccessLimits[] = [],
): GivenRule | undefined {
  const holdings = holdingsOf(checker, userId, now);
  const seen = new Set<string>();
  return rules.find((rule) => {
    const key = JSON.stringify([rule.pattern, keyOf(rule.constraints), rule.scope ?? null, rule.expiresAt]);
    if (seen.has(key)) return false;
    seen.add(key);
    return !has(holdings, rule) || !limits.every((one) => isWithin(one, rule.pattern, rule.scope?.repository));
  });
}

/** What a role gives with all that it inherits, as rules. @param effect `deny`: what taking the role away would give. */
export function rulesOf(
  roles: ReadonlyMap<string, Role>,
  roleId: string,
  effect: "allow" | "deny" | "both",
  given: Pick<GivenRule, "scope" | "expiresAt"> = EVERYWHERE,
): readonly GivenRule[] {
  return closureOf(roles, roleId).flatMap(({ role }) => {
    const patterns = [...(effect === "deny" ? [] : role.permissions), ...(effect === "allow" ? [] : role.deny)];
    return patterns.map((pattern) => ({ pattern, constraints: role.constraints, ...given }));
  });
}

export const EVERYWHERE: Pick<GivenRule, "scope" | "expiresAt"> = { scope: undefined, expiresAt: Number.POSITIVE_INFINITY };

/** Everything that a user has, and what refuses them something: who acts for them could come to have that. */
export function rulesOfUser(checker: Checker, userId: string, now: number): readonly GivenRule[] {
  const { roles, users } = checker.parts;
  return (users.get(userId) ?? DISABLED).flatMap(({ role, scope, expiresAt }) => {
    const id = roles.idOf(role);
    return id === undefined || expiresAt <= now ? [] : rulesOf(roles.source, id, "allow", { scope, expiresAt });
  });
}

/** Whether a user may do everything, everywhere, without an end. */
export function isAdministrator(checker: Checker, userId: string, now: number): boolean {
  return firstLacking(checker, userId, [{ pattern: "*:*", constraints: undefined, ...EVERYWHERE }], now) === undefined;
}

/** Whether there is one such user. */
export function hasAdministrator(checker: Checker, now: number): boolean {
  const { roles, users } = checker.parts;
  const full = new Set<number>();
  for (const id of roles.source.keys()) {
    const number = roles.numberOf(id);
    if (number !== undefined && closureOf(roles.source, id).some(({ role }) => role.permissions.includes("*:*"))) full.add(number);
  }
  for (const id of users.ids()) if (users.get(id)?.some(({ role }) => full.has(role)) === true && isAdministrator(checker, id, now)) return true;
  return false;
}

function holdingsOf(checker: Checker, userId: string, now: number): Holding[] {
  const { roles, users } = checker.parts;
  return (users.get(userId) ?? DISABLED).flatMap(({ role: number, scope, expiresAt }) => {
    const id = roles.idOf(number);
    if (id === undefined || expiresAt <= now) return [];
    return closureOf(roles.source, id).map(({ role }) => ({ role, scope, expiresAt }));
  });
}

function has(holdings: readonly Holding[], rule: GivenRule): boolean {
  if (holdings.some(({ role, scope }) => meetScopes(scope, rule.scope) && role.deny.some((pattern) => permissionsOverlap(pattern, rule.pattern)))) return false;
  return holdings.some(
    ({ role, scope, expiresAt }) =>
      expiresAt >= rule.expiresAt &&
      coversScope(scope, rule.scope) &&
      (keyOf(role.constraints) === "{}" || keyOf(role.constraints) === keyOf(rule.constraints)) &&
      role.permissions.some((pattern) => coversPermission(pattern, rule.pattern)),
  );
}

/** Constraints in one spelling. */
function keyOf(constraints: Constraints | undefined): string {
  const { repositories, timeRestriction, ipAllowList, mfa } = constraints ?? {};
  const { startTime, endTime, timezone, days } = timeRestriction ?? {};
  return JSON.stringify({ repositories, timeRestriction: timeRestriction && { startTime, endTime, timezone, days }, ipAllowList, mfa });
}

/** Whether wherever `inner` holds, `outer` does. */
function coversScope(outer: Scope = {}, inner: Scope = {}): boolean {
  const organisation = inner.organisation ?? (inner.repository === undefined ? undefined : organisationOf(inner.repository));
  return (
    (outer.organisation === undefined || outer.organisation === organisation) &&
    (outer.repository === undefined || outer.repository === inner.repository) &&
    (outer.environment === undefined || outer.environment === inner.environment)
  );
}

/** Whether there may be a place where both hold. */
function meetScopes(one: Scope = {}, other: Scope = {}): boolean {
  const apart = (a: string | undefined, b: string | undefined): boolean => a !== undefined && b !== undefined && a !== b;
  return !apart(one.organisation, other.organisation) && !apart(one.repository, other.repository) && !apart(one.environment, other.environment);
}

/** What a token is good for; it gives away no more than that. @param permission or a pattern, all of which has to be in it. */
export function isWithin({ permissions, repositories }: AccessLimits, permission: string, repository: string | undefined): boolean {
  return (
    (permissions === undefined || permissions.some((one) => coversPermission(one, permission))) &&
    (repositories === undefined || (repository !== undefined && repositories.some((one) => matchesRepository(one, repository))))
  );
}

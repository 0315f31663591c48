/**
 * The same decision in words: which rule, by which way, what did not hold, what would. It walks the roles as they were written,
 * not the compiled ones, and a property test holds the two against each other.
 */
import { type CheckerParts, isAllowed } from "./checker.ts";
import { type CompiledAssignment, DISABLED } from "./compiled/packed-users.ts";
import { Conditions, inScope, scopeFailure } from "./conditions/conditions.ts";
import type { Question } from "./conditions/question.ts";
import type { Constraints, Decision, DecisionReason, FailedCondition, Role } from "./contract.ts";
import { coversPermission, parsePermission } from "./permission.ts";
import { closureOf } from "./role-graph.ts";

/** A rule that speaks of the permission, and whether it holds. */
interface Candidate {
  readonly effect: "allow" | "deny";
  readonly rule: string;
  readonly path: readonly string[];
  readonly expired: boolean;
  readonly outcome: boolean | undefined;
  readonly failed: FailedCondition | undefined;
  /** When time alone may change it. */
  readonly edge: number;
}

/** A decision that no rule was asked for. */
export function plainDecision(reason: DecisionReason, userId: string, permission: string, epoch: number): Decision {
  const shown = shownOf(userId, permission);
  return { ...shown, ...words(reason, shown), allowed: isAllowed(reason), reason, path: [], epoch };
}

function shownOf(userId: string, permission: string): { readonly userId: string; readonly permission: string } {
  return { userId: userId.slice(0, 128).toWellFormed(), permission: permission.slice(0, 140).toWellFormed() };
}

/** @param userId in lower case. @param question undefined when the context was malformed. */
export function explain(parts: CheckerParts, userId: string, permission: string, question: Question | undefined): Decision {
  const shown = shownOf(userId, permission);
  const entry = parts.users.get(userId);
  const plain = (reason: DecisionReason): Decision => plainDecision(reason, userId, permission, parts.epoch);
  if (question === undefined) return plain("malformed-context");
  if (entry === DISABLED) return plain("disabled-user");
  if (entry === undefined && parts.requireAuthentication) return plain("unknown-user");
  if (parsePermission(permission) === undefined) return plain("malformed-permission");
  const candidates = (entry ?? []).flatMap((assignment) => candidatesOf(parts, assignment, permission, question));
  const alive = candidates.filter(({ expired }) => !expired);
  const edge = alive.reduce((earliest, one) => Math.min(earliest, one.edge), Number.POSITIVE_INFINITY);
  const validUntil = Number.isFinite(edge) ? { validUntil: edge } : {};
  const by = (reason: DecisionReason, { rule, path, failed }: Candidate): Decision => ({
    ...shown,
    ...words(reason, shown, { rule, path, failed }),
    ...{ allowed: isAllowed(reason), reason, rule, path, epoch: parts.epoch },
    ...(failed !== undefined && { failed }),
    ...validUntil,
  });
  const denial = alive.find(({ effect, outcome }) => effect === "deny" && outcome !== false);
  if (denial !== undefined) return by("deny-rule", denial);
  const grant = alive.find(({ effect, outcome }) => effect === "allow" && outcome === true);
  if (grant !== undefined) return by("granted", grant);
  const near = alive.find(({ effect }) => effect === "allow");
  if (near !== undefined) return by("condition", near);
  const past = candidates.find(({ effect }) => effect === "allow");
  const none = { ...plain(parts.denyByDefault ? "no-rule" : "allowed-by-default"), ...validUntil };
  if (past === undefined || !parts.denyByDefault) return none;
  return { ...none, rule: past.rule, path: past.path, ...(past.failed !== undefined && { failed: past.failed }), ...words("no-rule", shown, past) };
}

function candidatesOf(parts: CheckerParts, assignment: CompiledAssignment, permission: string, question: Question): Candidate[] {
  const { source } = parts.roles;
  const roleId = parts.roles.idOf(assignment.role);
  if (roleId === undefined) return [];
  return closureOf(source, roleId).flatMap(({ role, path }) => rulesOf(role, permission).map((rule) => candidate(rule, role, path, assignment, question)));
}

function rulesOf(role: Role, permission: string): Pick<Candidate, "effect" | "rule">[] {
  const matching = (effect: Candidate["effect"], patterns: readonly string[]): Pick<Candidate, "effect" | "rule">[] =>
    patterns.filter((pattern) => coversPermission(pattern, permission)).map((pattern) => ({ effect, rule: `${role.id}/${effect}/${pattern}` }));
  return [...matching("deny", role.deny), ...matching("allow", role.permissions)];
}

function candidate(
  { effect, rule }: Pick<Candidate, "effect" | "rule">,
  role: Role,
  path: readonly string[],
  { scope, expiresAt }: CompiledAssignment,
  question: Question,
): Candidate {
  const expired = expiresAt <= question.latest;
  const conditions = new Conditions(role.constraints ?? NO_CONSTRAINTS);
  const [here, holds] = [inScope(scope, question), conditions.test(question)];
  const outcome = here === false || holds === false ? false : here === true && holds === true ? true : undefined;
  const failed = expired
    ? ({ kind: "expired", outcome: "failed", detail: `the role was given until ${new Date(expiresAt).toISOString()}` } as const)
    : scope !== undefined && here !== true
      ? scopeFailure(scope, question)
      : conditions.failed(question);
  return { effect, rule, path, expired, outcome, failed, edge: Math.min(expiresAt, conditions.edge(question.now)) };
}

const NO_CONSTRAINTS: Constraints = {};

/** What is said, and what would help. */
function words(
  reason: DecisionReason,
  { userId, permission }: { readonly userId: string; readonly permission: string },
  by?: Pick<Candidate, "rule" | "path" | "failed">,
): Pick<Decision, "explanation" | "remedy"> {
  const rule = by?.rule ?? "";
  const way = by === undefined || by.path.length < 2 ? "" : `, by ${by.path.join(" > ")}`;
  const why = by?.failed === undefined ? "" : `: ${by.failed.detail}`;
  switch (reason) {
    case "granted":
      return { explanation: `${userId} may ${permission}: rule ${rule}${way}` };
    case "allowed-by-default":
      return { explanation: `${userId} may ${permission}: no rule speaks of it, and the policy allows by default` };
    case "deny-rule":
      return {
        explanation: `${userId} may not ${permission}: rule ${rule} refuses it${way}${by?.failed?.outcome === "unknown" ? `; ${by.failed.detail}, and a denial that cannot be looked at applies` : ""}`,
        remedy: `take the role ${by?.path[0] ?? ""} from ${userId}, or the rule out of role ${by?.path.at(-1) ?? ""}: nothing that allows it would win over a denial`,
      };
    case "condition":
      return { explanation: `${userId} may not ${permission}: rule ${rule} would allow it${way}${why}`, remedy: remedyFor(by?.failed) };
    case "no-rule":
      return {
        explanation:
          by?.failed === undefined
            ? `${userId} may not ${permission}: no role of theirs has it`
            : `${userId} may not ${permission}: rule ${rule} allowed it${way}${why}`,
        remedy: by?.failed === undefined ? `give ${userId} a role that has ${permission}` : `give ${userId} the role ${by.path[0] ?? ""} again`,
      };
    case "lacking":
      return { explanation: `${userId} may ${permission}, but not give away what they lack`, remedy: "ask somebody who has it" };
    case "token-limits":
      return { explanation: `${userId} may not ${permission} with this token: it is limited to less`, remedy: "use a token that was made for it" };
    case "unknown-user":
      return { explanation: `${userId} is not a user`, remedy: "create the user, and give them a role" };
    case "disabled-user":
      return { explanation: `${userId} is disabled`, remedy: "enable the user" };
    case "unauthenticated":
      return { explanation: `${userId} has no session that verifies`, remedy: "log in again" };
    case "malformed-permission":
      return { explanation: `${JSON.stringify(permission)} is no permission: it is written resource:verb, in lower-case words` };
    case "malformed-context":
      return {
        explanation: "what the check is about is malformed: a repository is owner/name, an address is one, and there are no other keys than the documented",
      };
  }
}

function remedyFor(failed: FailedCondition | undefined): string {
  switch (failed?.kind) {
    case "mfa":
      return "log in with a second factor";
    case "timeRestriction":
      return "ask again in that time";
    case "ipAllowList":
      return failed.outcome === "unknown" ? "ask over a connection that has an address" : "ask from one of those addresses";
    case "repositories":
    case "scope":
      return failed.outcome === "unknown" ? "say where: the repository, and the environment" : "ask for a role that holds there";
    default:
      return "ask for the role again";
  }
}

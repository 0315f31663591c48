/**
 * A policy of roles in Cedar (https://docs.cedarpolicy.com), to hold ours against: roles are entities that are in each other, an
 * assignment is one that a user is in, and each assignment has one policy for each role that may come with it. Cedar skips a
 * policy whose condition has no value; ours lets such a denial apply, so conditions of denials say that they hold without one.
 */
import { preparsePolicySet, statefulIsAuthorized } from "@cedar-policy/cedar-wasm/nodejs";
import type { Constraints, Role, Scope } from "../../src/rbac/index.ts";
import type { OraclePolicy, OracleQuestion } from "./rbac-oracle.ts";

type Effect = "permit" | "forbid";
type Uid = { readonly type: string; readonly id: string };

export class CedarPolicy {
  readonly #id: string;
  readonly #entities: { readonly uid: Uid; readonly attrs: object; readonly parents: Uid[] }[];

  /** Without times of day, which Cedar does not have. @param id no other policy of the process has it. */
  constructor(id: string, { roles, assignments }: OraclePolicy) {
    this.#id = id;
    const users = [...new Set(assignments.map(({ userId }) => userId))];
    this.#entities = [
      ...roles.map((role) =>
        entity(
          "Role",
          role.id,
          role.inherits.map((parent) => uid("Role", parent)),
        ),
      ),
      ...assignments.map(({ roleId }, at) => entity("Assignment", String(at), [uid("Role", roleId)])),
      ...users.map((user) =>
        entity(
          "User",
          user,
          assignments.flatMap(({ userId }, at) => (userId === user ? [uid("Assignment", String(at))] : [])),
        ),
      ),
    ];
    const policies = assignments.flatMap((assignment, at) =>
      roles.flatMap((role) => [rule("permit", at, assignment, role), rule("forbid", at, assignment, role)]),
    );
    const answer = preparsePolicySet(id, { staticPolicies: policies.join("\n") });
    if (answer.type !== "success") throw new Error(JSON.stringify(answer.errors));
  }

  allows({ userId, permission, context, now, mfa, facts }: OracleQuestion): boolean {
    const [thing = "", action = ""] = permission.split(":");
    const repository = context.repository?.toLowerCase();
    const ip = /^[\d.]+$|^[\da-f:]+$/i.test(plainAddress(context.ipAddress)) ? { __extn: { fn: "ip", arg: plainAddress(context.ipAddress) } } : undefined;
    const known = {
      ...{ now, repository, organisation: repository?.split("/")[0], environment: context.environment?.toLowerCase(), ip, mfa },
      ...{ owned: facts.owned, assigned: facts.assigned, public: facts.public },
    };
    const answer = statefulIsAuthorized({
      ...{ principal: uid("User", userId), action: uid("Action", action), resource: uid("Thing", thing) },
      context: Object.fromEntries(Object.entries(known).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))),
      preparsedPolicySetId: this.#id,
      entities: this.#entities.map((one) => ({ ...one, attrs: {} })),
    });
    if (answer.type !== "success" || answer.response.diagnostics.errors.length > 0) throw new Error(JSON.stringify(answer));
    return answer.response.decision === "allow";
  }
}

function plainAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:(?=[\d.]+$)/, "");
}

function uid(type: string, id: string): Uid {
  return { type, id };
}

function entity(type: string, id: string, parents: Uid[]): { readonly uid: Uid; readonly attrs: object; readonly parents: Uid[] } {
  return { uid: uid(type, id), attrs: {}, parents };
}

function rule(effect: Effect, at: number, { scope, expiresAt }: OraclePolicy["assignments"][number], role: Role): string {
  const patterns = (effect === "permit" ? role.permissions : role.deny).map(matches);
  if (patterns.length === 0) return "";
  const conditions = [
    `Assignment::"${at}" in Role::"${role.id}"`,
    `(${patterns.join(" || ")})`,
    ...(expiresAt === undefined ? [] : [`context.now < ${expiresAt}`]),
    ...[...places(scope), ...wanted(role.constraints)].map((one) => one[effect]),
  ];
  return `${effect} (principal in Assignment::"${at}", action, resource) when { ${conditions.join(" && ")} };`;
}

function matches(pattern: string): string {
  const [thing, action] = pattern.split(":");
  return [...(thing === "*" ? [] : [`resource == Thing::"${thing}"`]), ...(action === "*" ? [] : [`action == Action::"${action}"`]), "true"].join(" && ");
}

/** In the words of a grant, which needs it to hold, and of a denial, which needs it not to fail. */
type Condition = Readonly<Record<Effect, string>>;

function condition(needs: readonly string[], test: string): Condition {
  const known = needs.map((name) => `context has ${name}`).join(" && ");
  return { permit: `(${known} && (${test}))`, forbid: `(!(${known}) || (${test}))` };
}

/** An owner is assigned; that somebody is not takes both to be known. */
const ASSIGNED: Condition = {
  permit: "(context has repository && ((context has owned && context.owned) || (context has assigned && context.assigned)))",
  forbid: "!(context has repository && context has owned && !context.owned && context has assigned && !context.assigned)",
};

function places(scope: Scope | undefined): Condition[] {
  return Object.entries(scope ?? {}).flatMap(([name, value]) => (value === undefined ? [] : [condition([name], `context.${name} == "${String(value)}"`)]));
}

function wanted({ repositories, ipAllowList, mfa }: Constraints = {}): Condition[] {
  return [
    ...(mfa === true ? [condition(["mfa"], "context.mfa")] : []),
    ...(ipAllowList === undefined ? [] : [condition(["ip"], ipAllowList.map((block) => `context.ip.isInRange(ip("${block}"))`).join(" || "))]),
    ...repositoryConditions(repositories),
  ];
}

function repositoryConditions(repositories: Constraints["repositories"]): Condition[] {
  switch (repositories) {
    case undefined:
      return [];
    case "owned":
    case "public":
      return [condition(["repository", repositories], `context.${repositories}`)];
    case "assigned":
      return [ASSIGNED];
    default:
      return [condition(["repository"], repositories.map((pattern) => `context.repository like "${pattern}"`).join(" || "))];
  }
}

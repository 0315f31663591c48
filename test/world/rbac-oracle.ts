/**
 * The decision once more, as slowly and plainly as the rules are written in docs/rbac.md: nothing is compiled, nothing shared
 * with src/rbac but the types of what is asked.
 */
import type { AccessContext, Constraints, RepositoryFacts, Role, Scope } from "../../src/rbac/index.ts";

export interface OraclePolicy {
  readonly roles: readonly Role[];
  readonly assignments: readonly {
    readonly userId: string;
    readonly roleId: string;
    readonly scope?: Scope | undefined;
    readonly expiresAt?: number | undefined;
  }[];
}

export interface OracleQuestion {
  readonly userId: string;
  readonly permission: string;
  readonly context: AccessContext;
  readonly now: number;
  readonly mfa?: boolean | undefined;
  readonly facts: RepositoryFacts;
}

type Three = "yes" | "no" | "unknown";

export function oracle(policy: OraclePolicy, question: OracleQuestion): "granted" | "deny-rule" | "condition" | "no-rule" {
  const rules: { effect: "allow" | "deny"; holds: Three }[] = [];
  for (const given of policy.assignments) {
    if (given.userId !== question.userId) continue;
    if (given.expiresAt !== undefined && question.now >= given.expiresAt) continue;
    for (const role of everything(policy, given.roleId)) {
      const holds = and([inside(given.scope, question), ...constraints(role.constraints, question)]);
      for (const pattern of role.permissions) if (isLike(pattern, question.permission)) rules.push({ effect: "allow", holds });
      for (const pattern of role.deny) if (isLike(pattern, question.permission)) rules.push({ effect: "deny", holds });
    }
  }
  if (rules.some(({ effect, holds }) => effect === "deny" && holds !== "no")) return "deny-rule";
  const allows = rules.filter(({ effect }) => effect === "allow");
  if (allows.some(({ holds }) => holds === "yes")) return "granted";
  return allows.length > 0 ? "condition" : "no-rule";
}

function everything({ roles }: OraclePolicy, id: string): Role[] {
  const role = roles.find((one) => one.id === id);
  if (role === undefined) return [];
  const all = [role, ...role.inherits.flatMap((parent) => everything({ roles, assignments: [] }, parent))];
  return all.filter((one, at) => all.indexOf(one) === at);
}

function isLike(pattern: string, permission: string): boolean {
  const [resource, verb] = permission.split(":");
  const [left, right] = pattern.split(":");
  return (left === "*" || left === resource) && (right === "*" || right === verb);
}

function and(parts: readonly Three[]): Three {
  if (parts.includes("no")) return "no";
  return parts.includes("unknown") ? "unknown" : "yes";
}

const asThree = (value: boolean | undefined): Three => (value === undefined ? "unknown" : value ? "yes" : "no");
const same = (a: string, b: string | undefined): Three => asThree(b === undefined ? undefined : a.toLowerCase() === b.toLowerCase());

function inside(scope: Scope | undefined, { context }: OracleQuestion): Three {
  const organisation = context.repository?.split("/")[0] ?? context.organisation;
  return and([
    ...(scope?.organisation === undefined ? [] : [same(scope.organisation, organisation)]),
    ...(scope?.repository === undefined ? [] : [same(scope.repository, context.repository)]),
    ...(scope?.environment === undefined ? [] : [same(scope.environment, context.environment)]),
  ]);
}

function constraints(wanted: Constraints | undefined, { context, now, mfa, facts }: OracleQuestion): Three[] {
  const { repositories, timeRestriction, ipAllowList } = wanted ?? {};
  const answers: Three[] = [];
  if (wanted?.mfa === true) answers.push(asThree(mfa));
  if (repositories !== undefined) {
    const { repository } = context;
    if (repository === undefined) answers.push("unknown");
    else if (repositories === "owned") answers.push(asThree(facts.owned));
    else if (repositories === "public") answers.push(asThree(facts.public));
    else if (repositories === "assigned") answers.push(assigned(facts));
    else answers.push(asThree(repositories.some((pattern) => glob(pattern).test(repository))));
  }
  if (timeRestriction !== undefined) answers.push(asThree(isOpen(timeRestriction, now)));
  if (ipAllowList !== undefined) {
    const address = context.ipAddress === undefined ? undefined : bitsOf(context.ipAddress);
    answers.push(address === undefined ? "unknown" : asThree(ipAllowList.some((block) => startsWith(address, block))));
  }
  return answers;
}

/** An owner is assigned, too. */
function assigned({ owned, assigned: given }: RepositoryFacts): Three {
  if (owned === true || given === true) return "yes";
  return owned === false && given === false ? "no" : "unknown";
}

function glob(pattern: string): RegExp {
  return pattern === "*" ? /^/ : new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("*", "[^/]*")}$`, "i");
}

/** The clock of the zone is read as a person would read it: the weekday, the hour, the minute. */
function isOpen({ startTime, endTime, timezone = "UTC", days }: NonNullable<Constraints["timeRestriction"]>, now: number): boolean {
  const shown = new Intl.DateTimeFormat("en-GB", { timeZone: timezone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(now);
  const [, weekday = "", time = ""] = /^(\w{3})\D+(\d\d:\d\d)/.exec(shown) ?? [];
  const week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
  const today = weekday.toLowerCase();
  const yesterday = week[(week.indexOf(today) + 6) % 7] ?? "";
  const on = (day: string): boolean => days === undefined || days.some((one) => one === day);
  if (startTime < endTime) return on(today) && time >= startTime && time < endTime;
  return (on(today) && time >= startTime) || (on(yesterday) && time < endTime);
}

/** An address as a text of 0 and 1, IPv4 behind the prefix that IPv6 has for it. */
function bitsOf(address: string): string | undefined {
  const four = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  if (four !== null)
    return `four${four
      .slice(1)
      .map((part) => Number(part).toString(2).padStart(8, "0"))
      .join("")}`;
  const [head = "", tail] = address.split("::");
  const groups = (text: string | undefined): string[] => (text === undefined || text === "" ? [] : text.split(":"));
  const [left, right] = [groups(head), groups(tail)];
  if (!/^[0-9a-f:]+$/i.test(address)) return undefined;
  const middle = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return `six${[...left, ...middle, ...right].map((group) => Number.parseInt(group, 16).toString(2).padStart(16, "0")).join("")}`;
}

function startsWith(address: string, block: string): boolean {
  const [base = "", prefix] = block.split("/");
  const bits = bitsOf(base) ?? "";
  const family = bits.startsWith("four") ? 4 : 3;
  return address.startsWith(prefix === undefined ? bits : bits.slice(0, family + Number(prefix)));
}

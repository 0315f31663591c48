/**
 * The conditions of one role, ready to be asked. An answer has three values: it holds, it does not, or it cannot be looked at
 * (undefined). Grants need the first; denials apply unless it is the second.
 */
import type { Constraints, FailedCondition, RepositoryConstraint, Scope } from "../contract.ts";
import { matchesRepository } from "../repository-pattern.ts";
import { addressTest } from "./cidr.ts";
import type { Question } from "./question.ts";
import { TimeWindow } from "./time-window.ts";

export type Outcome = boolean | undefined;

interface Part {
  readonly kind: FailedCondition["kind"];
  test(question: Question): Outcome;
  /** What it asks for, and what there is. */
  detail(question: Question): string;
}

export class Conditions {
  /** Some of them need to know what the user has to do with the repository. */
  readonly needFacts: boolean;
  readonly #parts: readonly Part[];
  readonly #window: TimeWindow | undefined;

  constructor({ repositories, timeRestriction, ipAllowList, mfa }: Constraints) {
    const parts: Part[] = [];
    // The cheapest first.
    if (mfa === true) parts.push(secondFactor);
    if (timeRestriction !== undefined) {
      const window = new TimeWindow(timeRestriction);
      const { startTime, endTime, timezone = "UTC", days } = timeRestriction;
      const when = `${days === undefined ? "" : `${days.join(", ")} `}${startTime} to ${endTime} ${timezone}`;
      this.#window = window;
      parts.push({
        kind: "timeRestriction",
        test: ({ now }) => window.isOpen(now),
        detail: ({ now }) => `it holds ${when}; it is ${new Date(now).toISOString()}`,
      });
    }
    if (repositories !== undefined) parts.push(repositoryPart(repositories));
    if (ipAllowList !== undefined) parts.push(addressPart(ipAllowList));
    this.#parts = parts;
    this.needFacts = typeof repositories === "string";
  }

  test(question: Question): Outcome {
    let outcome: Outcome = true;
    for (const part of this.#parts) {
      const one = part.test(question);
      if (one === false) return false;
      if (one === undefined) outcome = undefined;
    }
    return outcome;
  }

  /** The first one that does not hold, or cannot be looked at. */
  failed(question: Question): FailedCondition | undefined {
    const failing = this.#parts.find((part) => part.test(question) === false) ?? this.#parts.find((part) => part.test(question) === undefined);
    return failing === undefined ? undefined : failure(failing.kind, failing.test(question), failing.detail(question));
  }

  /** The next instant, ms since the Unix epoch, at which time alone may change the answer. */
  edge(now: number): number {
    return this.#window?.edge(now) ?? Number.POSITIVE_INFINITY;
  }
}

/** Whether a scope is where the question is. */
export function inScope(scope: Scope | undefined, { repository, organisation, environment }: Question): Outcome {
  if (scope === undefined) return true;
  let outcome: Outcome = true;
  if (scope.organisation !== undefined && scope.organisation !== organisation) {
    if (organisation !== undefined) return false;
    outcome = undefined;
  }
  if (scope.repository !== undefined && scope.repository !== repository) {
    if (repository !== undefined) return false;
    outcome = undefined;
  }
  if (scope.environment !== undefined && scope.environment !== environment) {
    if (environment !== undefined) return false;
    outcome = undefined;
  }
  return outcome;
}

export function scopeFailure(scope: Scope, question: Question): FailedCondition {
  const wanted = (["organisation", "repository", "environment"] as const).filter((part) => scope[part] !== undefined && scope[part] !== question[part]);
  const detail = wanted.map(
    (part) => `it holds in ${part} ${scope[part] ?? ""}; ${question[part] === undefined ? "none is named" : `this is ${question[part]}`}`,
  );
  return failure("scope", inScope(scope, question), detail.join(", "));
}

function failure(kind: FailedCondition["kind"], outcome: Outcome, detail: string): FailedCondition {
  return { kind, outcome: outcome === false ? "failed" : "unknown", detail };
}

const secondFactor: Part = {
  kind: "mfa",
  test: ({ mfa }) => mfa,
  detail: ({ mfa }) => (mfa === false ? "the session was opened without a second factor" : "it needs a session that was opened with a second factor"),
};

function repositoryPart(wanted: RepositoryConstraint): Part {
  const kind = "repositories";
  if (typeof wanted !== "string") {
    return {
      kind,
      test: ({ repository }) => (repository === undefined ? undefined : wanted.some((pattern) => matchesRepository(pattern, repository))),
      detail: ({ repository }) => `it holds in ${listed(wanted)}; ${repository === undefined ? "no repository is named" : `this is ${repository}`}`,
    };
  }
  const relation: Readonly<Record<typeof wanted, string>> = { owned: "the user owns", assigned: "the user is assigned to", public: "are public" };
  return {
    kind,
    test: ({ repository, facts }) => (repository === undefined ? undefined : relationHolds(wanted, facts)),
    detail: ({ repository, facts }) => {
      if (repository === undefined) return `it holds in repositories that ${relation[wanted]}; no repository is named`;
      const found = relationHolds(wanted, facts) === false ? "is none of them" : "is not known to be one";
      return `it holds in repositories that ${relation[wanted]}; ${repository} ${found}`;
    },
  };
}

/** Whoever owns a repository is assigned to it. */
function relationHolds(wanted: "owned" | "assigned" | "public", facts: Question["facts"]): Outcome {
  if (wanted !== "assigned" || facts.owned === false) return facts[wanted];
  return facts.owned === true || facts.assigned === true ? true : undefined;
}

function addressPart(blocks: readonly string[]): Part {
  const test = addressTest(blocks);
  return {
    kind: "ipAllowList",
    test: ({ ipAddress }) => (ipAddress === undefined ? undefined : test(ipAddress)),
    detail: ({ ipAddress }) => `it holds from ${listed(blocks)}; ${ipAddress === undefined ? "no address is known" : `this is ${ipAddress.slice(0, 64)}`}`,
  };
}

function listed(items: readonly string[]): string {
  const shown = items.slice(0, 5).join(", ");
  return items.length > 5 ? `${shown} and ${items.length - 5} more` : shown;
}

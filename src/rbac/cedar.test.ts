import fc from "fast-check";
import { expect, test } from "vitest";
import { CedarPolicy } from "../../test/world/rbac-cedar.ts";
import { checkerOf, policies, questions } from "../../test/world/rbac-policies.ts";
import { isAllowed } from "./checker.ts";
import { questionOf } from "./conditions/question.ts";

/** A hundred thousand checks under ./dev test --full. */
const POLICIES = process.env["COFFERDAM_TEST_FULL"] === "1" ? 5000 : 150;
const QUESTIONS = 20;

test("Cedar decides the same", { timeout: 900_000 }, () => {
  let [number, allowed] = [0, 0];
  fc.assert(
    fc.property(policies, fc.array(questions, { minLength: QUESTIONS, maxLength: QUESTIONS }), ({ roles, assignments }, asked) => {
      // Cedar has no times of day.
      const policy = {
        assignments,
        roles: roles.map((role) => ({ ...role, constraints: role.constraints && { ...role.constraints, timeRestriction: undefined } })),
      };
      const checker = checkerOf(policy);
      const cedar = new CedarPolicy(`p${number++}`, policy);
      for (const one of asked) {
        const question = questionOf(one.context, { now: one.now, mfa: one.mfa, facts: one.facts });
        if (question === undefined) throw new Error("malformed");
        const ours = isAllowed(checker.decide(one.userId, one.permission, question));
        expect(ours, JSON.stringify({ policy, one })).toBe(cedar.allows(one));
        if (ours) allowed += 1;
      }
    }),
    { numRuns: POLICIES, seed: 9, endOnFailure: true },
  );
  // Nothing agreed by being refused.
  expect(allowed).toBeGreaterThan((POLICIES * QUESTIONS) / 50);
});

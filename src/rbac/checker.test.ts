import fc from "fast-check";
import { expect, test } from "vitest";
import { oracle } from "../../test/world/rbac-oracle.ts";
import { checkerOf, policies, questions } from "../../test/world/rbac-policies.ts";
import { isAllowed } from "./checker.ts";
import { questionOf } from "./conditions/question.ts";
import { explain } from "./explain.ts";

/** A million checks under ./dev test --full. */
const POLICIES = process.env["COFFERDAM_TEST_FULL"] === "1" ? 20_000 : 400;
const QUESTIONS = 50;

test("the checker, its explanation and a naive oracle agree", { timeout: 900_000 }, () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(policies, fc.array(questions, { minLength: QUESTIONS, maxLength: QUESTIONS }), (policy, asked) => {
      const checker = checkerOf(policy);
      for (const one of asked) {
        const wanted = oracle(policy, one);
        const question = questionOf(one.context, { now: one.now, mfa: one.mfa, facts: one.facts });
        if (question === undefined) throw new Error("malformed");
        expect(checker.decide(one.userId, one.permission, question)).toBe(wanted);
        const explained = explain(checker.parts, one.userId, one.permission, question);
        expect(explained).toMatchObject({ reason: wanted, allowed: isAllowed(wanted) });
        seen.set(wanted, (seen.get(wanted) ?? 0) + 1);
      }
    }),
    { numRuns: POLICIES, seed: 9 },
  );
  // All four answers came up often: nothing agreed by being empty.
  for (const reason of ["granted", "deny-rule", "condition", "no-rule"]) expect(seen.get(reason) ?? 0).toBeGreaterThan((POLICIES * QUESTIONS) / 50);
});

test("an answer holds until validUntil", () => {
  fc.assert(
    fc.property(policies, questions, fc.double({ min: 0, max: 1, noNaN: true }), (policy, one, part) => {
      const checker = checkerOf(policy);
      const at = (now: number) => {
        const question = questionOf(one.context, { now, mfa: one.mfa, facts: one.facts });
        if (question === undefined) throw new Error("malformed");
        return question;
      };
      const { reason, validUntil } = explain(checker.parts, one.userId, one.permission, at(one.now));
      if (validUntil === undefined) return;
      expect(validUntil).toBeGreaterThan(one.now);
      const later = one.now + Math.floor(part * (validUntil - 1 - one.now));
      expect(checker.decide(one.userId, one.permission, at(later))).toBe(reason);
      expect(oracle(policy, { ...one, now: later })).toBe(reason);
    }),
    { numRuns: 2000, seed: 9 },
  );
});

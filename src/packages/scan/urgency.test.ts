import fc from "fast-check";
import { expect, test } from "vitest";
import { finding } from "../../../test/world/scan-result.ts";
import { SEVERITIES } from "../../vulnerability/index.ts";
import { byUrgency, VERDICTS } from "./urgency.ts";

const kev = { cve: "CVE-2026-1", dateAdded: "2026-01-01", ransomware: false };

test("each row goes before the next, whatever its later columns say", () => {
  const rows = [
    finding({ verdict: "deny", malware: true, severity: "unknown", score: undefined }),
    finding({ verdict: "deny", severity: "low", kev }),
    finding({ verdict: "deny", severity: "critical", score: 9.8 }),
    finding({ verdict: "deny", severity: "high", score: 8.1, package: "z" }),
    finding({ verdict: "deny", severity: "high", score: 7.2, package: "a" }),
    finding({ verdict: "warn", severity: "unknown", package: "a" }),
    finding({ verdict: "warn", severity: "unknown", package: "b" }),
    finding({ verdict: "had", severity: "critical" }),
    finding({ verdict: "accepted", malware: true, severity: "critical", kev }),
  ];
  expect(rows.toReversed().sort(byUrgency)).toEqual(rows);
});

test("property: findings that differ have one order, however they come", () => {
  const one = fc.record({
    ...{ verdict: fc.constantFrom(...VERDICTS), malware: fc.boolean(), severity: fc.constantFrom(...SEVERITIES) },
    ...{ package: fc.constantFrom("a", "b"), version: fc.constantFrom("1.0.0", "1.0.1"), id: fc.constantFrom("A", "B") },
    score: fc.constantFrom(undefined, 5, 9),
  });
  const shuffled = fc
    .uniqueArray(one, { selector: (some) => JSON.stringify(some), maxLength: 20 })
    .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
  fc.assert(
    fc.property(shuffled, ([list, other]) => {
      const keyed = (some: typeof list): string[] =>
        some
          .map((more) => finding(more))
          .sort(byUrgency)
          .map(({ details: _, ...rest }) => JSON.stringify(rest));
      const [first, second] = [keyed(list), keyed(other)];
      // No score counts as 0, and nothing else ties.
      expect(second).toEqual(first);
    }),
  );
});

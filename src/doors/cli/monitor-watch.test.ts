import fc from "fast-check";
import { expect, test } from "vitest";
import type { ProgramFacts } from "../../monitor/index.ts";
import { treeLines } from "./monitor-watch.ts";

const facts = (pid: number, ppid: number, arg: string): ProgramFacts => ({
  ...{ key: `${pid}:1`, pid, ppid, insidePid: pid, program: undefined, asked: "", args: [arg], cwd: "/", uid: 0, since: 0, from: undefined },
});

test("children stand below who made them, two blanks deeper; a line is cut and not bent", () => {
  const lines = treeLines([facts(1, 0, "one"), facts(2, 1, "two\u001b[31m\nx"), facts(3, 2, "three".repeat(20)), facts(4, 1, "four")], 24);
  expect(lines).toEqual(["1 uid 0 ?: one", "  2 uid 0 ?: two\\u001...", "    3 uid 0 ?: threet...", "  4 uid 0 ?: four"]);
});

test("property: whoever made whom, each is said once; a ring and a chain without end are no trouble", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ pid: fc.nat(9), ppid: fc.nat(9) }), { maxLength: 20 }), (all) => {
      const lines = treeLines(
        all.map(({ pid, ppid }, n) => facts(pid, ppid, `arg${n}.`)),
        200,
      );
      expect(lines.map((line) => /arg\d+\./.exec(line)?.[0]).toSorted()).toEqual(all.map((_, n) => `arg${n}.`).toSorted());
    }),
  );
  const chain = Array.from({ length: 30_000 }, (_, n) => facts(n + 1, n, "x"));
  expect(treeLines(chain, 200)).toHaveLength(30_000);
});

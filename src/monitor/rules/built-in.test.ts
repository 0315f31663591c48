/** The rules that come with the product: each has a test that finds it. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { builtInFolder, builtInRules } from "./read.ts";
import { RuleSet } from "./rule-set.ts";
import { readRuleTests, testRule } from "./test-rules.ts";

test("every rule says something where it should, and nothing where it should not", async () => {
  const rules = new RuleSet(await builtInRules());
  const names = (await readdir(builtInFolder())).filter((name) => name.endsWith(".test.yaml"));
  const tests = (await Promise.all(names.map(async (name) => await readRuleTests(join(builtInFolder(), name))))).flat();
  expect(tests.map((one) => testRule(rules, one)).filter(({ passed }) => !passed)).toEqual([]);
  const found = new Set(tests.filter(({ finds = true }) => finds).map(({ rule }) => rule));
  expect(rules.rules.map(({ id }) => id).filter((id) => !found.has(id))).toEqual([]);
});

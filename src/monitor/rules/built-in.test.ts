/** The rules that come with the product: each has a test that finds it. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageFolder } from "../../foundation/index.ts";
import { EVENT_FIELDS, PROGRAM_FIELDS } from "./fields.ts";
import { builtInFolder, builtInRules } from "./read.ts";
import { RuleSet } from "./rule-set.ts";
import { ruleTestsSchema } from "./scenario.ts";
import { rulesFileSchema } from "./schema.ts";
import { readRuleTests, testRule } from "./test-rules.ts";
import { parseYaml } from "./yaml.ts";

test("what is built of them is what they say", async (context) => {
  const built = join(packageFolder(), "dist", "rules.json");
  if (!existsSync(built)) context.skip("requires dist/rules.json: ./dev setup makes it");
  expect(JSON.parse(await readFile(built, "utf8"))).toEqual(await builtInRules());
});

test("every rule says something where it should, and nothing where it should not", async () => {
  const rules = new RuleSet(await builtInRules());
  const names = (await readdir(builtInFolder())).filter((name) => name.endsWith(".test.yaml"));
  const tests = (await Promise.all(names.map(async (name) => await readRuleTests(join(builtInFolder(), name))))).flat();
  expect(tests.map((one) => testRule(rules, one)).filter(({ passed }) => !passed)).toEqual([]);
  const found = new Set(tests.filter(({ finds = true }) => finds).map(({ rule }) => rule));
  expect(rules.rules.map(({ id }) => id).filter((id) => !found.has(id))).toEqual([]);
});

test("docs/rules.md tells the rules and fields that there are", async () => {
  const page = await readFile(new URL("../../../docs/rules.md", import.meta.url), "utf8");
  const rows = (from: string): string[] =>
    page
      .slice(page.indexOf(from))
      .split("\n\n## ")[0]
      ?.split("\n")
      .filter((row) => row.startsWith("| `")) ?? [];
  const { rules } = new RuleSet(await builtInRules());
  expect(rows("## The product's rules")).toEqual(
    rules.map(({ id, severity, title, attack }) => `| \`${id}\` | ${severity} | ${title} | ${attack.join(", ")} |`),
  );
  expect(rows("## Fields of programs")).toEqual([...PROGRAM_FIELDS].map(([name, { type, says }]) => `| \`${name}\` | ${type} | ${says} |`));
  expect(rows("## Fields of events")).toEqual(
    [...EVENT_FIELDS]
      .filter(([name]) => !name.startsWith("process."))
      .map(([name, { type, kinds, says }]) => `| \`${name}\` | ${type} | ${kinds === undefined ? "all" : [...kinds].join(", ")} | ${says} |`),
  );
});

test("the rules and tests of docs/rules.md work", async () => {
  const page = await readFile(new URL("../../../docs/rules.md", import.meta.url), "utf8");
  const [, example = "", tests = ""] = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
  const file = parseYaml(example, rulesFileSchema, "docs/rules.md");
  const set = new RuleSet([...(await builtInRules()), { path: "docs/rules.md", file }]);
  expect(parseYaml(tests, ruleTestsSchema, "docs/rules.md").tests.map((one) => testRule(set, one).passed)).toEqual([true, true]);
});

/** Tests of rules, as they stand beside them: `NAME.test.yaml` of `NAME.yaml`. */
import { messageOf } from "../../foundation/index.ts";
import { JobPrograms } from "./programs.ts";
import { readYaml } from "./read.ts";
import type { RuleSet } from "./rule-set.ts";
import { type RuleTest, ruleTestsSchema, Scenario } from "./scenario.ts";

export interface TestedRule {
  readonly rule: string;
  readonly name: string;
  readonly passed: boolean;
  /** What was found instead, or what the rule said. */
  readonly said: readonly string[];
}

/** Throws INVALID_ARGUMENT, PAYLOAD_TOO_LARGE for a file that cannot be read. */
export async function readRuleTests(path: string): Promise<readonly RuleTest[]> {
  return (await readYaml(path, ruleTestsSchema, "tests of rules")).tests;
}

/** One test, each rule of the set asked; exceptions count. A step that makes no sense is a test that failed. */
export function testRule(rules: RuleSet, test: RuleTest): TestedRule {
  const { rule, finds = true } = test;
  const name = test.name ?? (finds ? "finds" : "spares");
  if (!rules.rules.some(({ id }) => id === rule)) return { rule, name, passed: false, said: ["there is no such rule"] };
  try {
    const said = judged(rules, test);
    const own = said.filter(({ id }) => id === rule);
    const shown = (own.length > 0 ? own : said).map(({ id, message }) => `${id}: ${message}`);
    return { rule, name, passed: own.length > 0 === finds, said: shown };
  } catch (error) {
    return { rule, name, passed: false, said: [messageOf(error)] };
  }
}

function judged(rules: RuleSet, { rule, events }: RuleTest): readonly { readonly id: string; readonly message: string }[] {
  const scenario = new Scenario(`test of ${rule}`);
  const tree = new JobPrograms();
  const judge = rules.forJob(tree);
  const said: { id: string; message: string }[] = [];
  const take = (event: Parameters<typeof judge>[0], asked: boolean): void => {
    tree.take(event);
    for (const { rule: found, message, excepted } of judge(event)) if (asked && excepted === undefined) said.push({ id: found.id, message });
  };
  for (const event of scenario.begin()) take(event, false);
  for (const step of events) for (const event of scenario.take(step)) take(event, true);
  return said;
}

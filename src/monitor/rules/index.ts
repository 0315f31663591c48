/** Rules: what in the events of a job is a threat. */
export type { JobProcesses, ProgramFacts } from "./program.ts";
export { JobPrograms } from "./programs.ts";
export { builtInFolder, builtInRules, readRules, rulesIn } from "./read.ts";
export { type Match, type NamedRules, type RuleFacts, RuleSet } from "./rule-set.ts";
export type { RuleTest } from "./scenario.ts";
export { type ExceptionFile, RULE_ACTIONS, type RuleAction, type RuleFile, type RuleSeverity, type RulesFile } from "./schema.ts";
export { readRuleTests, type TestedRule, testRule } from "./test-rules.ts";

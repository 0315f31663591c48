/** A file of rules as it is written: strict, bounded. docs/rules.md has the language. */
import { z } from "zod";
import { parseDuration } from "../../foundation/index.ts";
import type { ProcessEventKind } from "../event.ts";
import type { Condition } from "./condition.ts";
import { CHANGES } from "./fields.ts";

export const KINDS: readonly ProcessEventKind[] = [
  ...(["exec", "exec-failed", "exit", "fork", "open"] as const),
  ...CHANGES,
  ...(["connect", "bind", "accept", "dns", "dup", "ptrace", "memory", "namespace", "mount", "identity", "module", "kernel", "memfd", "foreign"] as const),
];
/** A `note` is no threat: it is told in the report of its job, and answered by nobody. */
export const SEVERITIES = ["critical", "high", "medium", "low", "note"] as const;
export type RuleSeverity = (typeof SEVERITIES)[number];
/**
 * What a rule may ask for besides what its severity means. It raises what is done, and never lowers it: `freeze` stops every
 * process, keeps evidence and ends the container; `stop-job` leaves it frozen.
 */
export const RULE_ACTIONS = ["alert", "disconnect", "freeze", "kill", "stop-job"] as const;
export type RuleAction = (typeof RULE_ACTIONS)[number];

export interface CountFile {
  /** So many make it a threat. */
  readonly at: number;
  readonly within: string;
  /** Different values of this field are counted, not events. */
  readonly different?: string | undefined;
  readonly per?: "job" | "process" | undefined;
}

export interface RuleFile {
  readonly id: string;
  /** What it is, in a few words. */
  readonly title: string;
  /** What happened, with `{field}` in it. */
  readonly says: string;
  readonly severity: RuleSeverity;
  readonly action?: RuleAction | undefined;
  /** MITRE ATT&CK techniques. */
  readonly attack: readonly string[];
  readonly on: readonly ProcessEventKind[];
  readonly when: Condition;
  readonly unless?: Condition | undefined;
  readonly count?: CountFile | undefined;
}

/** Where a rule does not apply, and why, and until when. Without `when`: nowhere. */
export interface ExceptionFile {
  readonly rule: string;
  readonly when?: Condition | undefined;
  readonly reason: string;
  readonly until: string;
}

export interface RulesFile {
  readonly lists?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly conditions?: Readonly<Record<string, Condition>> | undefined;
  readonly rules?: readonly RuleFile[] | undefined;
  readonly exceptions?: readonly ExceptionFile[] | undefined;
}

const word = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/, "lower-case letters, digits and -, at most 64");
const sentence = z.string().min(1).max(400);
const condition: z.ZodType<Condition> = z.record(z.string().max(64), z.unknown());
const duration = z.string().refine((text) => isDuration(text), "not a duration; write it like 10s");
/** The last day on which it counts. */
const day = z.iso.date();

const count: z.ZodType<CountFile> = z.strictObject({
  at: z.int().min(2).max(10_000),
  within: duration,
  different: z.string().max(64).optional(),
  per: z.enum(["job", "process"]).optional(),
});

export const ruleSchema: z.ZodType<RuleFile> = z
  .strictObject({
    id: word,
    title: sentence,
    says: sentence,
    severity: z.enum(SEVERITIES),
    action: z.enum(RULE_ACTIONS).optional(),
    attack: z
      .array(z.string().regex(/^T\d{4}(\.\d{3})?$/, "an ATT&CK technique, like T1059.004"))
      .min(1)
      .max(8),
    on: z.array(z.enum(KINDS)).min(1).max(KINDS.length),
    when: condition,
    unless: condition.optional(),
    count: count.optional(),
  })
  .refine(({ severity, action }) => severity !== "note" || action === undefined, "a note is answered by nobody: with an action it needs another severity");

export const rulesFileSchema: z.ZodType<RulesFile> = z.strictObject({
  lists: z.record(word, z.array(z.string().max(256)).max(1000)).optional(),
  conditions: z.record(word, condition).optional(),
  rules: z.array(ruleSchema).max(500).optional(),
  exceptions: z
    .array(z.strictObject({ rule: word, when: condition.optional(), reason: sentence, until: day }))
    .max(500)
    .optional(),
});

function isDuration(text: string): boolean {
  try {
    return parseDuration(text) > 0;
  } catch {
    return false;
  }
}

/** Rules, ready to judge: compiled once, by the kind of event that they look at. What one job counts is that job's own. */
import { type Clock, parseDuration, systemClock } from "../../foundation/index.ts";
import type { ProcessEvent, ProcessEventKind } from "../event.ts";
import { type Condition, compileCondition, type Test, type Vocabulary } from "./condition.ts";
import { Counting, type CountRule } from "./counting.ts";
import { EVENT_FIELDS, type Subject } from "./fields.ts";
import { hintOf, wrong } from "./match.ts";
import { compileMessage, type Message } from "./message.ts";
import type { JobProcesses } from "./program.ts";
import type { CountFile, ExceptionFile, RuleFile, RulesFile } from "./schema.ts";

/** A file of rules, and where it is from. */
export interface NamedRules {
  readonly path: string;
  readonly file: RulesFile;
}

/** What there is to say of a rule. */
export interface RuleFacts extends Pick<RuleFile, "id" | "title" | "severity" | "action" | "attack" | "on"> {
  readonly path: string;
  readonly exceptions: readonly ExceptionFile[];
}

export interface Match {
  readonly rule: RuleFacts;
  readonly message: string;
  /** Why it is no threat here, when an exception says so. */
  readonly excepted: ExceptionFile | undefined;
}

interface Compiled {
  readonly facts: RuleFacts;
  readonly test: Test;
  readonly message: Message;
  readonly count: CompiledCount | undefined;
  readonly exceptions: readonly { readonly file: ExceptionFile; readonly test: Test; readonly ends: number }[];
}

interface CompiledCount extends CountRule {
  readonly perProcess: boolean;
  readonly value: (subject: Subject) => string | undefined;
}

const DAY = 86_400_000;

export class RuleSet {
  readonly rules: readonly RuleFacts[];
  readonly #byKind: ReadonlyMap<ProcessEventKind, readonly Compiled[]>;

  /**
   * Lists and conditions of one file serve all of them. Throws INVALID_ARGUMENT with `FILE: RULE` and what is wrong: a name that
   * is taken, a field that there is not, an exception for no rule.
   */
  constructor(files: readonly NamedRules[]) {
    const words: Vocabulary = { lists: merged(files, "lists"), conditions: merged(files, "conditions") };
    const paths = new Map<string, string>();
    const exceptions = exceptionsByRule(files);
    const compiled = files.flatMap(({ path, file }) =>
      (file.rules ?? []).map((rule) => {
        const where = `${path}: ${rule.id}`;
        const taken = paths.get(rule.id);
        if (taken !== undefined) throw wrong(where, `there is a rule of this name in ${taken}`);
        paths.set(rule.id, path);
        return compileRule(rule, path, exceptions.get(rule.id) ?? [], words);
      }),
    );
    for (const id of exceptions.keys()) if (!paths.has(id)) throw wrong("exceptions", `no rule ${id}`, hintOf(id, [...paths.keys()]));
    this.rules = compiled.map(({ facts }) => facts);
    const byKind = new Map<ProcessEventKind, Compiled[]>();
    for (const rule of compiled) for (const kind of rule.facts.on) byKind.set(kind, [...(byKind.get(kind) ?? []), rule]);
    this.#byKind = byKind;
  }

  /** For the events of one job, in their order. @returns what judges one; `processes` must know of it already. */
  forJob(processes: JobProcesses, clock: Clock = systemClock): (event: ProcessEvent) => readonly Match[] {
    const counters = new Map<Compiled, Counting>();
    const counted = (rule: Compiled, count: CompiledCount, subject: Subject): boolean => {
      const value = count.value(subject);
      if (value === undefined) return false;
      const counting = counters.get(rule) ?? new Counting(count);
      counters.set(rule, counting);
      return counting.add(count.perProcess ? subject.event.actor.key : "", value, subject.event.time);
    };
    return (event) => {
      const rules = this.#byKind.get(event.kind);
      if (rules === undefined) return [];
      const known = processes.get(event.actor.key);
      // What is remembered of arguments is bounded; of the event itself there are more.
      const program = event.kind === "exec" && known !== undefined ? { ...known, args: event.args } : known;
      const subject: Subject = { event, program, processes };
      return rules.flatMap((rule) => {
        if (!rule.test(subject) || (rule.count !== undefined && !counted(rule, rule.count, subject))) return [];
        const excepted = rule.exceptions.find(({ test, ends }) => clock.now() < ends && test(subject))?.file;
        return [{ rule: rule.facts, message: rule.message(subject), excepted }];
      });
    };
  }
}

function compileRule(rule: RuleFile, path: string, exceptions: readonly ExceptionFile[], words: Vocabulary): Compiled {
  const where = `${path}: ${rule.id}`;
  const { id, title, severity, action, attack, on, when, unless, count } = rule;
  const holds = compileCondition(when, on, words, `${where}.when`);
  const spared = unless === undefined ? undefined : compileCondition(unless, on, words, `${where}.unless`);
  return {
    facts: { id, title, severity, action, attack, on, path, exceptions },
    test: spared === undefined ? holds : (subject) => holds(subject) && !spared(subject),
    message: compileMessage(rule.says, `${where}.says`),
    count: count === undefined ? undefined : compileCount(count, `${where}.count`),
    exceptions: exceptions.map((file) => ({
      file,
      test: file.when === undefined ? () => true : compileCondition(file.when, on, words, `${where}.exceptions`),
      ends: Date.parse(file.until) + DAY,
    })),
  };
}

function compileCount({ at, within, different, per = "job" }: CountFile, where: string): CompiledCount {
  const field = different === undefined ? undefined : EVENT_FIELDS.get(different);
  if (different !== undefined && field === undefined) throw wrong(where, `no field ${different}`, hintOf(different, [...EVENT_FIELDS.keys()]));
  const value = (subject: Subject): string | undefined => (field === undefined ? "" : field.read(subject)?.toString());
  return { at, within: parseDuration(within), distinct: field !== undefined, perProcess: per === "process", value };
}

function exceptionsByRule(files: readonly NamedRules[]): ReadonlyMap<string, readonly ExceptionFile[]> {
  return Map.groupBy(
    files.flatMap(({ file }) => file.exceptions ?? []),
    ({ rule }) => rule,
  );
}

function merged(files: readonly NamedRules[], what: "lists"): ReadonlyMap<string, readonly string[]>;
function merged(files: readonly NamedRules[], what: "conditions"): ReadonlyMap<string, Condition>;
function merged(files: readonly NamedRules[], what: "lists" | "conditions"): ReadonlyMap<string, readonly string[] | Condition> {
  const all = new Map<string, readonly string[] | Condition>();
  for (const { path, file } of files)
    for (const [name, value] of Object.entries(file[what] ?? {})) {
      if (all.has(name)) throw wrong(`${path}: ${what}.${name}`, "there is one of this name already");
      all.set(name, value);
    }
  return all;
}

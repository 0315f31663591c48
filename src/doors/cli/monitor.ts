/** `cofferdam monitor rules|test|check|watch`: what is a threat, whether rules say what they should, and how a container is now. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CofferdamError, parseDuration } from "../../foundation/index.ts";
import type { Action, planResponse } from "../../jobs/index.ts";
import {
  builtInFolder,
  builtInRules,
  type NamedRules,
  type RuleFacts,
  RuleSet,
  readRules,
  readRuleTests,
  rulesIn,
  type TestedRule,
  testRule,
} from "../../monitor/index.ts";
import type { PolicyValues } from "../../policy/index.ts";
import type { Command, CommandContext, CommandGroup, OptionSpec } from "./command.ts";
import { ENGINE_OPTION } from "./engine-option.ts";
import { line } from "./line.ts";
import { withMonitor } from "./monitor-session.ts";
import { statusText, threatLine, watchCommand } from "./monitor-watch.ts";
import { openPolicy } from "./session.ts";

const RULES_OPTION: Readonly<Record<string, OptionSpec>> = {
  rules: { type: "string", multiple: true, value: "FILE", describe: "one more file of rules; several may be given" },
};

const rules: Command = {
  name: "rules",
  summary: "Rules in force: the product's, the policy's and those of --rules, with their exceptions.",
  usage: "[--rules FILE]...",
  examples: ["cofferdam monitor rules", "cofferdam monitor rules --rules ours.yaml --json"],
  options: RULES_OPTION,
  async run(context) {
    const { values } = await openPolicy(context);
    const set = new RuleSet([...(await builtInRules()), ...(await allOf([...values["jobs.monitor-rules"], ...filesOf(context)]))]);
    const today = new Date().toISOString().slice(0, 10);
    // Loaded here: whoever watches has no use for everything that runs jobs.
    const { planResponse: plan } = await import("../../jobs/index.ts");
    const shown = set.rules.map(({ exceptions, ...rule }) => ({
      ...{ ...rule, answer: answerOf(rule, values, plan) },
      exceptions: exceptions.map((one) => ({ ...one, expired: one.until < today })),
    }));
    if (context.globals.json) context.out.json({ schema: "cofferdam/monitor-rules/v1", rules: shown });
    else {
      for (const { id, severity, title, action, answer, attack, exceptions } of shown) {
        context.out.data(`${severity.padEnd(8)} ${id.padEnd(36)} ${line(title)} (${attack.join(", ")})\n`);
        if (action !== undefined) context.out.data(`         action   ${action}; at level ${values.level}: ${answer.join(", ")}\n`);
        for (const { reason, until, expired } of exceptions) context.out.data(`         except   ${line(reason)}, ${expired ? "EXPIRED" : "until"} ${until}\n`);
      }
    }
    return 0;
  },
};

const test: Command = {
  name: "test",
  summary: "Runs the tests that stand beside rules: NAME.test.yaml of NAME.yaml. Without a file, those of the product.",
  usage: "[FILE|DIR]...",
  examples: ["cofferdam monitor test", "cofferdam monitor test ours.yaml"],
  options: {},
  async run({ args, globals, out, cwd }) {
    const own = args.length === 0;
    const files = own ? await rulesIn(builtInFolder()) : (await Promise.all(args.map(async (word) => await rulesAt(resolve(cwd, word))))).flat();
    const tested = await allOf(files);
    const set = new RuleSet(own ? tested : [...(await builtInRules()), ...tested]);
    const results: TestedRule[] = [];
    const untested: string[] = [];
    for (const { path, file } of tested) {
      const beside = path.replace(/\.yaml$/, ".test.yaml");
      const tests = existsSync(beside) ? await readRuleTests(beside) : [];
      results.push(...tests.map((one) => testRule(set, one)));
      const found = new Set(tests.filter(({ finds = true }) => finds).map(({ rule }) => rule));
      untested.push(...(file.rules ?? []).map(({ id }) => id).filter((id) => !found.has(id)));
    }
    const failed = results.filter(({ passed }) => !passed);
    const ok = failed.length === 0 && untested.length === 0;
    if (globals.json) out.json({ schema: "cofferdam/monitor-test/v1", ok, passed: results.length - failed.length, failed, untested });
    else {
      for (const { rule, name, said } of failed)
        out.data(`failed   ${rule}, ${line(name)}: ${said.length === 0 ? "it said nothing" : line(said.join("; "), 400)}\n`);
      for (const id of untested) out.data(`untested ${id}: no test finds it\n`);
      out.note(`cofferdam: ${results.length - failed.length} of ${results.length} tests of rules passed`);
    }
    return ok ? 0 : 2;
  },
};

const check: Command = {
  name: "check",
  summary: "Watches a container for a while, looks at its processes, and says what is a threat.",
  usage: "JOB|CONTAINER [--for TIME]",
  examples: ["sudo cofferdam monitor check job-036092btzp", "sudo cofferdam monitor check my-container --for 30s --json"],
  options: { ...ENGINE_OPTION, for: { type: "string", value: "TIME", describe: "how long its events are watched (default 3s)" } },
  run: async (context) =>
    await withMonitor(context, { monitoringInterval: 0 }, async ({ monitor, containerId, jobId, name }) => {
      const time = context.values["for"];
      await monitor.startContainerMonitoring(containerId, jobId ?? name);
      await delay(parseDuration(typeof time === "string" ? time : "3s"), undefined, { signal: context.signal });
      const threats = await monitor.performSecurityCheck(containerId);
      const { status } = monitor;
      const { events, lost, notes } = await monitor.stopContainerMonitoring(containerId);
      if (context.globals.json) context.out.json({ schema: "cofferdam/monitor-check/v1", container: containerId, status, events, lost, threats, notes });
      else {
        for (const threat of threats) context.out.data(`${threatLine(threat)}\n`);
        for (const { rule, message, times } of notes) context.out.data(`note     ${rule}: ${line(message, 300)}${times > 1 ? `, ${times} times` : ""}\n`);
        context.out.note(`cofferdam: ${line(name)}, ${statusText(status)}, ${events} events, ${lost} lost, ${threats.length} threats`);
      }
      return threats.length === 0 ? 0 : 3;
    }),
};

export const monitorCommands: CommandGroup = {
  name: "monitor",
  summary: "What the processes of a job do, and what of it is a threat.",
  commands: [watchCommand, check, rules, test],
};

/** What is done in a job about what a rule finds: about a note nothing. */
function answerOf({ severity, action }: Pick<RuleFacts, "severity" | "action">, { level, mode }: PolicyValues, plan: typeof planResponse): readonly Action[] {
  return severity === "note" ? [] : plan(level, { severity, anomaly: false, action }, mode);
}

function filesOf({ values, cwd }: CommandContext): readonly string[] {
  return [values["rules"] ?? []].flat().flatMap((file) => (typeof file === "string" ? [resolve(cwd, file)] : []));
}

async function allOf(files: readonly string[]): Promise<readonly NamedRules[]> {
  return await Promise.all(files.map(async (file) => await readRules(file)));
}

/** A file of rules, or those of a folder. */
async function rulesAt(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw new CofferdamError("NOT_FOUND", `${path}: not there`, { cause: error });
  });
  if (!found.isDirectory()) return [path];
  return await rulesIn(path);
}

/** `cofferdam policy learn`: what recorded jobs reached, as a change of cofferdam.yaml for a person to read. */
import { realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { CofferdamError, formatBytes } from "../../foundation/index.ts";
import { expandSets, type Learned, type LearnedRule, learn, setHost } from "../../network/index.ts";
import { addEgress, type EgressAddition, POLICY_FILE, policyPlaces, previewEgress, readPolicyFile } from "../../policy/index.ts";
import type { Command, CommandContext } from "./command.ts";
import { line } from "./line.ts";
import { recordedEdit } from "./policy-edit.ts";
import { recordedJobs } from "./recorded-jobs.ts";
import { openPolicy } from "./session.ts";
import { unifiedDiff } from "./unified-diff.ts";

export const policyLearn: Command = {
  name: "learn",
  summary: "Proposes jobs.egress from what jobs reached: a diff of cofferdam.yaml to read, or with --write the change itself.",
  usage: "JOB... | --repo OWNER/NAME [--runs N] [--write]",
  examples: ["cofferdam policy learn job-8f2c", "cofferdam policy learn --repo acme/web --runs 20 | git apply", "cofferdam policy learn job-8f2c --write"],
  options: {
    repo: { type: "string", value: "OWNER/NAME", describe: "the last jobs of this one, together" },
    runs: { type: "string", value: "N", describe: "how many of them, 1 to 200 (default 20)" },
    write: { type: "boolean", describe: "change the file" },
  },
  run: execute,
};

async function execute(context: CommandContext): Promise<number> {
  const { args, cwd, env, globals, out, values } = context;
  const { withBook } = await import("./job-session.ts");
  const jobs = await withBook(context, async (book) => await recordedJobs(book, context, args));
  if (jobs.length === 0) throw new CofferdamError("NOT_FOUND", "none of these jobs had a network", { hint: "observe first: mode: observe, or level low" });
  const places = policyPlaces(cwd, env);
  const path = places.repository ?? join(realpathSync(cwd), POLICY_FILE);
  // What the file lists counts too when it is not trusted: it is what would be changed.
  const inFile = (await readPolicyFile(path))?.policy.jobs?.egress ?? [];
  const egress = await rulesByEntry([...(await openPolicy(context)).values["jobs.egress"], ...inFile], env);
  const learned = learn(jobs, { mode: "moderate", allow: [...new Set([...egress.values()].flat())], deny: [] });
  const unused = unusedEntries(egress, learned);
  const additions = learned.add.map((one): EgressAddition => ({ rule: one.rule, why: seen(one, learned.jobs) }));
  const { before, after } = await previewEgress(path, additions);
  const diff = additions.length === 0 ? "" : unifiedDiff(before, after, basename(path));
  const written = values["write"] === true && additions.length > 0;
  const changes = additions.map(({ rule }) => rule);
  const edit = { command: "policy learn", path, changes, userFolder: places.userFolder, act: async () => await addEgress(path, additions) };
  const applies = written ? await recordedEdit(context, edit) : undefined;
  if (globals.json) {
    out.json({ schema: "cofferdam/policy-learn/v1", ...learned, unused, file: path, diff, written, ...(applies === undefined ? {} : { applies }) });
    return 0;
  }
  if (!written) out.data(diff);
  for (const text of remarks(learned, unused)) out.note(text);
  if (written)
    out.note(`${path}: ${additions.length} added to jobs.egress${applies === true ? "" : "; they apply once you trust the file: cofferdam policy trust"}`);
  return 0;
}

function seen({ jobs, received }: LearnedRule, all: number): string {
  return `${jobs} of ${all} ${all === 1 ? "job" : "jobs"}, ${formatBytes(received)}`;
}

function remarks({ add, jobs, notes, refused }: Learned, unused: readonly string[]): readonly string[] {
  const of = `${jobs} ${jobs === 1 ? "job" : "jobs"}`;
  return [
    ...(add.length === 0 ? [`cofferdam: ${of} reached nothing that jobs.egress lacks`] : []),
    ...refused.map((one) => `blocked  ${line(one.rule)}, ${seen(one, jobs)}: not proposed; whether the job needed it is yours to say`),
    ...unused.map((rule) => `unused   ${line(rule)}: in jobs.egress, and none of ${of} went there`),
    ...add.filter(({ requests }) => requests.length > 0).map(({ rule, requests }) => `requests ${line(rule)}: ${line(requests.join(", "), 400)}`),
    ...notes.map((note) => `note     ${line(note)}`),
  ];
}

/** Each entry as it is written, with what it stands for; a set asks this host's clients, so once. */
async function rulesByEntry(entries: readonly string[], env: CommandContext["env"]): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const entry of new Set(entries)) found.set(entry, (await expandSets([entry], setHost(env))).rules);
  return found;
}

/** A set counts as used when one of its rules was. */
function unusedEntries(egress: ReadonlyMap<string, readonly string[]>, { unused }: Learned): readonly string[] {
  const never = new Set(unused);
  return [...egress].flatMap(([entry, rules]) => (rules.every((rule) => never.has(rule)) ? [entry] : []));
}

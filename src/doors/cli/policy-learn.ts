/** `cofferdam policy learn`: what recorded jobs reached, as a change of cofferdam.yaml for a person to read. */
import { realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { CofferdamError, formatBytes } from "../../foundation/index.ts";
import { expandSets, type Learned, type LearnedRule, learn, setHost } from "../../network/index.ts";
import { addEgress, type EgressAddition, POLICY_FILE, policyPlaces, previewEgress, readPolicyFile } from "../../policy/index.ts";
import type { CommandContext } from "./command.ts";
import { counted } from "./counted.ts";
import { withBook } from "./job-session.ts";
import { line } from "./line.ts";
import { recordedEdit } from "./policy-edit.ts";
import { recordedJobs } from "./recorded-jobs.ts";
import { openPolicy } from "./session.ts";
import { unifiedDiff } from "./unified-diff.ts";

export async function learnEgress(context: CommandContext): Promise<number> {
  const { args, cwd, env, globals, out, values } = context;
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
  return `${jobs} of ${counted(all, "job")}, ${formatBytes(received)}`;
}

function remarks({ add, jobs, notes, refused }: Learned, unused: readonly string[]): readonly string[] {
  const of = counted(jobs, "job");
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

/** `cofferdam rbac policy ...`: roles, users and repositories as one YAML text, and what another one would have decided. */
import { parseDuration, systemClock } from "../../foundation/index.ts";
import { type ChangedDecision, type DryRun, MAX_POLICY_FILE, type PolicyDifference } from "../../rbac/index.ts";
import { readText } from "./audit-query.ts";
import type { Command, CommandContext, CommandGroup, OptionSpec } from "./command.ts";
import { line } from "./line.ts";
import { namesOf, noWords, oneWord, type RbacSession, requireRight, textOf, withRbac } from "./rbac-session.ts";

const SHOWN = 20;
const PRUNE: Readonly<Record<string, OptionSpec>> = {
  prune: { type: "boolean", describe: "take out what the file does not name, of the kinds that it has a list of" },
};

const exportCommand: Command = {
  name: "export",
  summary: "Writes roles of your own, users with their roles, and repositories as YAML. No passwords, tokens or sessions.",
  usage: "",
  examples: ["cofferdam rbac policy export > rbac.yaml"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      noWords(context, "rbac policy export");
      for (const right of ["users:read", "roles:read", "repositories:read"]) await requireRight(session, right);
      const policy = await session.rbac.exportPolicy();
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-policy-export/v1", policy });
      else context.out.data(policy);
      return 0;
    }),
};

const importCommand: Command = {
  name: "import",
  summary: "Makes what is there what the file says, all of it or nothing. For administrators.",
  usage: "FILE [--prune]",
  examples: ["cofferdam rbac policy dry-run rbac.yaml && cofferdam rbac policy import rbac.yaml"],
  options: PRUNE,
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const text = await readPolicy(context, "import");
      const difference = await rbac.importPolicy(text, { prune: context.values["prune"] === true }, actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-policy-import/v1", difference });
      else context.out.note(`cofferdam: ${differenceWords(difference)}, on record`);
      return 0;
    }),
};

const dryRunCommand: Command = {
  name: "dry-run",
  summary: "What the file would change, and which decisions on record would be others. Changes nothing.",
  usage: "FILE [--since TIME] [--prune]",
  examples: ["cofferdam rbac policy dry-run rbac.yaml", "cofferdam rbac policy dry-run rbac.yaml --since 7d --json"],
  options: { ...PRUNE, since: { type: "string", value: "TIME", describe: "decisions of how long back (default 30d)" } },
  run: async (context) =>
    await withRbac(context, async (session) => {
      const text = await readPolicy(context, "dry-run");
      for (const right of ["policy:read", "users:read", "roles:read", "audit:read"]) await requireRight(session, right);
      const { values, globals, out } = context;
      const span = textOf(values["since"]) ?? "30d";
      const since = new Date(systemClock.now() - parseDuration(span));
      const run = await session.rbac.previewPolicy(text, session.audit, { since, prune: values["prune"] === true });
      if (globals.json) out.json({ schema: "cofferdam/rbac-policy-dry-run/v1", since: since.toISOString(), ...run });
      else out.data(await page(session, run, span));
      return 0;
    }),
};

export const policyCommands: CommandGroup = {
  name: "policy",
  summary: "Roles, users and repositories as one file: written, read in, tried.",
  commands: [exportCommand, importCommand, dryRunCommand],
};

async function readPolicy(context: CommandContext, name: string): Promise<string> {
  return await readText(oneWord(context, "FILE", `rbac policy ${name}`), context.cwd, MAX_POLICY_FILE, "the policy");
}

function differenceWords({ roles, users, assignments, repositories }: PolicyDifference): string {
  const parts = Object.entries({ roles, users, assignments, repositories }).flatMap(([name, { added, changed, removed }]) => {
    const counts = [...count(added, "new"), ...count(changed, "changed"), ...count(removed, "taken out")];
    return counts.length === 0 ? [] : [`${name} ${counts.join(", ")}`];
  });
  return parts.length === 0 ? "nothing changes" : parts.join("; ");
}

function count(list: readonly string[], word: string): string[] {
  return list.length === 0 ? [] : [`${list.length} ${word}`];
}

async function page(session: RbacSession, { difference, decisions, notAsked, changed, examples }: DryRun, span: string): Promise<string> {
  const nameOf = await namesOf(
    session,
    examples.slice(0, SHOWN).map(({ userId }) => userId),
  );
  return `${[
    `changes   ${differenceWords(difference)}`,
    ...Object.values(difference).flatMap(({ added, changed: other, removed }) => [
      ...added.slice(0, SHOWN).map((one: string) => `  +       ${line(one)}`),
      ...other.slice(0, SHOWN).map((one: string) => `  ~       ${line(one)}`),
      ...removed.slice(0, SHOWN).map((one: string) => `  -       ${line(one)}`),
    ]),
    `decisions ${changed} of ${decisions} of the last ${span} would be others${notAsked === 0 ? "" : `; ${notAsked} on record could not be asked again`}`,
    ...examples.slice(0, SHOWN).map((one) => `          ${exampleWords(one, nameOf(one.userId))}`),
    ...(examples.length > SHOWN ? [`          and more: --json has the first ${examples.length}`] : []),
  ].join("\n")}\n`;
}

function exampleWords({ seq, at, permission, repository, count: times, before, after }: ChangedDecision, user: string): string {
  const where = repository === undefined ? "" : ` on ${line(repository)}`;
  return `record ${seq}, ${at.slice(0, 16)}Z: ${user} ${line(permission)}${where}: ${before}, would be ${after}${times === 1 ? "" : `, ${times} times`}`;
}

/** `cofferdam rbac check|explain`: may a user do something, and why. Exit 0 for yes, 4 for no. */
import { CofferdamError, ERROR_TABLE } from "../../foundation/index.ts";
import type { AccessContext, Decision } from "../../rbac/index.ts";
import type { Command, CommandContext, OptionSpec } from "./command.ts";
import { line } from "./line.ts";
import { decisionDocument, isSelf, namedUser, PLACE_OPTIONS, placeOf, type RbacSession, requireRight, textOf, twoWords, withRbac } from "./rbac-session.ts";

const OPTIONS: Readonly<Record<string, OptionSpec>> = { ...PLACE_OPTIONS, ip: { type: "string", value: "ADDRESS", describe: "where the user asks from" } };
const USAGE = "USER PERMISSION [--repo O/R] [--organisation NAME] [--environment NAME] [--ip ADDRESS]";

export const checkCommand: Command = {
  name: "check",
  summary: "May a user do something? Exit 0 for yes, 4 for no. The decision goes on record.",
  usage: USAGE,
  examples: ["cofferdam rbac check ada jobs:create --repo acme/web", "cofferdam rbac check ada secrets:read --repo acme/web --json"],
  options: OPTIONS,
  run: async (context) => await answer(context, "check"),
};

export const explainCommand: Command = {
  name: "explain",
  summary: "The same with the way there: rule, roles, the condition that failed, what would help. Nothing goes on record.",
  usage: USAGE,
  examples: ["cofferdam rbac explain ada jobs:create --repo acme/web"],
  options: OPTIONS,
  run: async (context) => await answer(context, "explain"),
};

async function answer(context: CommandContext, name: "check" | "explain"): Promise<number> {
  return await withRbac(context, async (session) => {
    const [word, permission] = twoWords(context, "USER", "PERMISSION", `rbac ${name}`);
    const { rbac, actor } = session;
    const { id, username } = await namedUser(rbac, word);
    if (!isSelf(actor, id)) await requireRight(session, "users:read");
    const decision = await decide(session, name, id, permission, { ...placeOf(context), ipAddress: textOf(context.values["ip"]) });
    if (context.globals.json) context.out.json({ schema: `cofferdam/rbac-${name}/v1`, ...decisionDocument(decision) });
    else {
      // Ids say little to people.
      const words = page({ ...decision, explanation: decision.explanation.replaceAll(id, username) });
      context.out.data(name === "explain" ? `${words.join("\n")}\n` : `${words[0]}\n`);
    }
    return decision.allowed ? 0 : ERROR_TABLE.PERMISSION_DENIED.exit;
  });
}

async function decide({ rbac }: RbacSession, name: "check" | "explain", id: string, permission: string, asked: AccessContext): Promise<Decision> {
  if (name === "explain") return await rbac.explainPermission(id, permission, asked);
  const allowed = await rbac.checkPermission(id, permission, asked);
  const decision = await rbac.explainPermission(id, permission, asked);
  if (decision.allowed !== allowed) throw new CofferdamError("CONFLICT", "the policy changed meanwhile; ask again");
  return decision;
}

/** The answer comes first. */
function page({ allowed, explanation, rule, path, failed, remedy, validUntil }: Decision): string[] {
  return [
    `${allowed ? "allowed" : "denied "}  ${line(explanation, 1000)}`,
    ...(rule === undefined ? [] : [`rule     ${line(rule)}`]),
    ...(path.length === 0 ? [] : [`through  ${line(path.join(" > "), 1000)}`]),
    ...(failed === undefined ? [] : [`${failed.outcome === "unknown" ? "unknown" : "failed "}  ${failed.kind}: ${line(failed.detail, 1000)}`]),
    ...(remedy === undefined ? [] : [`helps    ${line(remedy, 1000)}`]),
    ...(validUntil === undefined ? [] : [`until    ${new Date(validUntil).toISOString().slice(0, 16)}Z`]),
  ];
}

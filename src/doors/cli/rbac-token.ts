/** `cofferdam rbac token ...`: API tokens for programs. */
import { CofferdamError, parseDuration } from "../../foundation/index.ts";
import type { AccessLimits, TokenRecord } from "../../rbac/index.ts";
import { CLIENT } from "./client.ts";
import type { Command, CommandGroup } from "./command.ts";
import { line } from "./line.ts";
import { listedUser, namedUser, namesOf, noWords, oneWord, requireRight, textOf, textsOf, withRbac } from "./rbac-session.ts";
import { TypedSecrets } from "./typed-secret.ts";

const create: Command = {
  name: "create",
  summary: "A token that acts for a user, limited to what it is for; printed once, stored as a hash.",
  usage: "USER --name TEXT [--permission R:V]... [--repo PATTERN]... [--expires TIME]",
  examples: ["cofferdam rbac token create nightly --name 'nightly build' --permission jobs:create --repo 'acme/*' --expires 30d"],
  options: {
    name: { type: "string", value: "TEXT", describe: "what it is for" },
    permission: { type: "string", multiple: true, value: "R:V", describe: "no more than these (default: whatever its user may)" },
    repo: { type: "string", multiple: true, value: "PATTERN", describe: "in no others than these: acme/web, acme/*" },
    expires: { type: "string", value: "TIME", describe: "how long it is good, up to 366d (default 90d)" },
  },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const word = oneWord(context, "USER", "rbac token create");
      const { values, out, globals } = context;
      const [name, life] = [textOf(values["name"]), textOf(values["expires"])];
      if (name === undefined) throw new CofferdamError("INVALID_ARGUMENT", "--name is missing: say what the token is for");
      const { id } = await namedUser(rbac, word);
      const limits = limitsOf(textsOf(values["permission"]), textsOf(values["repo"]));
      const made = await rbac.identity.tokens.createToken(id, { name, limits, ...(life !== undefined && { life: parseDuration(life) }) }, actor);
      if (globals.json) out.json({ schema: "cofferdam/rbac-token-create/v1", ...made });
      else {
        out.data(`${made.token}\n`);
        out.note(`cofferdam: ${made.id}, good until ${made.expiresAt.slice(0, 16)}Z, ${limitWords(made.limits)}; it is not shown again`);
      }
      return 0;
    }),
};

const list: Command = {
  name: "list",
  summary: "Tokens that are good, newest first, without their secrets.",
  usage: "[USER]",
  examples: ["cofferdam rbac token list", "cofferdam rbac token list nightly --json"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      const userId = await listedUser(context, session, "rbac token list", "tokens:read");
      const tokens = await session.rbac.identity.tokens.listTokens(userId);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-token-list/v1", tokens });
      else {
        const nameOf = await namesOf(
          session,
          tokens.map((token) => token.userId),
        );
        context.out.data(tokens.map((token) => `${tokenRow(token, nameOf(token.userId))}\n`).join(""));
      }
      return 0;
    }),
};

const revoke: Command = {
  name: "revoke",
  summary: "Ends a token at once, with the sessions that were opened with it.",
  usage: "ID",
  examples: ["cofferdam rbac token revoke tok_01k2"],
  options: {},
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const id = oneWord(context, "ID", "rbac token revoke");
      const { name } = await rbac.identity.tokens.revokeToken(id, actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-token-revoke/v1", tokenId: id });
      else context.out.note(`cofferdam: token ${line(id)} (${line(name)}) is over`);
      return 0;
    }),
};

const verify: Command = {
  name: "verify",
  summary: "Whose a token is and what it is limited to; the token is read from standard input or asked for. Exit 4 for one that is not good.",
  usage: "",
  examples: ["printf '%s\\n' \"$TOKEN\" | cofferdam rbac token verify"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      noWords(context, "rbac token verify");
      await requireRight(session, "tokens:read");
      const token = await new TypedSecrets(context).next("token");
      const { userId, tokenId, limits, expiresAt } = await session.rbac.identity.tokens.verifyToken(token, CLIENT);
      const nameOf = await namesOf(session, [userId]);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-token-verify/v1", userId, tokenId, limits, expiresAt });
      else context.out.data(`good     ${tokenId} of ${nameOf(userId)} until ${expiresAt.slice(0, 16)}Z, ${limitWords(limits)}\n`);
      return 0;
    }),
};

export const tokenCommands: CommandGroup = { name: "token", summary: "API tokens for programs.", commands: [create, list, revoke, verify] };

function limitsOf(permissions: readonly string[] | undefined, repositories: readonly string[] | undefined): AccessLimits {
  return { ...(permissions !== undefined && { permissions }), ...(repositories !== undefined && { repositories }) };
}

function limitWords({ permissions, repositories }: AccessLimits): string {
  const what = permissions === undefined ? "whatever its user may" : permissions.join(", ");
  return line(`${what}${repositories === undefined ? "" : ` in ${repositories.join(", ")}`}`, 1000);
}

function tokenRow({ id, name, limits, expiresAt, lastUsedAt }: TokenRecord, user: string): string {
  const used = lastUsedAt === undefined ? "never used" : `used ${lastUsedAt.slice(0, 16)}Z`;
  return `${id}  ${user}  ${line(name)}  until ${expiresAt.slice(0, 16)}Z  ${used}  ${limitWords(limits)}`;
}

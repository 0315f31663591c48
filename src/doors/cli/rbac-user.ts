/** `cofferdam rbac user ...`: who there is, and what lets them in. */
import { CofferdamError } from "../../foundation/index.ts";
import type { Assignment, Scope, User } from "../../rbac/index.ts";
import { CLIENT } from "./client.ts";
import type { Command, CommandGroup } from "./command.ts";
import { line } from "./line.ts";
import { isSelf, namedUser, noWords, numberOf, oneWord, requireRight, textOf, withRbac } from "./rbac-session.ts";
import { TypedSecrets } from "./typed-secret.ts";

const list: Command = {
  name: "list",
  summary: "Users, in the order of their ids.",
  usage: "[--after ID] [--limit N]",
  examples: ["cofferdam rbac user list", "cofferdam rbac user list --json --after usr_01k2"],
  options: {
    after: { type: "string", value: "ID", describe: "go on after this one" },
    limit: { type: "string", value: "N", describe: "at most, 1 to 1000 (default 1000)" },
  },
  run: async (context) =>
    await withRbac(context, async (session) => {
      noWords(context, "rbac user list");
      await requireRight(session, "users:read");
      const { values, out, globals } = context;
      const users = await session.rbac.listUsers({ after: textOf(values["after"]), limit: numberOf(values, "limit", 1000) });
      if (globals.json) out.json({ schema: "cofferdam/rbac-user-list/v1", users });
      else out.data(users.map((user) => `${userRow(user)}\n`).join(""));
      return 0;
    }),
};

const show: Command = {
  name: "show",
  summary: "One user: roles and where they hold, what lets the user in.",
  usage: "USER",
  examples: ["cofferdam rbac user show ada"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      const word = oneWord(context, "USER", "rbac user show");
      await requireRight(session, "users:read");
      const { rbac } = session;
      const user = await namedUser(rbac, word);
      const assignments = await rbac.listAssignments({ userId: user.id });
      const credentials = { ...(await rbac.identity.accounts.credentialsOf(user.id)), tokens: (await rbac.identity.tokens.listTokens(user.id)).length };
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-user-show/v1", user, assignments, credentials });
      else context.out.data(userPage(user, assignments, credentials));
      return 0;
    }),
};

const create: Command = {
  name: "create",
  summary: "A new user, without any right and without a way in.",
  usage: "NAME [--service] [--full-name TEXT] [--email ADDRESS] [--id ID] [--github ID:LOGIN]",
  examples: ["cofferdam rbac user create ada --full-name 'Ada Lovelace'", "cofferdam rbac user create nightly --service"],
  options: {
    service: { type: "boolean", describe: "a program: no password, tokens alone" },
    "full-name": { type: "string", value: "TEXT", describe: "as people write it" },
    email: { type: "string", value: "ADDRESS", describe: "an address" },
    id: { type: "string", value: "ID", describe: "an id of your own (default: a new one)" },
    github: { type: "string", value: "ID:LOGIN", describe: "the account at GitHub: its number and its login" },
  },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const username = oneWord(context, "NAME", "rbac user create");
      const { values, out, globals } = context;
      const [id, email, name, github] = ["id", "email", "full-name", "github"].map((option) => textOf(values[option]));
      const user = await rbac.createUser(
        { username, id, email, name, kind: values["service"] === true ? "service" : "person", github: accountOf(github) },
        actor,
      );
      if (globals.json) out.json({ schema: "cofferdam/rbac-user-create/v1", user });
      else {
        out.data(`${user.id}\n`);
        const way = user.kind === "person" ? `user password ${user.username}` : `token create ${user.username}`;
        out.note(`cofferdam: ${user.username} is there; a way in: cofferdam rbac ${way}; a role: cofferdam rbac assign ${user.username} ROLE`);
      }
      return 0;
    }),
};

const disable = stateCommand("disable", "Takes every right and every way in from a user, until enabled again; sessions end.", true);
const enable = stateCommand("enable", "Gives a disabled user back what was there.", false);

const remove: Command = {
  name: "delete",
  summary: "Takes a user out, with roles, tokens and sessions. The audit trail stays.",
  usage: "USER",
  examples: ["cofferdam rbac user delete ada"],
  options: {},
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const word = oneWord(context, "USER", "rbac user delete");
      const { id, username } = await namedUser(rbac, word);
      await rbac.deleteUser(id, actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-user-delete/v1", userId: id });
      else context.out.note(`cofferdam: ${username} is gone, on record`);
      return 0;
    }),
};

const password: Command = {
  name: "password",
  summary: "Sets a password, from standard input or asked for; sessions of the user end. One's own: the old one first, then the new one.",
  usage: "USER",
  examples: ["cofferdam rbac user password ada", "printf '%s\\n' \"$NEW\" | cofferdam rbac user password ada"],
  options: {},
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const word = oneWord(context, "USER", "rbac user password");
      const { id, username } = await namedUser(rbac, word);
      const typed = new TypedSecrets(context);
      const { accounts } = rbac.identity;
      if (isSelf(actor, id)) {
        const [old, fresh] = [await typed.next(`old password of ${username}`), await typed.nextNew(`new password of ${username}`)];
        const code = (await accounts.credentialsOf(id)).secondFactor ? await typed.next("code of the second factor") : undefined;
        await accounts.changePassword({ username, password: old, code }, fresh, CLIENT);
      } else await accounts.setPassword(id, await typed.nextNew(`new password of ${username}`), actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-user-password/v1", userId: id });
      else context.out.note(`cofferdam: the password of ${username} is set, and open sessions ended`);
      return 0;
    }),
};

const totp: Command = {
  name: "totp",
  summary: "A second factor: prints the secret for an authenticator app; then --confirm with a code of it, which prints recovery codes.",
  usage: "USER [--confirm | --remove]",
  examples: ["cofferdam rbac user totp ada", "cofferdam rbac user totp ada --confirm", "cofferdam rbac user totp ada --remove"],
  options: {
    confirm: { type: "boolean", describe: "put it to use; a code is read from standard input or asked for" },
    remove: { type: "boolean", describe: "take it away; one's own takes a code of it" },
  },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const word = oneWord(context, "USER", "rbac user totp");
      const { values, out, globals } = context;
      const { id, username } = await namedUser(rbac, word);
      const { accounts } = rbac.identity;
      const typed = new TypedSecrets(context);
      if (values["confirm"] === true && values["remove"] === true) throw new CofferdamError("INVALID_ARGUMENT", "--confirm or --remove, not both");
      if (values["remove"] === true) {
        const own = isSelf(actor, id);
        const removed = await accounts.removeSecondFactor(id, actor, own ? await typed.next("code of the second factor") : undefined);
        if (globals.json) out.json({ schema: "cofferdam/rbac-user-totp/v1", userId: id, removed });
        else out.note(`cofferdam: ${username} has no second factor${removed ? " any more" : ""}`);
      } else if (values["confirm"] === true) {
        const recoveryCodes = await accounts.confirmSecondFactor(id, await typed.next("code from the authenticator app"), actor);
        if (globals.json) out.json({ schema: "cofferdam/rbac-user-totp/v1", userId: id, recoveryCodes });
        else {
          out.data(recoveryCodes.map((code) => `${code}\n`).join(""));
          out.note("cofferdam: the second factor counts from now on; each of these codes opens once when the phone is lost, and they are not shown again");
        }
      } else {
        const { secret, address } = await accounts.enrolSecondFactor(id, actor);
        if (globals.json) out.json({ schema: "cofferdam/rbac-user-totp/v1", userId: id, secret, address });
        else {
          out.data(`${secret}\n${address}\n`);
          out.note(`cofferdam: put it into an authenticator app, then: cofferdam rbac user totp ${username} --confirm`);
        }
      }
      return 0;
    }),
};

export const userCommands: CommandGroup = {
  name: "user",
  summary: "Who there is, and what lets them in.",
  commands: [list, show, create, disable, enable, remove, password, totp],
};

function stateCommand(name: "disable" | "enable", summary: string, disabled: boolean): Command {
  return {
    ...{ name, summary, usage: "USER", examples: [`cofferdam rbac user ${name} ada`], options: {} },
    run: async (context) =>
      await withRbac(context, async ({ rbac, actor }) => {
        const word = oneWord(context, "USER", `rbac user ${name}`);
        const user = await rbac.updateUser((await namedUser(rbac, word)).id, { disabled }, actor);
        if (disabled) await rbac.identity.sessions.revokeUserSessions(user.id, actor);
        if (context.globals.json) context.out.json({ schema: `cofferdam/rbac-user-${name}/v1`, user });
        else context.out.note(`cofferdam: ${user.username} is ${name}d`);
        return 0;
      }),
  };
}

function accountOf(text: string | undefined): User["github"] {
  if (text === undefined) return undefined;
  const [, id, login] = /^(\d{1,15}):(.{1,100})$/.exec(text) ?? [];
  if (id === undefined || login === undefined)
    throw new CofferdamError("INVALID_ARGUMENT", "--github is the number of the account and its login: 583231:octocat");
  return { id: Number(id), login };
}

function userRow({ id, username, kind, name, disabled }: User): string {
  return `${line(username).padEnd(20)}  ${kind.padEnd(7)}  ${line(id)}${name === undefined ? "" : `  ${line(name)}`}${disabled ? "  disabled" : ""}`;
}

function userPage(
  user: User,
  assignments: readonly Assignment[],
  credentials: { readonly password: boolean; readonly secondFactor: boolean; readonly tokens: number },
): string {
  const { email, github } = user;
  const ways = [
    ...(credentials.password ? ["a password"] : []),
    ...(credentials.secondFactor ? ["a second factor"] : []),
    ...(credentials.tokens === 0 ? [] : [credentials.tokens === 1 ? "1 token" : `${credentials.tokens} tokens`]),
  ];
  return `${[
    userRow(user),
    ...(email === undefined ? [] : [`email     ${line(email)}`]),
    ...(github === undefined ? [] : [`github    ${line(github.login)} (${github.id})`]),
    `way in    ${ways.length === 0 ? "none" : ways.join(", ")}`,
    ...assignments.map((one) => `role      ${assignmentWords(one)}`),
    ...(assignments.length === 0 ? ["role      none"] : []),
  ].join("\n")}\n`;
}

/** `ci on acme/web until 2027-01-31T00:00Z, by local-owner`. */
export function assignmentWords({ roleId, scope, expiresAt, grantedBy }: Assignment): string {
  return `${line(roleId)} ${placeWords(scope)}${expiresAt === undefined ? "" : ` until ${expiresAt.slice(0, 16)}Z`}, by ${line(grantedBy)}`;
}

export function placeWords(scope: Scope | undefined): string {
  const { repository, organisation, environment } = scope ?? {};
  const where = repository ?? (organisation === undefined ? undefined : `${organisation}/*`);
  const parts = [...(where === undefined ? [] : [`on ${line(where)}`]), ...(environment === undefined ? [] : [`in ${line(environment)}`])];
  return parts.length === 0 ? "everywhere" : parts.join(" ");
}

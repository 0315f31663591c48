/** `cofferdam rbac session ...` and `login`: who is logged in, and ending it. */
import { CofferdamError } from "../../foundation/index.ts";
import type { SessionRecord } from "../../rbac/index.ts";
import { CLIENT } from "./client.ts";
import type { Command, CommandGroup } from "./command.ts";
import { line } from "./line.ts";
import { namedUser, namesOf, noWords, oneWord, requireRight, textOf, withRbac } from "./rbac-session.ts";
import { TypedSecrets } from "./typed-secret.ts";

const list: Command = {
  name: "list",
  summary: "Open sessions, newest first, without their secrets.",
  usage: "[USER]",
  examples: ["cofferdam rbac session list", "cofferdam rbac session list ada --json"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      const { rbac, actor } = session;
      const word = context.args.length === 0 ? undefined : oneWord(context, "USER", "rbac session list");
      const userId = word === undefined ? undefined : (await namedUser(rbac, word)).id;
      if (!(actor.kind === "user" && actor.userId === userId)) await requireRight(session, "sessions:read");
      const sessions = await rbac.identity.sessions.listSessions(userId);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-session-list/v1", sessions });
      else {
        const nameOf = await namesOf(
          session,
          sessions.map((one) => one.userId),
        );
        context.out.data(sessions.map((one) => `${sessionRow(one, nameOf(one.userId))}\n`).join(""));
      }
      return 0;
    }),
};

const revoke: Command = {
  name: "revoke",
  summary: "Ends a session, or all of a user, at once and everywhere.",
  usage: "ID | --user USER",
  examples: ["cofferdam rbac session revoke ses_01k2", "cofferdam rbac session revoke --user ada"],
  options: { user: { type: "string", value: "USER", describe: "all of this user" } },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const user = textOf(context.values["user"]);
      const { sessions } = rbac.identity;
      let ended: number;
      if (user === undefined) {
        const id = oneWord(context, "ID", "rbac session revoke");
        // The secret itself has no business among the arguments.
        if (!id.startsWith("ses_") || !(await sessions.revokeSession(id, actor)))
          throw new CofferdamError("NOT_FOUND", "no session of that id: it is the one that the list shows", { hint: "cofferdam rbac session list" });
        ended = 1;
      } else {
        noWords(context, "rbac session revoke");
        ended = await sessions.revokeUserSessions((await namedUser(rbac, user)).id, actor);
      }
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-session-revoke/v1", ended });
      else context.out.note(`cofferdam: ${ended === 1 ? "1 session" : `${ended} sessions`} ended`);
      return 0;
    }),
};

export const loginCommand: Command = {
  name: "login",
  summary: "Opens a session with a password (and a code, where there is a second factor), and prints its secret: for COFFERDAM_SESSION.",
  usage: "USER",
  examples: ["COFFERDAM_SESSION=$(cofferdam rbac login ada) && export COFFERDAM_SESSION"],
  options: { recovery: { type: "boolean", describe: "the second factor is a recovery code" } },
  run: async (context) =>
    await withRbac({ ...context, env: { ...context.env, COFFERDAM_SESSION: "", COFFERDAM_TOKEN: "" } }, async ({ rbac }) => {
      const username = oneWord(context, "USER", "rbac login");
      const typed = new TypedSecrets(context);
      const { logins, sessions, accounts } = rbac.identity;
      const password = await typed.next(`password of ${line(username)}`);
      const user = await rbac.findUser(username);
      // Whoever stands here owns the state directory: that there is a second factor is no secret from them.
      const asks = user !== undefined && (await accounts.credentialsOf(user.id)).secondFactor;
      const factor = asks ? await typed.next(context.values["recovery"] === true ? "recovery code" : "code of the second factor") : undefined;
      const input = { username, password, ...(context.values["recovery"] === true ? { recoveryCode: factor } : { code: factor }) };
      const authentication = await logins.login(input, CLIENT);
      const { id, handle, expiresAt } = await sessions.createSession(authentication.userId, { ...CLIENT, authentication });
      if (context.globals.json)
        context.out.json({ schema: "cofferdam/rbac-login/v1", session: id, handle, userId: authentication.userId, mfa: authentication.mfa, expiresAt });
      else {
        context.out.data(`${id}\n`);
        context.out.note(`cofferdam: ${handle}, until ${expiresAt.slice(0, 16)}Z at the latest`);
      }
      return 0;
    }),
};

export const sessionCommands: CommandGroup = { name: "session", summary: "Who is logged in, and ending it.", commands: [list, revoke] };

function sessionRow({ handle, method, mfa, createdAt, lastSeenAt, expiresAt, ipAddress, userAgent, vouchedBy }: SessionRecord, user: string): string {
  const from = [ipAddress, userAgent, vouchedBy === undefined ? undefined : `vouched for by ${vouchedBy}`].filter((one) => one !== undefined);
  const times = `since ${createdAt.slice(0, 16)}Z, used ${lastSeenAt.slice(0, 16)}Z, until ${expiresAt.slice(0, 16)}Z`;
  return `${handle}  ${user}  ${method}${mfa ? " and second factor" : ""}  ${times}${from.length === 0 ? "" : `  ${line(from.join(", "))}`}`;
}

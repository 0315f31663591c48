/** `cofferdam rbac session ...` and `login`: who is logged in, and ending it. */
import { CofferdamError } from "../../foundation/index.ts";
import type { Authentication, RBACSystem, SessionRecord } from "../../rbac/index.ts";
import { CLIENT } from "./client.ts";
import type { Command, CommandContext, CommandGroup } from "./command.ts";
import { line } from "./line.ts";
import { listedUser, namedUser, namesOf, noWords, oneWord, textOf, withRbac } from "./rbac-session.ts";
import { TypedSecrets } from "./typed-secret.ts";

const list: Command = {
  name: "list",
  summary: "Open sessions, newest first, without their secrets.",
  usage: "[USER]",
  examples: ["cofferdam rbac session list", "cofferdam rbac session list ada --json"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      const userId = await listedUser(context, session, "rbac session list", "sessions:read");
      const sessions = await session.rbac.identity.sessions.listSessions(userId);
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
  summary: "Opens a session with a password (and a code, where there is a second factor), or with a job's token, and prints its secret: for COFFERDAM_SESSION.",
  usage: "USER | --job",
  examples: [
    "COFFERDAM_SESSION=$(cofferdam rbac login ada) && export COFFERDAM_SESSION",
    "COFFERDAM_SESSION=$(printf '%s\\n' \"$OIDC_TOKEN\" | cofferdam rbac login --job)",
  ],
  options: {
    job: { type: "boolean", describe: "with a token of GitHub Actions, for the user that identity.jobs of the policy names" },
    recovery: { type: "boolean", describe: "the second factor is a recovery code" },
  },
  run: async (context) =>
    await withRbac({ ...context, env: { ...context.env, COFFERDAM_SESSION: "", COFFERDAM_TOKEN: "" } }, async ({ rbac }) => {
      const authentication = context.values["job"] === true ? await byJobToken(context, rbac) : await byPassword(context, rbac);
      const { userId, mfa } = authentication;
      const { id, handle, expiresAt } = await rbac.identity.sessions.createSession(userId, { ...CLIENT, authentication });
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-login/v1", session: id, handle, userId, mfa, expiresAt });
      else {
        context.out.data(`${id}\n`);
        context.out.note(`cofferdam: ${handle}, until ${expiresAt.slice(0, 16)}Z at the latest`);
      }
      return 0;
    }),
};

async function byPassword(context: CommandContext, rbac: RBACSystem): Promise<Authentication> {
  const username = oneWord(context, "USER", "rbac login");
  const typed = new TypedSecrets(context);
  const { logins, accounts } = rbac.identity;
  const password = await typed.next(`password of ${line(username)}`);
  const user = await rbac.findUser(username);
  // Whoever stands here owns the state directory: that there is a second factor is no secret from them.
  const asks = user !== undefined && (await accounts.credentialsOf(user.id)).secondFactor;
  const recovery = context.values["recovery"] === true;
  const factor = asks ? await typed.next(recovery ? "recovery code" : "code of the second factor") : undefined;
  return await logins.login({ username, password, ...(recovery ? { recoveryCode: factor } : { code: factor }) }, CLIENT);
}

async function byJobToken(context: CommandContext, rbac: RBACSystem): Promise<Authentication> {
  noWords(context, "rbac login");
  const token = await new TypedSecrets(context).next("token of the job");
  const { authentication, standing, eventName, repository } = await rbac.identity.jobTokens.verifyJobToken(token, CLIENT);
  if (authentication !== undefined) return authentication;
  throw new CofferdamError(
    "PERMISSION_DENIED",
    standing === "outside"
      ? `the job is good, and gets no session: an event ${eventName} may be the work of a stranger`
      : `the job is good, and gets no session: identity.jobs names no user for ${line(repository)} who is there and enabled`,
    { hint: "cofferdam policy explain identity.jobs" },
  );
}

export const sessionCommands: CommandGroup = { name: "session", summary: "Who is logged in, and ending it.", commands: [list, revoke] };

function sessionRow({ handle, method, mfa, createdAt, lastSeenAt, expiresAt, ipAddress, userAgent, vouchedBy }: SessionRecord, user: string): string {
  const from = [ipAddress, userAgent, vouchedBy === undefined ? undefined : `vouched for by ${vouchedBy}`].filter((one) => one !== undefined);
  const times = `since ${createdAt.slice(0, 16)}Z, used ${lastSeenAt.slice(0, 16)}Z, until ${expiresAt.slice(0, 16)}Z`;
  return `${handle}  ${user}  ${method}${mfa ? " and second factor" : ""}  ${times}${from.length === 0 ? "" : `  ${line(from.join(", "))}`}`;
}

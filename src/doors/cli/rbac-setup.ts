/** `cofferdam rbac setup|recover|reset-clock`: the first administrator, and ways back in; for the owner of the state directory. */
import { CofferdamError, formatDuration } from "../../foundation/index.ts";
import type { Command } from "./command.ts";
import { noWords, oneWord, withRbac } from "./rbac-session.ts";
import { TypedSecrets } from "./typed-secret.ts";

export const setupCommand: Command = {
  name: "setup",
  summary: "Makes the first administrator; or, with --token, prints a one-time token that lets somebody else be it, for an hour.",
  usage: "NAME | --token",
  examples: ["cofferdam rbac setup ada", "cofferdam rbac setup --token"],
  options: { token: { type: "boolean", describe: "print a one-time token instead" } },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const { out, globals, values } = context;
      const { recovery } = rbac.identity;
      if (values["token"] === true) {
        noWords(context, "rbac setup");
        const made = await recovery.createSetupToken(actor);
        if (globals.json) out.json({ schema: "cofferdam/rbac-setup/v1", ...made });
        else {
          out.data(`${made.token}\n`);
          out.note(`cofferdam: it makes one administrator, until ${made.expiresAt.slice(0, 16)}Z`);
        }
        return 0;
      }
      const username = oneWord(context, "NAME", "rbac setup");
      const { token } = await recovery.createSetupToken(actor);
      const user = await recovery.setUp(token, { username }, await new TypedSecrets(context).nextNew(`password of ${username}`));
      if (globals.json) out.json({ schema: "cofferdam/rbac-setup/v1", user });
      else out.note(`cofferdam: ${user.username} is the administrator; next: cofferdam rbac user totp ${user.username}`);
      return 0;
    }),
};

export const recoverCommand: Command = {
  name: "recover",
  summary: "Lets somebody in again who is locked out: a new password, no second factor, no waits; sessions end. On record.",
  usage: "USER",
  examples: ["cofferdam rbac recover ada"],
  options: {},
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const username = oneWord(context, "USER", "rbac recover");
      if (actor.kind !== "local-owner") throw new CofferdamError("PERMISSION_DENIED", "to recover an account: for the owner of the state directory alone");
      const user = await rbac.identity.recovery.recover(username, await new TypedSecrets(context).nextNew(`new password of ${username}`), actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-recover/v1", userId: user.id });
      else context.out.note(`cofferdam: ${user.username} gets in with the new password; second factors have to be set up again`);
      return 0;
    }),
};

export const resetClockCommand: Command = {
  name: "reset-clock",
  summary: "After the clock was ahead by mistake: takes it for right again. Every session ends.",
  usage: "",
  examples: ["cofferdam rbac reset-clock"],
  options: {},
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      noWords(context, "rbac reset-clock");
      const { clockBehind } = await rbac.identity.status();
      const ended = await rbac.identity.recovery.resetClock(actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-reset-clock/v1", wasBehind: clockBehind, sessionsEnded: ended });
      else
        context.out.note(
          `cofferdam: the clock counts as it is${clockBehind === 0 ? "" : ` (it was ${formatDuration(clockBehind)} behind)`}; ${ended} sessions ended`,
        );
      return 0;
    }),
};

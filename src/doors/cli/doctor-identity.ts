/** The doctor's look at who may get in: is there an administrator, do second factors stand, is the clock to be believed. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { formatDuration, messageOf } from "../../foundation/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import { type IdentityStatus, RBACSystem } from "../../rbac/index.ts";
import type { CommandContext } from "./command.ts";
import { counted } from "./counted.ts";
import type { Check } from "./doctor.ts";
import { openPolicy, withState } from "./session.ts";

export async function identity(context: CommandContext): Promise<Check> {
  const name = "identity";
  try {
    const { values } = await openPolicy(context);
    return await withState(context, async ({ store, audit }) => {
      await using rbac = new RBACSystem(audit, { store, storage: { directory: context.globals.state }, level: values.level });
      await rbac.initialize();
      const status = await rbac.identity.status();
      const exposed = exposedKey(context.globals.state);
      return { name, ...(exposed ?? (await judge(status, values.level, rbac))) };
    });
  } catch (error) {
    return { name, status: "fail", detail: messageOf(error), costs: "users, roles, logins and tokens", fix: "cofferdam audit verify" };
  }
}

type Finding = Omit<Check, "name">;

async function judge(status: IdentityStatus, level: EffectivePolicy["values"]["level"], rbac: RBACSystem): Promise<Finding> {
  const { users, hasAdministrator, clockBehind, sessions, tokens, tokensEnding, unrecorded } = status;
  if (users === 0) return { status: "ok", detail: "no users: whoever owns the state directory may do everything (the first one: cofferdam rbac setup NAME)" };
  if (!hasAdministrator)
    return {
      status: "warn",
      detail: `${counted(users, "user")}, and no administrator`,
      costs: "changes of roles by anybody but the owner of the state directory",
      fix: "cofferdam rbac setup NAME",
    };
  if (clockBehind > 0)
    return {
      status: "warn",
      detail: `the clock is ${formatDuration(clockBehind)} behind what it was: what had expired by then stays so`,
      costs: "new sessions and tokens end that much too early by the wall clock",
      fix: "set the clock; if it had been ahead by mistake: cofferdam rbac reset-clock",
    };
  if (unrecorded > 0)
    return {
      status: "warn",
      detail: `${counted(unrecorded, "change")} not on record yet`,
      costs: "nothing: recorded before the next change",
      fix: "cofferdam audit verify",
    };
  const bare = level === "high" || level === "paranoid" ? await administratorsWithoutFactor(rbac) : [];
  if (bare.length > 0)
    return {
      status: "warn",
      detail: `level ${level} asks administrators for a second factor, and ${bare.join(", ")} ${bare.length === 1 ? "has" : "have"} none`,
      costs: "their logins with a password",
      fix: `cofferdam rbac user totp ${bare[0] ?? "USER"}`,
    };
  const ending = tokensEnding === 0 ? "" : `, ${tokensEnding} of them for less than two weeks`;
  return { status: "ok", detail: `${counted(users, "user")}, ${counted(sessions, "session")}, ${counted(tokens, "token")}${ending}` };
}

async function administratorsWithoutFactor(rbac: RBACSystem): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { userId } of await rbac.listAssignments({ roleId: "admin" })) {
    const user = await rbac.getUser(userId);
    if (user === undefined || user.disabled || user.kind !== "person" || names.includes(user.username)) continue;
    if (!(await rbac.identity.accounts.credentialsOf(userId)).secondFactor) names.push(user.username);
  }
  return names;
}

/** The key that opens the secrets of second factors. There is none before the first of them. */
function exposedKey(state: string): Finding | undefined {
  const path = join(state, "keys", "identity.key");
  const mode = lstatSync(path, { throwIfNoEntry: false })?.mode;
  if (mode === undefined || (mode & 0o077) === 0) return undefined;
  return {
    status: "fail",
    detail: `others can read ${path}`,
    costs: "second factors: whoever read it and the database makes their codes",
    fix: `chmod 600 ${path}, and enrol second factors anew`,
  };
}

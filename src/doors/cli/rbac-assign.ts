/** `cofferdam rbac assign|unassign`: gives roles and takes them away, everywhere or in one place, for good or until then. */
import { CofferdamError, parseDuration, systemClock } from "../../foundation/index.ts";
import type { Command } from "./command.ts";
import { line } from "./line.ts";
import { namedUser, PLACE_OPTIONS, placeOf, textOf, twoWords, withRbac } from "./rbac-session.ts";
import { assignmentWords, placeWords } from "./rbac-user.ts";

export const assignCommand: Command = {
  name: "assign",
  summary: "Gives a user a role. Nobody gives what they lack.",
  usage: "USER ROLE [--repo O/R | --organisation NAME] [--environment NAME] [--expires TIME]",
  examples: ["cofferdam rbac assign ada manager", "cofferdam rbac assign ada developer --repo acme/web --expires 30d"],
  options: { ...PLACE_OPTIONS, expires: { type: "string", value: "TIME", describe: "when it ends: 30d, or 2027-01-31T18:00Z (default: never)" } },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const [word, role] = twoWords(context, "USER", "ROLE", "rbac assign");
      const { id, username } = await namedUser(rbac, word);
      const assignment = await rbac.assignRole(id, role, { scope: placeOf(context), expiresAt: endOf(textOf(context.values["expires"])) }, actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-assign/v1", assignment });
      else context.out.note(`cofferdam: ${username} has ${assignmentWords(assignment)}`);
      return 0;
    }),
};

export const unassignCommand: Command = {
  name: "unassign",
  summary: "Takes a role from a user, in the place that it was given for.",
  usage: "USER ROLE [--repo O/R | --organisation NAME] [--environment NAME]",
  examples: ["cofferdam rbac unassign ada developer --repo acme/web"],
  options: PLACE_OPTIONS,
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const [word, role] = twoWords(context, "USER", "ROLE", "rbac unassign");
      const { id, username } = await namedUser(rbac, word);
      const place = placeOf(context);
      if (!(await rbac.revokeRole(id, role, place, actor)))
        throw new CofferdamError("NOT_FOUND", `${username} does not have ${line(role)} ${placeWords(place)}`, { hint: `cofferdam rbac user show ${username}` });
      if (context.globals.json)
        context.out.json({ schema: "cofferdam/rbac-unassign/v1", userId: id, roleId: role, ...(place !== undefined && { scope: place }) });
      else context.out.note(`cofferdam: ${username} no longer has ${line(role)} ${placeWords(place)}`);
      return 0;
    }),
};

/** A span from now, or a moment. Throws INVALID_ARGUMENT. */
function endOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  if (/^\d+(\.\d+)?[a-z]+$/.test(text)) return new Date(systemClock.now() + parseDuration(text));
  const moment = new Date(text);
  if (!/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/.test(text) || Number.isNaN(moment.getTime()))
    throw new CofferdamError("INVALID_ARGUMENT", `not a time: ${JSON.stringify(text.slice(0, 40))}`, { hint: "30d, 2027-01-31, or 2027-01-31T18:00Z" });
  return moment;
}

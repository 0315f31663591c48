/** `cofferdam rbac role ...`: roles, the built-in ones and your own. */
import { CofferdamError } from "../../foundation/index.ts";
import { type Constraints, DAYS, type Day, type Role, type RoleInput } from "../../rbac/index.ts";
import type { Command, CommandContext, CommandGroup, OptionSpec } from "./command.ts";
import { line } from "./line.ts";
import { noWords, oneWord, requireRight, textOf, textsOf, withRbac } from "./rbac-session.ts";

const RULE_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  permission: { type: "string", multiple: true, value: "R:V", describe: "what it allows: jobs:create, workflows:*, *:read" },
  deny: { type: "string", multiple: true, value: "R:V", describe: "what it refuses, whatever else allows it" },
  inherits: { type: "string", multiple: true, value: "ROLE", describe: "a role whose rules it has too" },
  description: { type: "string", value: "TEXT", describe: "what it is for" },
  repositories: { type: "string", multiple: true, value: "WHICH", describe: "owned, assigned, public, or patterns: acme/*" },
  hours: { type: "string", value: "HH:MM-HH:MM", describe: "from, until before" },
  timezone: { type: "string", value: "ZONE", describe: "of the hours (default UTC): Europe/Berlin" },
  days: { type: "string", value: "DAYS", describe: "of the hours: mon,tue,wed" },
  ip: { type: "string", multiple: true, value: "CIDR", describe: "from these addresses alone" },
  mfa: { type: "boolean", describe: "with a second factor alone" },
};

const list: Command = {
  name: "list",
  summary: "Roles: those that come with the product, then your own.",
  usage: "",
  examples: ["cofferdam rbac role list", "cofferdam rbac role list --json"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      noWords(context, "rbac role list");
      await requireRight(session, "roles:read");
      const roles = await session.rbac.listRoles();
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-role-list/v1", roles });
      else context.out.data(roles.map((role) => `${roleRow(role)}\n`).join(""));
      return 0;
    }),
};

const show: Command = {
  name: "show",
  summary: "One role: what it allows and refuses, and under which conditions.",
  usage: "ROLE",
  examples: ["cofferdam rbac role show developer"],
  options: {},
  run: async (context) =>
    await withRbac(context, async (session) => {
      const id = oneWord(context, "ROLE", "rbac role show");
      await requireRight(session, "roles:read");
      const role = await session.rbac.getRole(id);
      if (role === undefined) throw new CofferdamError("NOT_FOUND", `no role ${JSON.stringify(id.slice(0, 64))}`, { hint: "cofferdam rbac role list" });
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-role-show/v1", role });
      else context.out.data(rolePage(role));
      return 0;
    }),
};

const create: Command = {
  name: "create",
  summary: "A role of your own. Conditions hold for the rules of this role; what it inherits has its own.",
  usage: "NAME [--id ID] [--permission R:V]... [--deny R:V]... [--inherits ROLE]... [conditions]",
  examples: [
    "cofferdam rbac role create 'CI Manager' --permission 'workflows:*' --permission runners:read --repositories owned",
    "cofferdam rbac role create night --inherits developer --deny secrets:read --hours 22:00-06:00 --timezone Europe/Berlin",
  ],
  options: { id: { type: "string", value: "ID", describe: "default: made of the name" }, ...RULE_OPTIONS },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const name = oneWord(context, "NAME", "rbac role create");
      const role = await rbac.createRole({ name, id: textOf(context.values["id"]), ...rulesOf(context) }, actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-role-create/v1", role });
      else {
        context.out.data(`${role.id}\n`);
        context.out.note(`cofferdam: role ${role.id} is there; give it: cofferdam rbac assign USER ${role.id}`);
      }
      return 0;
    }),
};

const update: Command = {
  name: "update",
  summary: "Changes a role of your own: each option that is given replaces what was there.",
  usage: "ROLE [--name TEXT] [--if-version N] [--no-conditions] [the options of create]",
  examples: ["cofferdam rbac role update ci-manager --permission 'workflows:*' --if-version 3"],
  options: {
    name: { type: "string", value: "TEXT", describe: "another name" },
    "if-version": { type: "string", value: "N", describe: "only if it is still at this version" },
    "no-conditions": { type: "boolean", describe: "takes every condition away" },
    ...RULE_OPTIONS,
  },
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const id = oneWord(context, "ROLE", "rbac role update");
      const { values, out, globals } = context;
      const version = values["if-version"];
      const rules = rulesOf(context);
      if (values["no-conditions"] === true && rules.constraints !== undefined) throw new CofferdamError("INVALID_ARGUMENT", "conditions, or none: not both");
      const constraints = values["no-conditions"] === true ? null : rules.constraints;
      const role = await rbac.updateRole(
        id,
        { ...rules, name: textOf(values["name"]), constraints, ifVersion: version === undefined ? undefined : Number(version) },
        actor,
      );
      if (globals.json) out.json({ schema: "cofferdam/rbac-role-update/v1", role });
      else out.note(`cofferdam: role ${role.id} is at version ${role.version}`);
      return 0;
    }),
};

const remove: Command = {
  name: "delete",
  summary: "Takes a role of your own out, when nobody has it any more.",
  usage: "ROLE",
  examples: ["cofferdam rbac role delete ci-manager"],
  options: {},
  run: async (context) =>
    await withRbac(context, async ({ rbac, actor }) => {
      const id = oneWord(context, "ROLE", "rbac role delete");
      await rbac.deleteRole(id, actor);
      if (context.globals.json) context.out.json({ schema: "cofferdam/rbac-role-delete/v1", roleId: id });
      else context.out.note(`cofferdam: role ${line(id)} is gone, on record`);
      return 0;
    }),
};

export const roleCommands: CommandGroup = {
  name: "role",
  summary: "What roles there are, and what they allow.",
  commands: [list, show, create, update, remove],
};

function rulesOf({ values }: CommandContext): Pick<RoleInput, "permissions" | "deny" | "inherits" | "description" | "constraints"> {
  return {
    permissions: textsOf(values["permission"]),
    deny: textsOf(values["deny"]),
    inherits: textsOf(values["inherits"]),
    description: textOf(values["description"]),
    constraints: constraintsOf(values),
  };
}

function constraintsOf(values: CommandContext["values"]): Constraints | undefined {
  const [repositories, hours, ip] = [textsOf(values["repositories"]), textOf(values["hours"]), textsOf(values["ip"])];
  const [first, second] = repositories ?? [];
  const relation = second === undefined && (first === "owned" || first === "assigned" || first === "public") ? first : undefined;
  if (hours === undefined && (values["timezone"] !== undefined || values["days"] !== undefined))
    throw new CofferdamError("INVALID_ARGUMENT", "--timezone and --days belong to --hours", { hint: "--hours 09:00-18:00" });
  const [startTime = "", endTime = ""] = hours?.split("-") ?? [];
  const constraints: Constraints = {
    ...(repositories !== undefined && { repositories: relation ?? repositories }),
    ...(hours !== undefined && { timeRestriction: { startTime, endTime, timezone: textOf(values["timezone"]), days: daysOf(textOf(values["days"])) } }),
    ...(ip !== undefined && { ipAllowList: ip }),
    ...(values["mfa"] === true && { mfa: true }),
  };
  return Object.keys(constraints).length === 0 ? undefined : constraints;
}

function daysOf(text: string | undefined): readonly Day[] | undefined {
  if (text === undefined) return undefined;
  return text.split(",").map((word) => {
    const day = DAYS.find((one) => one === word.trim());
    if (day === undefined) throw new CofferdamError("INVALID_ARGUMENT", `no day ${JSON.stringify(word.slice(0, 20))}: ${DAYS.join(",")}`);
    return day;
  });
}

function roleRow({ id, name, builtIn, description }: Role): string {
  return `${line(id).padEnd(20)}  ${builtIn ? "built in" : "yours   "}  ${line(description ?? name)}`;
}

function rolePage(role: Role): string {
  const { inherits, permissions, deny, constraints, version, builtIn } = role;
  const row = (word: string, texts: readonly string[]): string[] => (texts.length === 0 ? [] : [`${word.padEnd(10)}${line(texts.join(", "), 4000)}`]);
  return `${[
    roleRow(role),
    ...row("inherits", inherits),
    ...row("allows", permissions),
    ...row("refuses", deny),
    ...row("when", conditionWords(constraints)),
    ...(builtIn ? [] : [`version   ${version}`]),
  ].join("\n")}\n`;
}

function conditionWords({ repositories, timeRestriction, ipAllowList, mfa }: Constraints = {}): string[] {
  const { startTime, endTime, timezone = "UTC", days } = timeRestriction ?? {};
  return [
    ...(repositories === undefined ? [] : [`repository ${typeof repositories === "string" ? repositories : repositories.join(" or ")}`]),
    ...(timeRestriction === undefined ? [] : [`${startTime} to ${endTime} ${timezone}${days === undefined ? "" : ` on ${days.join(" ")}`}`]),
    ...(ipAllowList === undefined ? [] : [`from ${ipAllowList.join(" or ")}`]),
    ...(mfa === true ? ["with a second factor"] : []),
  ];
}

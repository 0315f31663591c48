/** Making, changing and taking out roles. */
import { CofferdamError, type JsonObject, parseInput } from "../../foundation/index.ts";
import type { Transaction } from "../../store/index.ts";
import { rulesOf } from "../authority.ts";
import { BUILT_IN_ROLES } from "../built-in-roles.ts";
import type { Changes, Work } from "../changes.ts";
import type { Actor, Role } from "../contract.ts";
import { foldName } from "../names.ts";
import { checkRoles } from "../role-graph.ts";
import { type RoleInput, type RolePatch, roleIdSchema, roleInputSchema, rolePatchSchema } from "../schemas.ts";

export class RoleDesk {
  readonly #changes: Changes;

  constructor(changes: Changes) {
    this.#changes = changes;
  }

  async create(input: RoleInput, actor?: Actor): Promise<Role> {
    const role = newRole(parseInput(roleInputSchema, input, "role"));
    const wanted = { action: "role_created", permission: "roles:create", resource: { type: "role", id: role.id } } as const;
    return await this.#changes.make(wanted, actor, async ({ tx, policy, requireHeld }) => {
      const { source } = policy.parts.roles;
      if (source.has(role.id)) throw taken(role);
      const after = new Map(source).set(role.id, role);
      checkRoles(after);
      requireHeld(rulesOf(after, role.id, "allow"));
      await insertRole(tx, role);
      return { result: role, before: undefined, after: recordOf(role), touched: [["role", role.id]] };
    });
  }

  async update(roleId: string, patch: RolePatch, actor?: Actor): Promise<Role> {
    const id = parseInput(roleIdSchema, roleId, "id of a role");
    const { ifVersion, constraints, ...changed } = parseInput(rolePatchSchema, patch, "change of a role");
    const wanted = { action: "role_updated", permission: "roles:update", resource: { type: "role", id } } as const;
    return await this.#changes.make(wanted, actor, async ({ tx, policy, requireHeld }) => {
      const { source } = policy.parts.roles;
      const before = ownRole(source, id);
      if (ifVersion !== undefined && ifVersion !== before.version)
        throw new CofferdamError("CONFLICT", `role ${id} was changed meanwhile: it is at version ${before.version}`, { hint: "read it again, then change it" });
      const role: Role = {
        ...before,
        ...Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined)),
        constraints: constraints === undefined ? before.constraints : (constraints ?? undefined),
        version: before.version + 1,
      };
      const after = new Map(source).set(id, role);
      checkRoles(after);
      // What it gives now, and what it no longer refuses.
      requireHeld([...rulesOf(after, id, "allow"), ...rulesOf(source, id, "deny")]);
      await updateRole(tx, role);
      return { result: role, before: recordOf(before), after: recordOf(role), touched: [["role", id]] };
    });
  }

  /** Throws CONFLICT while somebody has it or another role inherits it. @returns whether there was one. */
  async delete(roleId: string, actor?: Actor): Promise<boolean> {
    const id = parseInput(roleIdSchema, roleId, "id of a role");
    const wanted = { action: "role_deleted", permission: "roles:delete", resource: { type: "role", id } } as const;
    return await this.#changes.make(wanted, actor, async (at) => {
      const before = ownRole(at.policy.parts.roles.source, id);
      await deleteRole(at, id);
      return { result: true, before: recordOf(before), after: undefined, touched: [["role", id]] };
    });
  }
}

/** A role of one's own. Throws NOT_FOUND, FAILED_PRECONDITION for one that comes with the product. */
function ownRole(roles: ReadonlyMap<string, Role>, id: string): Role {
  const role = requireRole(roles, id);
  if (role.builtIn)
    throw new CofferdamError("FAILED_PRECONDITION", `role ${id} comes with the product and stays as it is`, {
      hint: "make one of your own that inherits from it",
    });
  return role;
}

/** Throws NOT_FOUND. */
export function requireRole(roles: ReadonlyMap<string, Role>, id: string): Role {
  const role = roles.get(id);
  if (role === undefined) throw new CofferdamError("NOT_FOUND", `no role ${JSON.stringify(id)}`, { hint: "cofferdam rbac role list" });
  return role;
}

export function newRole({ id, name, description, inherits = [], permissions = [], deny = [], constraints }: RoleInput): Role {
  const roleId =
    id ??
    foldName(name)
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-+|-+$/g, "")
      .slice(0, 64);
  const made: Role = { id: roleId, name, description, inherits, permissions, deny, constraints, builtIn: false, version: 1 };
  if (roleId === "") throw new CofferdamError("INVALID_ARGUMENT", `no id can be made of the name ${JSON.stringify(name)}`, { hint: "give the role an id" });
  return made;
}

export async function insertRole(tx: Transaction, role: Role): Promise<void> {
  await requireName(tx, role);
  await tx.run("INSERT INTO rbac_roles (id, name_key, body) VALUES (?, ?, ?)", [role.id, foldName(role.name), JSON.stringify(role)]);
}

export async function updateRole(tx: Transaction, role: Role): Promise<void> {
  await requireName(tx, role);
  await tx.run("UPDATE rbac_roles SET name_key = ?, body = ? WHERE id = ?", [foldName(role.name), JSON.stringify(role), role.id]);
}

/** Throws CONFLICT while somebody has it or another role inherits it. */
export async function deleteRole({ tx, policy }: Pick<Work, "tx" | "policy">, id: string): Promise<void> {
  const heir = [...policy.parts.roles.source.values()].find(({ inherits }) => inherits.includes(id));
  if (heir !== undefined) throw new CofferdamError("CONFLICT", `role ${heir.id} inherits from ${id}`, { hint: `take it out of ${heir.id} first` });
  const assignment = await tx.get("SELECT user_id FROM rbac_assignments WHERE role_id = ? LIMIT 1", [id]);
  if (assignment !== undefined)
    throw new CofferdamError("CONFLICT", `users have the role ${id}, ${String(assignment["user_id"])} among them`, { hint: "take it from them first" });
  await tx.run("DELETE FROM rbac_roles WHERE id = ?", [id]);
}

/** Two roles of one name would be taken for each other. */
async function requireName(tx: Transaction, role: Role): Promise<void> {
  const key = foldName(role.name);
  const other = await tx.get("SELECT id FROM rbac_roles WHERE name_key = ? AND id <> ?", [key, role.id]);
  if (other !== undefined || BUILT_IN_ROLES.has(key) || BUILT_IN_ROLES.has(role.id)) throw taken(role);
}

function recordOf({ builtIn: _none, ...role }: Role): JsonObject {
  // What is undefined is left out; constraints are plain data.
  const plain: JsonObject = JSON.parse(JSON.stringify(role));
  return plain;
}

function taken({ id, name }: Role): CofferdamError {
  return new CofferdamError("CONFLICT", `there is a role of that id or name already: ${id} (${name})`, { hint: "names compare without case" });
}

/** Giving roles to users, and taking them away. */
import { CofferdamError, type JsonObject, newId, parseInput } from "../../foundation/index.ts";
import type { Store, Transaction } from "../../store/index.ts";
import { rulesOf } from "../authority.ts";
import type { Changes } from "../changes.ts";
import type { Actor, Assignment, Scope } from "../contract.ts";
import { assignmentOf, scopeText } from "../records.ts";
import { type AssignOptions, assignOptionsSchema, idSchema, roleIdSchema, scopeSchema } from "../schemas.ts";
import { requireRole } from "./roles.ts";
import { knownId, requireUser } from "./users.ts";

/** Most roles of one user, each place counted. */
const MAX_ASSIGNMENTS = 1000;

export class AssignmentDesk {
  readonly #store: Store;
  readonly #changes: Changes;

  constructor(store: Store, changes: Changes) {
    this.#store = store;
    this.#changes = changes;
  }

  /** One that is there already for the same place is replaced: it ends then when this one does. */
  async assign(userId: string, roleId: string, options: AssignOptions = {}, actor?: Actor): Promise<Assignment> {
    const user = knownId(userId);
    const role = parseInput(roleIdSchema, roleId, "id of a role");
    const { scope, expiresAt } = parseInput(assignOptionsSchema, options, "options of assignRole");
    const wanted = { action: "role_assigned", permission: "roles:assign", resource: { type: "user", id: user }, scope } as const;
    return await this.#changes.make(wanted, actor, async ({ tx, policy, now, by, requireHeld }) => {
      const { source } = policy.parts.roles;
      await requireUser(tx, user);
      requireRole(source, role);
      if (expiresAt !== undefined && expiresAt <= now) throw new CofferdamError("INVALID_ARGUMENT", "the role would end before it begins");
      const before = await find(tx, user, role, scope);
      const given = { scope, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY };
      // One that ends earlier now no longer refuses, later on, what it refuses.
      requireHeld([
        ...rulesOf(source, role, "allow", given),
        ...(before === undefined ? [] : rulesOf(source, role, "deny", { scope, expiresAt: Number.POSITIVE_INFINITY })),
      ]);
      const assignment: Assignment = {
        id: before?.id ?? newId("asg"),
        ...{ userId: user, roleId: role, scope: scopeText(scope) === "" ? undefined : scope },
        expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
        ...{ grantedBy: by, createdAt: new Date(now).toISOString() },
      };
      await writeAssignment(tx, assignment);
      return { result: assignment, before: before && recordOf(before), after: recordOf(assignment), touched: [["user", user]] };
    });
  }

  /** @param scope the one it was given for. @returns whether there was one. */
  async revoke(userId: string, roleId: string, scope?: Scope, actor?: Actor): Promise<boolean> {
    const user = knownId(userId);
    const role = parseInput(roleIdSchema, roleId, "id of a role");
    const place = scope === undefined ? undefined : parseInput(scopeSchema, scope, "scope of an assignment");
    if ((await this.#store.read((tx) => find(tx, user, role, place))) === undefined) return false;
    const wanted = { action: "role_revoked", permission: "roles:assign", resource: { type: "user", id: user }, scope: place } as const;
    return await this.#changes.make(wanted, actor, async ({ tx, policy, requireHeld }) => {
      const before = await find(tx, user, role, place);
      if (before === undefined) throw new CofferdamError("CONFLICT", "somebody else took it away meanwhile");
      requireHeld(rulesOf(policy.parts.roles.source, role, "deny", { scope: place, expiresAt: Number.POSITIVE_INFINITY }));
      await tx.run("DELETE FROM rbac_assignments WHERE id = ?", [before.id]);
      return { result: true, before: recordOf(before), after: undefined, touched: [["user", user]] };
    });
  }

  /** Of a user, of a role, or of both; at most `limit` of them. */
  async list(of: { readonly userId?: string | undefined; readonly roleId?: string | undefined }, limit: number): Promise<readonly Assignment[]> {
    const user = of.userId === undefined ? undefined : parseInput(idSchema, of.userId, "id of a user");
    const role = of.roleId === undefined ? undefined : parseInput(roleIdSchema, of.roleId, "id of a role");
    const wanted = [...(user === undefined ? [] : ["user_id = ?"]), ...(role === undefined ? [] : ["role_id = ?"])];
    const where = wanted.length === 0 ? "" : `WHERE ${wanted.join(" AND ")}`;
    const keys = [user, role].filter((key) => key !== undefined);
    const rows = await this.#store.read((tx) =>
      tx.all(`SELECT body FROM rbac_assignments ${where} ORDER BY user_id, role_id, scope LIMIT ?`, [...keys, limit]),
    );
    return rows.map(assignmentOf);
  }
}

export async function writeAssignment(tx: Transaction, assignment: Assignment): Promise<void> {
  const { id, userId, roleId, scope, expiresAt } = assignment;
  const row = await tx.get("SELECT count(*) AS n FROM rbac_assignments WHERE user_id = ?", [userId]);
  if (Number(row?.["n"]) >= MAX_ASSIGNMENTS) throw new CofferdamError("PAYLOAD_TOO_LARGE", `user ${userId} has ${MAX_ASSIGNMENTS} roles already`);
  await tx.run(
    "INSERT INTO rbac_assignments (id, user_id, role_id, scope, expires_at, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, role_id, scope) DO UPDATE SET expires_at = excluded.expires_at, body = excluded.body",
    [id, userId, roleId, scopeText(scope), expiresAt === undefined ? null : Date.parse(expiresAt), JSON.stringify(assignment)],
  );
}

async function find(tx: Transaction, userId: string, roleId: string, scope: Scope | undefined): Promise<Assignment | undefined> {
  const row = await tx.get("SELECT body FROM rbac_assignments WHERE user_id = ? AND role_id = ? AND scope = ?", [userId, roleId, scopeText(scope)]);
  return row === undefined ? undefined : assignmentOf(row);
}

function recordOf({ roleId, scope, expiresAt }: Assignment): JsonObject {
  return { role: roleId, ...(scope !== undefined && { scope: JSON.parse(scopeText(scope)) }), ...(expiresAt !== undefined && { expiresAt }) };
}

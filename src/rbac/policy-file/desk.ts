/** Policies written out, read in, and tried on what was decided before. */
import { type Clock, type JsonObject, newId } from "../../foundation/index.ts";
import type { Store, Transaction } from "../../store/index.ts";
import { EVERYWHERE } from "../authority.ts";
import type { Changes, Work } from "../changes.ts";
import type { Actor, Assignment } from "../contract.ts";
import { writeAssignment } from "../desks/assignments.ts";
import { insertRole, updateRole } from "../desks/roles.ts";
import { insertUser, updateUser } from "../desks/users.ts";
import type { LivePolicy } from "../live-policy.ts";
import { assignmentOf, scopeText, userOf } from "../records.ts";
import { readRepository, writeRepository } from "../repositories/stored-facts.ts";
import type { FileAssignment, FileUser } from "../schemas.ts";
import { type FileRepository, type PolicyFile, parsePolicyFile, writePolicyFile } from "./file.ts";
import { type ImportPlan, type PlannedAssignment, type PolicyDifference, planImport } from "./plan.ts";

export interface ImportOptions {
  /** Take out roles, users and repositories that the file does not name, of the kinds that it has a list of. Default false. */
  readonly prune?: boolean | undefined;
  /** Say what would change, and change nothing. Default false. */
  readonly dryRun?: boolean | undefined;
}

export class PolicyFileDesk {
  readonly #store: Store;
  readonly #live: LivePolicy;
  readonly #changes: Changes;
  readonly #clock: Clock;

  constructor(store: Store, live: LivePolicy, changes: Changes, clock: Clock) {
    this.#store = store;
    this.#live = live;
    this.#changes = changes;
    this.#clock = clock;
  }

  async export(): Promise<string> {
    return await this.#store.read(async (tx) => {
      const { source } = (await this.#live.within(tx)).parts.roles;
      const roles = [...source.values()].filter(({ builtIn }) => !builtIn).map(({ builtIn: _builtIn, version: _version, ...role }) => role);
      const assignments = Map.groupBy(
        (await tx.all("SELECT body FROM rbac_assignments ORDER BY user_id, role_id, scope")).map(assignmentOf),
        ({ userId }) => userId,
      );
      const users = (await tx.all("SELECT body FROM rbac_users ORDER BY id")).map(userOf).map(
        ({ createdAt: _createdAt, ...user }): FileUser => ({
          ...user,
          roles: (assignments.get(user.id) ?? []).map(fileAssignment),
        }),
      );
      const repositories: FileRepository[] = [];
      for (const row of await tx.all("SELECT repository FROM rbac_repositories ORDER BY repository")) {
        const repository = String(row["repository"]);
        repositories.push({ repository, known: (await readRepository(tx, repository)) ?? {} });
      }
      return writePolicyFile({ version: 1, roles: roles.sort((a, b) => (a.id < b.id ? -1 : 1)), users, repositories });
    });
  }

  async import(text: string, { prune = false, dryRun = false }: ImportOptions, actor?: Actor): Promise<PolicyDifference> {
    const file = parsePolicyFile(text);
    if (dryRun) return (await this.plan(file, prune)).difference;
    const wanted = { action: "policy_imported", permission: "policy:edit", resource: { type: "policy", id: "rbac" } } as const;
    return await this.#changes.make(wanted, actor, async (at) => {
      // It may give anybody anything.
      at.requireHeld([{ pattern: "*:*", constraints: undefined, ...EVERYWHERE }]);
      const plan = await planImport(at.tx, at.policy, file, prune, at.now);
      await apply(plan, at);
      const { roles, users, assignments } = plan;
      const touched = [...roles.insert, ...roles.update].map(({ id }) => ["role", id] as const);
      const people = [
        ...[...users.insert, ...users.update].map(({ id }) => id),
        ...users.remove,
        ...[...assignments.write, ...assignments.remove].map(({ userId }) => userId),
      ];
      return {
        result: plan.difference,
        before: undefined,
        after: summary(plan.difference),
        touched: [...touched, ...roles.remove.map((id) => ["role", id] as const), ...[...new Set(people)].map((id) => ["user", id] as const)],
      };
    });
  }

  /** What an import would change, and the policy as it would be. */
  async plan(file: PolicyFile, prune: boolean): Promise<ImportPlan> {
    return await this.#store.read(async (tx) => await planImport(tx, await this.#live.within(tx), file, prune, this.#clock.now()));
  }
}

async function apply({ roles, users, assignments, repositories }: ImportPlan, { tx, now, by }: Work): Promise<void> {
  // What goes makes room for the names of what comes.
  for (const id of users.remove) await tx.run("DELETE FROM rbac_users WHERE id = ?", [id]);
  for (const one of assignments.remove) await removeAssignment(tx, one);
  for (const id of roles.remove) await tx.run("DELETE FROM rbac_roles WHERE id = ?", [id]);
  for (const role of roles.insert) await insertRole(tx, role);
  for (const role of roles.update) await updateRole(tx, role);
  for (const user of users.insert) await insertUser(tx, user);
  for (const user of users.update) await updateUser(tx, user);
  const createdAt = new Date(now).toISOString();
  for (const { userId, roleId, scope, expiresAt } of assignments.write) {
    const end = expiresAt === undefined ? undefined : new Date(expiresAt).toISOString();
    const assignment: Assignment = { id: newId("asg"), userId, roleId, scope, expiresAt: end, grantedBy: by, createdAt };
    await writeAssignment(tx, assignment);
  }
  for (const repository of repositories.remove) await writeRepository(tx, repository, undefined);
  for (const { repository, known } of repositories.write) await writeRepository(tx, repository, known);
}

async function removeAssignment(tx: Transaction, { userId, roleId, scope }: PlannedAssignment): Promise<void> {
  await tx.run("DELETE FROM rbac_assignments WHERE user_id = ? AND role_id = ? AND scope = ?", [userId, roleId, scopeText(scope)]);
}

function fileAssignment({ roleId, scope, expiresAt }: Assignment): FileAssignment {
  return { role: roleId, ...(scope !== undefined && { scope }), ...(expiresAt !== undefined && { expiresAt }) };
}

/** Ids that a record names of each kind; it says how many there are. */
const NAMED = 50;

function summary(difference: PolicyDifference): JsonObject {
  const kinds = Object.entries(difference).map(([kind, { added, changed, removed }]) => {
    const part = (ids: readonly string[]): JsonObject => ({ count: ids.length, first: ids.slice(0, NAMED) });
    return [kind, { added: part(added), changed: part(changed), removed: part(removed) }] as const;
  });
  return Object.fromEntries(kinds);
}

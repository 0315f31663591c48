/** What an import would change: the file against what is there. Nothing is written here. */
import { CofferdamError } from "../../foundation/index.ts";
import type { Transaction } from "../../store/index.ts";
import { Checker } from "../checker.ts";
import type { CompiledAssignment, UserEntry } from "../compiled/packed-users.ts";
import { DISABLED } from "../compiled/packed-users.ts";
import { RoleTable } from "../compiled/role-table.ts";
import type { Role, Scope, User } from "../contract.ts";
import { newRole, requireRole } from "../desks/roles.ts";
import { assignmentOf, scopeText, userOf } from "../records.ts";
import { type RepositoryInput, readRepository } from "../repositories/stored-facts.ts";
import { checkRoles } from "../role-graph.ts";
import type { FileAssignment, FileUser } from "../schemas.ts";
import type { FileRepository, PolicyFile } from "./file.ts";

/** Ids of one kind. */
export interface Difference {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export interface PolicyDifference {
  readonly roles: Difference;
  readonly users: Difference;
  /** Of these users: as `USER ROLE` with the scope, where there is one. */
  readonly assignments: Difference;
  readonly repositories: Difference;
}

export interface ImportPlan {
  readonly difference: PolicyDifference;
  readonly roles: { readonly insert: readonly Role[]; readonly update: readonly Role[]; readonly remove: readonly string[] };
  readonly users: { readonly insert: readonly User[]; readonly update: readonly User[]; readonly remove: readonly string[] };
  readonly assignments: { readonly write: readonly PlannedAssignment[]; readonly remove: readonly PlannedAssignment[] };
  readonly repositories: { readonly write: readonly FileRepository[]; readonly remove: readonly string[] };
  /** The policy as it would be. */
  readonly proposed: Checker;
}

export interface PlannedAssignment {
  readonly userId: string;
  readonly roleId: string;
  readonly scope: Scope | undefined;
  /** ms since the Unix epoch. */
  readonly expiresAt: number | undefined;
}

/** @param prune take out what the file does not name. Throws what {@link checkRoles} throws, NOT_FOUND for a role that is not there. */
export async function planImport(tx: Transaction, policy: Checker, file: PolicyFile, prune: boolean, now: number): Promise<ImportPlan> {
  const roles = planRoles(policy.parts.roles.source, file, prune);
  checkRoles(roles.after);
  const users = await planUsers(tx, file, prune, now);
  const assignments = await planAssignments(tx, file, roles.after);
  const repositories = await planRepositories(tx, file, prune);
  const removed = new Set(roles.remove);
  for (const { inherits, id } of roles.after.values()) {
    const gone = inherits.find((parent) => removed.has(parent));
    if (gone !== undefined) throw new CofferdamError("CONFLICT", `role ${id} inherits from ${gone}, which the file does not name`);
  }
  return {
    ...{ roles, users, assignments, repositories },
    proposed: propose(policy, roles.after, file, users.remove),
    difference: {
      roles: { added: roles.insert.map(idOf), changed: roles.update.map(idOf), removed: roles.remove },
      users: { added: users.insert.map(idOf), changed: users.update.map(idOf), removed: users.remove },
      assignments: { added: assignments.added.map(wordsOf), changed: assignments.changed.map(wordsOf), removed: assignments.remove.map(wordsOf) },
      repositories: { added: repositories.added, changed: repositories.changed, removed: repositories.remove },
    },
  };
}

function planRoles(source: ReadonlyMap<string, Role>, { roles }: PolicyFile, prune: boolean) {
  const [insert, update]: [Role[], Role[]] = [[], []];
  const after = new Map(source);
  for (const input of roles ?? []) {
    const before = source.get(input.id);
    if (before?.builtIn === true) throw new CofferdamError("INVALID_ARGUMENT", `role ${input.id} comes with the product and stays as it is`);
    const role = newRole(input);
    if (before === undefined) insert.push(role);
    else if (!isSame({ ...before, version: 1 }, role)) update.push({ ...role, version: before.version + 1 });
    after.set(role.id, before === undefined ? role : { ...role, version: before.version + 1 });
  }
  const named = new Set(roles?.map(idOf));
  const remove = prune && roles !== undefined ? [...source.values()].filter(({ id, builtIn }) => !builtIn && !named.has(id)).map(idOf) : [];
  for (const id of remove) after.delete(id);
  return { insert, update, remove, after };
}

async function planUsers(tx: Transaction, { users }: PolicyFile, prune: boolean, now: number) {
  const [insert, update]: [User[], User[]] = [[], []];
  for (const { roles: _roles, kind = "person", disabled = false, ...rest } of users ?? []) {
    const row = await tx.get("SELECT body FROM rbac_users WHERE id = ?", [rest.id]);
    const before = row === undefined ? undefined : userOf(row);
    const user: User = { ...rest, kind, disabled, createdAt: before?.createdAt ?? new Date(now).toISOString() };
    if (before === undefined) insert.push(user);
    else if (!isSame(before, user)) update.push(user);
  }
  const named = new Set(users?.map(idOf));
  const known = prune && users !== undefined ? await tx.all("SELECT id FROM rbac_users ORDER BY id") : [];
  return { insert, update, remove: known.map((row) => String(row["id"])).filter((id) => !named.has(id)) };
}

async function planAssignments(tx: Transaction, { users = [] }: PolicyFile, roles: ReadonlyMap<string, Role>) {
  const [added, changed, remove]: [PlannedAssignment[], PlannedAssignment[], PlannedAssignment[]] = [[], [], []];
  for (const { id, roles: given = [] } of users) {
    const rows = await tx.all("SELECT body FROM rbac_assignments WHERE user_id = ?", [id]);
    const before = new Map(rows.map(assignmentOf).map((one) => [keyOf(one.roleId, one.scope), one]));
    const seen = new Set<string>();
    for (const one of given) {
      requireRole(roles, one.role);
      const key = keyOf(one.role, one.scope);
      if (seen.has(key)) throw new CofferdamError("INVALID_ARGUMENT", `user ${id} has role ${key.trim()} twice in the file`);
      seen.add(key);
      const there = before.get(key);
      before.delete(key);
      if (there === undefined) added.push(planned(id, one));
      else if (endOf(there.expiresAt) !== endOf(one.expiresAt)) changed.push(planned(id, one));
    }
    for (const { roleId, scope, expiresAt } of before.values()) remove.push({ userId: id, roleId, scope, expiresAt: endOf(expiresAt) });
  }
  return { added, changed, remove, write: [...added, ...changed] };
}

async function planRepositories(tx: Transaction, { repositories }: PolicyFile, prune: boolean) {
  const [added, changed, write]: [string[], string[], FileRepository[]] = [[], [], []];
  for (const one of repositories ?? []) {
    const before = await readRepository(tx, one.repository);
    if (before !== undefined && isSame(normal(before), normal(one.known))) continue;
    (before === undefined ? added : changed).push(one.repository);
    write.push(one);
  }
  const named = new Set(repositories?.map(({ repository }) => repository));
  const known = prune && repositories !== undefined ? await tx.all("SELECT repository FROM rbac_repositories ORDER BY repository") : [];
  return { added, changed, write, remove: known.map((row) => String(row["repository"])).filter((name) => !named.has(name)) };
}

/** The policy with the file's roles and users in it, compiled. */
function propose(policy: Checker, after: ReadonlyMap<string, Role>, { users = [] }: PolicyFile, removed: readonly string[]): Checker {
  const roles = new RoleTable(after, policy.parts.roles);
  const entries: (readonly [string, UserEntry | undefined])[] = [
    ...users.map((user) => [user.id, entryOf(roles, user)] as const),
    ...removed.map((id) => [id, undefined] as const),
  ];
  return new Checker({ ...policy.parts, roles, users: policy.parts.users.with(entries) });
}

function entryOf(roles: RoleTable, { disabled, roles: given = [] }: FileUser): UserEntry {
  if (disabled === true) return DISABLED;
  return given.map(
    ({ role, scope, expiresAt }): CompiledAssignment => ({
      role: roles.numberOf(role) ?? -1,
      scope: scopeText(scope) === "" ? undefined : scope,
      expiresAt: endOf(expiresAt) ?? Number.POSITIVE_INFINITY,
    }),
  );
}

function planned(userId: string, { role, scope, expiresAt }: FileAssignment): PlannedAssignment {
  return { userId, roleId: role, scope: scopeText(scope) === "" ? undefined : scope, expiresAt: endOf(expiresAt) };
}

function endOf(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time);
}

function keyOf(roleId: string, scope: Scope | undefined): string {
  return `${roleId} ${scopeText(scope)}`;
}

function wordsOf({ userId, roleId, scope }: PlannedAssignment): string {
  return `${userId} ${keyOf(roleId, scope)}`.trim();
}

function idOf({ id }: { readonly id: string }): string {
  return id;
}

/** Lists of people in one order; an owner who is also assigned is an owner. */
function normal({ public: isPublic, owners, assigned }: RepositoryInput): object {
  if (owners === undefined && assigned === undefined) return { isPublic };
  return { isPublic, owners: [...(owners ?? [])].sort(), assigned: (assigned ?? []).filter((id) => owners?.includes(id) !== true).sort() };
}

/** Members in any order; what is undefined is not there. */
function isSame(one: object, other: object): boolean {
  return plain(one) === plain(other);
}

function plain(value: object): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

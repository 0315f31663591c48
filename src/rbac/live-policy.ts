/**
 * The policy of the store, compiled, as of now. Before each answer the epoch is read, so that a change of any process counts
 * from the first question after it; what was changed since is read and compiled, and the rest is kept.
 */
import type { Lookup, Store, Transaction } from "../store/index.ts";
import { BUILT_IN_ROLES } from "./built-in-roles.ts";
import { Checker } from "./checker.ts";
import { type CompiledAssignment, DISABLED, NO_ROLES, type PackedSize, PackedUsers, type UserEntry } from "./compiled/packed-users.ts";
import { RoleTable } from "./compiled/role-table.ts";
import { UserTable } from "./compiled/user-table.ts";
import type { Role } from "./contract.ts";
import { roleOf, scopeOf } from "./records.ts";

export interface PolicyDefaults {
  readonly denyByDefault: boolean;
  readonly requireAuthentication: boolean;
}

/** Which state of the store a policy was read from. */
interface Version {
  readonly epoch: number;
  readonly mark: string;
}

interface Known extends Version {
  readonly checker: Checker;
}

const VERSION = "SELECT epoch, mark FROM rbac_epoch";
/** Subjects that are read one by one; beyond that everything is read. */
const MOST_CHANGES = 5000;

export class LivePolicy {
  readonly #store: Store;
  readonly #defaults: PolicyDefaults;
  readonly #lookup: Lookup;
  readonly #cached: boolean;
  #known: Known | undefined;
  #catchingUp: Promise<unknown> = Promise.resolve();

  /** @param cached false: nothing is kept, and each question reads the whole policy. */
  constructor(store: Store, defaults: PolicyDefaults, cached: boolean) {
    this.#store = store;
    this.#defaults = defaults;
    this.#cached = cached;
    this.#lookup = store.lookup(VERSION);
  }

  /** Every change that was committed before the call is in it. */
  async current(): Promise<Checker> {
    if (!this.#cached) return (await this.#store.read((tx) => this.#load(tx))).checker;
    const version = versionOf(await this.#lookup.get());
    if (isSame(this.#known, version)) return this.#known.checker;
    // One after another. What is read in its turn is younger than the question.
    const mine = this.#catchingUp.then(async () => {
      const known = this.#known;
      return isSame(known, version) ? known.checker : await this.#store.read((tx) => this.within(tx));
    });
    this.#catchingUp = mine.catch(() => undefined);
    return await mine;
  }

  /** The same inside a transaction, before it writes. */
  async within(tx: Transaction): Promise<Checker> {
    const version = versionOf(await tx.get(VERSION));
    const before = this.#known;
    if (isSame(before, version)) return before.checker;
    const known = (await this.#update(tx, before, version)) ?? (await this.#load(tx));
    this.#known = known;
    return known.checker;
  }

  close(): void {
    this.#lookup.close();
  }

  async #load(tx: Transaction): Promise<Known> {
    const version = versionOf(await tx.get(VERSION));
    const roles = new RoleTable(new Map([...BUILT_IN_ROLES, ...(await tx.all("SELECT body FROM rbac_roles")).map(roleOf).map(byId)]));
    const assignments = new Assignments(roles);
    const users = new PackedUsers(await sizeOf(tx));
    const rows = tx.iterate(
      "SELECT u.id, u.disabled, a.role_id, a.scope, a.expires_at FROM rbac_users u LEFT JOIN rbac_assignments a ON a.user_id = u.id ORDER BY u.id",
    );
    let [id, theirs, disabled]: [string | undefined, AssignmentRow[], boolean] = [undefined, [], false];
    const add = (): void => {
      if (id !== undefined) users.add(id, assignments.entry(theirs, disabled));
    };
    for await (const row of rows) {
      if (row["id"] !== id) {
        add();
        [id, theirs, disabled] = [String(row["id"]), [], Number(row["disabled"]) === 1];
      }
      if (row["role_id"] !== null) theirs.push(row);
    }
    add();
    return this.#made(version, roles, new UserTable(users));
  }

  /** What is known with the changes since, or undefined when these are not known any more, or too many. */
  async #update(tx: Transaction, known: Known | undefined, version: Version): Promise<Known | undefined> {
    if (known === undefined || known.epoch >= version.epoch) return undefined;
    if ((await tx.get("SELECT mark FROM rbac_changes WHERE epoch = ? AND mark = ? LIMIT 1", [known.epoch, known.mark])) === undefined) return undefined;
    const changes = await tx.all("SELECT DISTINCT kind, subject FROM rbac_changes WHERE epoch > ? LIMIT ?", [known.epoch, MOST_CHANGES + 1]);
    if (changes.length > MOST_CHANGES || changes.some(({ kind }) => kind === "all")) return undefined;
    const subjects = (kind: string): string[] => changes.filter((change) => change["kind"] === kind).map(({ subject }) => String(subject));
    const { parts } = known.checker;
    const roles = await changedRoles(tx, parts.roles, subjects("role"));
    const assignments = new Assignments(roles);
    const entries: [string, UserEntry | undefined][] = [];
    for (const id of subjects("user")) {
      const user = await tx.get("SELECT disabled FROM rbac_users WHERE id = ?", [id]);
      const rows = await tx.all("SELECT role_id, scope, expires_at FROM rbac_assignments WHERE user_id = ?", [id]);
      entries.push([id, user === undefined ? undefined : assignments.entry(rows, Number(user["disabled"]) === 1)]);
    }
    return this.#made(version, roles, parts.users.with(entries));
  }

  #made(version: Version, roles: RoleTable, users: UserTable): Known {
    return { ...version, checker: new Checker({ roles, users, epoch: version.epoch, ...this.#defaults }) };
  }
}

/** One more change of the policy. @param touched what has to be read again; `all` when that is much. */
export async function raiseEpoch(tx: Transaction, mark: string, touched: readonly (readonly ["user" | "role", string])[]): Promise<number> {
  await tx.run("UPDATE rbac_epoch SET epoch = epoch + 1, mark = ?", [mark]);
  const { epoch } = versionOf(await tx.get(VERSION));
  // Somebody who knew the state before this one finds it among the changes, whatever it touches.
  const rows = touched.length > MOST_CHANGES ? [["all", ""] as const] : [...touched, ["none", ""] as const];
  for (const [kind, subject] of rows)
    await tx.run("INSERT INTO rbac_changes (epoch, mark, kind, subject) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", [epoch, mark, kind, subject]);
  await tx.run("DELETE FROM rbac_changes WHERE epoch <= ?", [epoch - KEPT_CHANGES]);
  return epoch;
}

const KEPT_CHANGES = 1000;

async function changedRoles(tx: Transaction, before: RoleTable, ids: readonly string[]): Promise<RoleTable> {
  if (ids.length === 0) return before;
  const source = new Map(before.source);
  for (const id of ids) {
    const row = await tx.get("SELECT body FROM rbac_roles WHERE id = ?", [id]);
    if (row === undefined) source.delete(id);
    else source.set(id, roleOf(row));
  }
  return new RoleTable(source, before);
}

interface AssignmentRow {
  readonly role_id?: unknown;
  readonly scope?: unknown;
  readonly expires_at?: unknown;
}

async function sizeOf(tx: Transaction): Promise<PackedSize> {
  const users = await tx.get("SELECT count(*) AS n, sum(length(id)) AS characters FROM rbac_users");
  const assignments = await tx.get("SELECT count(*) AS n FROM rbac_assignments");
  return { users: Number(users?.["n"]), characters: Number(users?.["characters"] ?? 0), assignments: Number(assignments?.["n"]) };
}

/** Rows as compiled assignments. Equal ones are one object, whoever has them. */
class Assignments {
  readonly #roles: RoleTable;
  /** By the end, the place, and the role. */
  readonly #made = new Map<unknown, Map<unknown, Map<unknown, CompiledAssignment | undefined>>>();

  constructor(roles: RoleTable) {
    this.#roles = roles;
  }

  entry(rows: readonly AssignmentRow[], disabled: boolean): UserEntry {
    if (disabled) return DISABLED;
    return rows.length === 0 ? NO_ROLES : rows.flatMap((row) => this.#assignment(row) ?? []);
  }

  #assignment({ role_id: roleId, scope, expires_at: end }: AssignmentRow): CompiledAssignment | undefined {
    const known = within(within(this.#made, end), scope);
    if (known.has(roleId)) return known.get(roleId);
    // A role that this version does not have: a built-in one of a newer version.
    const role = this.#roles.numberOf(String(roleId));
    const made = role === undefined ? undefined : { role, scope: scopeOf(scope), expiresAt: end === null ? Number.POSITIVE_INFINITY : Number(end) };
    known.set(roleId, made);
    return made;
  }
}

function within<T>(map: Map<unknown, Map<unknown, T>>, key: unknown): Map<unknown, T> {
  const known = map.get(key) ?? new Map<unknown, T>();
  map.set(key, known);
  return known;
}

function byId(role: Role): readonly [string, Role] {
  return [role.id, role];
}

function versionOf(row: { readonly epoch?: unknown; readonly mark?: unknown } | undefined): Version {
  return { epoch: Number(row?.epoch), mark: String(row?.mark) };
}

function isSame(known: Known | undefined, version: Version): known is Known {
  return known !== undefined && known.epoch === version.epoch && known.mark === version.mark;
}

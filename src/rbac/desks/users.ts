/** Making, changing and taking out users. */
import { CofferdamError, type JsonObject, newId, parseInput } from "../../foundation/index.ts";
import type { Store, Transaction } from "../../store/index.ts";
import { EVERYWHERE, type GivenRule, rulesOf, rulesOfUser } from "../authority.ts";
import type { Changes } from "../changes.ts";
import type { Checker } from "../checker.ts";
import type { Actor, User } from "../contract.ts";
import { foldName } from "../names.ts";
import { userOf } from "../records.ts";
import { idSchema, type UserInput, type UserPatch, userInputSchema, userPatchSchema } from "../schemas.ts";

/** Most users of one store. */
const MAX_USERS = 1_000_000;

export class UserDesk {
  readonly #store: Store;
  readonly #changes: Changes;

  constructor(store: Store, changes: Changes) {
    this.#store = store;
    this.#changes = changes;
  }

  async create(input: UserInput, actor?: Actor): Promise<User> {
    const { id = newId("usr"), kind = "person", ...rest } = parseInput(userInputSchema, input, "user");
    const wanted = { action: "user_created", permission: "users:create", resource: { type: "user", id } } as const;
    return await this.#changes.make(wanted, actor, async ({ tx, now }) => {
      const user: User = { id, kind, ...rest, disabled: false, createdAt: new Date(now).toISOString() };
      await requireRoom(tx);
      await insertUser(tx, user);
      return { result: user, before: undefined, after: recordOf(user), touched: [["user", id]] };
    });
  }

  async update(userId: string, patch: UserPatch, actor?: Actor): Promise<User> {
    const id = knownId(userId);
    const changed = parseInput(userPatchSchema, patch, "change of a user");
    const wanted = { action: "user_updated", permission: "users:update", resource: { type: "user", id } } as const;
    return await this.#changes.make(wanted, actor, async ({ tx, policy, requireHeld }) => {
      const before = await requireUser(tx, id);
      const { username = before.username, kind = before.kind, disabled = before.disabled } = changed;
      const { email = before.email, name = before.name, github = before.github } = changed;
      const user: User = { ...before, username, kind, email, name, github, disabled };
      // Who they are to others, what they own at GitHub, and whether they get in: nobody decides that for those who have more.
      if (JSON.stringify(accessOf(before)) !== JSON.stringify(accessOf(user))) requireHeld(await rulesOfStored(tx, policy, id));
      await updateUser(tx, user);
      return { result: user, before: recordOf(before), after: recordOf(user), touched: [["user", id]] };
    });
  }

  /** With everything that is theirs: assignments, repositories, sessions, tokens. @returns whether there was one. */
  async delete(userId: string, actor?: Actor): Promise<boolean> {
    const id = knownId(userId);
    if ((await this.get(id)) === undefined) return false;
    const wanted = { action: "user_deleted", permission: "users:delete", resource: { type: "user", id } } as const;
    return await this.#changes.make(wanted, actor, async ({ tx, policy, requireHeld }) => {
      const before = await requireUser(tx, id);
      requireHeld(await rulesOfStored(tx, policy, id));
      const roles = await tx.all("SELECT role_id FROM rbac_assignments WHERE user_id = ? ORDER BY role_id", [id]);
      await tx.run("DELETE FROM rbac_users WHERE id = ?", [id]);
      return { result: true, before: { ...recordOf(before), roles: roles.map((row) => String(row["role_id"])) }, after: undefined, touched: [["user", id]] };
    });
  }

  async get(userId: string): Promise<User | undefined> {
    const id = idSchema.safeParse(userId);
    if (!id.success) return undefined;
    return await this.#one("SELECT body FROM rbac_users WHERE id = ?", id.data);
  }

  /** By name, however it is spelled. */
  async find(username: string): Promise<User | undefined> {
    return username.length > 256 ? undefined : await this.#one("SELECT body FROM rbac_users WHERE name_key = ?", foldName(username));
  }

  /** By id, after one of them; at most `limit`. */
  async list(after: string, limit: number): Promise<readonly User[]> {
    const rows = await this.#store.read((tx) => tx.all("SELECT body FROM rbac_users WHERE id > ? ORDER BY id LIMIT ?", [after, limit]));
    return rows.map(userOf);
  }

  async #one(sql: string, key: string): Promise<User | undefined> {
    const row = await this.#store.read((tx) => tx.get(sql, [key]));
    return row === undefined ? undefined : userOf(row);
  }
}

export async function insertUser(tx: Transaction, user: User): Promise<void> {
  const same = await tx.get("SELECT id FROM rbac_users WHERE id = ? OR name_key = ?", [user.id, foldName(user.username)]);
  if (same !== undefined) throw taken(user.username);
  await tx.run("INSERT INTO rbac_users (id, name_key, disabled, body) VALUES (?, ?, ?, ?)", columnsOf(user));
}

export async function updateUser(tx: Transaction, user: User): Promise<void> {
  const other = await tx.get("SELECT id FROM rbac_users WHERE name_key = ? AND id <> ?", [foldName(user.username), user.id]);
  if (other !== undefined) throw taken(user.username);
  const [id, ...columns] = columnsOf(user);
  await tx.run("UPDATE rbac_users SET name_key = ?, disabled = ?, body = ? WHERE id = ?", [...columns, id]);
}

/** Throws NOT_FOUND. */
export async function requireUser(tx: Transaction, id: string): Promise<User> {
  const row = await tx.get("SELECT body FROM rbac_users WHERE id = ?", [id]);
  if (row === undefined) throw new CofferdamError("NOT_FOUND", `no user ${JSON.stringify(id)}`, { hint: "cofferdam rbac user list" });
  return userOf(row);
}

/** Also of one who is disabled, and has none for the moment. */
async function rulesOfStored(tx: Transaction, policy: Checker, userId: string): Promise<readonly GivenRule[]> {
  const rows = await tx.all("SELECT role_id FROM rbac_assignments WHERE user_id = ?", [userId]);
  return [...rulesOfUser(policy, userId, 0), ...rows.flatMap((row) => rulesOf(policy.parts.roles.source, String(row["role_id"]), "allow", EVERYWHERE))];
}

/** The form in which ids are stored. Throws INVALID_ARGUMENT. */
export function knownId(userId: string): string {
  return parseInput(idSchema, userId, "id of a user");
}

async function requireRoom(tx: Transaction): Promise<void> {
  const row = await tx.get("SELECT count(*) AS users FROM rbac_users");
  if (Number(row?.["users"]) >= MAX_USERS) throw new CofferdamError("RESOURCE_EXHAUSTED", `there are ${MAX_USERS} users already`);
}

function columnsOf(user: User): [string, string, number, string] {
  return [user.id, foldName(user.username), Number(user.disabled), JSON.stringify(user)];
}

/** A user as a record has it: without mail and name, which are the person's own. */
function recordOf({ id, username, kind, disabled, github }: User): JsonObject {
  return { id, username, kind, disabled, ...(github !== undefined && { github: { ...github } }) };
}

/** All but what only they themselves have of it. */
function accessOf({ email: _email, name: _name, ...rest }: User): object {
  return rest;
}

function taken(username: string): CofferdamError {
  return new CofferdamError("CONFLICT", `there is a user of that id or name already: ${username}`, { hint: "names compare without case" });
}

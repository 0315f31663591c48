/** A place for tests of identity: a store on the disk, a real audit trail, users in their table, and time that tests set. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AuditEvent, AuditLogger } from "../../src/audit/index.ts";
import { type Clock, CofferdamError } from "../../src/foundation/index.ts";
import type { Actor, User } from "../../src/rbac/contract.ts";
import { Identity, type IdentityOptions } from "../../src/rbac/identity/identity.ts";
import type { Uptime } from "../../src/rbac/identity/identity-clock.ts";
import type { IdentityUsers } from "../../src/rbac/identity/parts.ts";
import { foldName } from "../../src/rbac/names.ts";
import { RBAC_MIGRATIONS, RBAC_ROOM } from "../../src/rbac/tables.ts";
import { SqliteStore } from "../../src/store/index.ts";

export const OWNER: Actor = { kind: "local-owner" };
export const PASSWORD = "correct horse battery staple";
export const T0: number = Date.UTC(2027, 0, 4, 9);

/** A wall clock, and the counter of a machine that runs. */
export class SetTime {
  wall: number = T0;
  up = 1_000_000;
  boot = "boot-1";
  readonly clock: Clock = { now: (): number => this.wall, monotonic: (): number => this.up };
  get uptime(): Uptime {
    return { boot: this.boot, now: () => this.up };
  }
  /** As time goes by. */
  pass(ms: number): void {
    this.wall += ms;
    this.up += ms;
  }
}

/** The table of users; whoever is named in `admins` may do everything, everybody else nothing. */
export class UserTable implements IdentityUsers {
  readonly admins: Set<string> = new Set();
  readonly #store: SqliteStore;

  constructor(store: SqliteStore) {
    this.#store = store;
  }

  async add(username: string, more: Partial<User> = {}): Promise<User> {
    const user: User = { id: foldName(username), username, kind: "person", disabled: false, createdAt: new Date(T0).toISOString(), ...more };
    await this.#store.migrate(RBAC_ROOM, RBAC_MIGRATIONS);
    await this.#store.write((tx) =>
      tx.run("INSERT INTO rbac_users (id, name_key, disabled, body) VALUES (?, ?, ?, ?)", [
        user.id,
        foldName(username),
        user.disabled ? 1 : 0,
        JSON.stringify(user),
      ]),
    );
    return user;
  }

  async disable(id: string): Promise<void> {
    const user = await this.getUser(id);
    await this.#store.write((tx) => tx.run("UPDATE rbac_users SET body = ? WHERE id = ?", [JSON.stringify({ ...user, disabled: true }), id]));
  }

  async getUser(id: string): Promise<User | undefined> {
    return await this.#one("id = ?", id);
  }

  async findUser(username: string): Promise<User | undefined> {
    return await this.#one("name_key = ?", foldName(username));
  }

  async isAdministrator(userId: string): Promise<boolean> {
    return this.admins.has(userId);
  }

  async hasAdministrator(): Promise<boolean> {
    return this.admins.size > 0;
  }

  async makeAdministrator({ username }: { readonly username: string }): Promise<User> {
    const user = (await this.findUser(username)) ?? (await this.add(username));
    this.admins.add(user.id);
    return user;
  }

  async requireAuthority(actor: Actor, permission: string): Promise<void> {
    if (actor.kind === "user" && !this.admins.has(actor.userId)) throw new CofferdamError("PERMISSION_DENIED", `${actor.userId} lacks ${permission}`);
  }

  async #one(where: string, key: string): Promise<User | undefined> {
    const row = await this.#store.read((tx) => tx.get(`SELECT body FROM rbac_users WHERE ${where}`, [key]));
    return row === undefined ? undefined : JSON.parse(String(row["body"]));
  }
}

export interface IdentityWorld {
  readonly identity: Identity;
  readonly users: UserTable;
  readonly store: SqliteStore;
  readonly audit: AuditLogger;
  readonly time: SetTime;
  readonly folder: string;
  /** Another one on the same store, as after a restart. */
  again(options?: Partial<IdentityOptions>): Promise<Identity>;
  /** Actions of the trail, oldest first. */
  actions(): Promise<string[]>;
  events(): Promise<readonly AuditEvent[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function identityWorld(options: Partial<IdentityOptions> = {}): Promise<IdentityWorld> {
  const folder = mkdtempSync(join(tmpdir(), "cofferdam-identity-"));
  const store = new SqliteStore({ path: join(folder, "cofferdam.db") });
  const audit = new AuditLogger({ store, storage: { directory: folder } });
  await audit.initialize();
  const [users, time] = [new UserTable(store), new SetTime()];
  const again = async (more: Partial<IdentityOptions> = {}): Promise<Identity> => {
    const identity = new Identity({ store, users, audit, directory: folder, clock: time.clock, uptime: time.uptime, ...options, ...more });
    await identity.initialize();
    return identity;
  };
  const events = async (): Promise<readonly AuditEvent[]> => await audit.search({ category: "identity", limit: 1000 });
  return {
    identity: await again(),
    users,
    store,
    audit,
    time,
    folder,
    again,
    events,
    actions: async () => (await events()).map(({ action, result }) => (result === "success" ? action : `${action} refused`)),
    async [Symbol.asyncDispose]() {
      await audit.close();
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

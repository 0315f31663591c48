import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { oracle } from "../../test/world/rbac-oracle.ts";
import { rbacWorld, silentTrail } from "../../test/world/rbac-world.ts";
import { AuditLogger } from "../audit/index.ts";
import { systemClock } from "../foundation/index.ts";
import { SqliteStore } from "../store/index.ts";
import { RBACSystem, type Role } from "./index.ts";

/** A million checks between changes under ./dev test --full. */
const ROUNDS = process.env["COFFERDAM_TEST_FULL"] === "1" ? 20_000 : 150;
const CHECKS = 50;
const PROCESS = fileURLToPath(new URL("../../test/world/rbac-process.ts", import.meta.url));
const folder = (): ReturnType<typeof mkdtempDisposableSync> => mkdtempDisposableSync(join(tmpdir(), "cofferdam-rbac-"));

const USERS = ["ada", "bob", "cleo"];
const ROLES = ["r0", "r1", "r2", "r3"];
const PERMISSIONS = ["jobs:create", "jobs:read", "secrets:read"];
const change = fc.oneof(
  fc.record({ kind: fc.constantFrom("assign" as const, "revoke" as const), user: fc.constantFrom(...USERS), role: fc.constantFrom(...ROLES) }),
  fc.record({ kind: fc.constantFrom("disable" as const, "enable" as const), user: fc.constantFrom(...USERS) }),
  fc.record({
    kind: fc.constant("role" as const),
    role: fc.nat(ROLES.length - 1),
    inherits: fc.boolean(),
    permissions: fc.subarray(["jobs:*", "*:read", "secrets:read"]),
    deny: fc.oneof(fc.constant([]), fc.subarray(["*:create", "secrets:*"])),
  }),
);

test("no check is older than the last change, whichever process made it", { timeout: 900_000 }, async () => {
  using at = folder();
  const path = join(at.path, "cofferdam.db");
  // Two stores on one file are what two processes are, and a third one that keeps nothing between checks.
  const stores = [new SqliteStore({ path }), new SqliteStore({ path }), new SqliteStore({ path })];
  const [one, two, fresh] = stores.map((store, i) => new RBACSystem(silentTrail(), { store, cacheEnabled: i < 2 }));
  if (one === undefined || two === undefined || fresh === undefined) throw new Error("three systems");
  for (const system of [one, two, fresh]) await system.initialize();
  const roles = new Map<string, Role>();
  for (const name of ROLES) roles.set(name, await one.createRole({ name }));
  for (const id of USERS) await one.createUser({ id, username: id });
  const [given, disabled] = [new Set<string>(), new Set<string>()];
  const allowed = (userId: string, permission: string): boolean => {
    const assignments = [...given].map((pair) => pair.split(" ")).map(([user = "", roleId = ""]) => ({ userId: user, roleId }));
    return !disabled.has(userId) && oracle({ roles: [...roles.values()], assignments }, { userId, permission, context: {}, now: 0, facts: {} }) === "granted";
  };
  const seen = new Set<boolean>();
  const changes = fc.sample(fc.tuple(change, fc.boolean()), { numRuns: ROUNDS, seed: 9 });
  for (const [next, first] of changes) {
    const [writer, other] = first ? [one, two] : [two, one];
    if (next.kind === "assign") {
      await writer.assignRole(next.user, next.role);
      given.add(`${next.user} ${next.role}`);
    } else if (next.kind === "revoke") {
      await writer.revokeRole(next.user, next.role);
      given.delete(`${next.user} ${next.role}`);
    } else if (next.kind === "role") {
      const { permissions, deny } = next;
      const inherits = next.inherits && next.role > 0 ? [`r${next.role - 1}`] : [];
      roles.set(`r${next.role}`, await writer.updateRole(`r${next.role}`, { permissions, deny, inherits }));
    } else {
      await writer.updateUser(next.user, { disabled: next.kind === "disable" });
      if (next.kind === "disable") disabled.add(next.user);
      else disabled.delete(next.user);
    }
    for (let i = 0; i < CHECKS; i++) {
      const [user = "", permission = ""] = [USERS[i % 3], PERMISSIONS[(i * 7) % 3 === 0 ? i % 2 : 2 - (i % 3)]];
      const wanted = allowed(user, permission);
      seen.add(wanted);
      expect(await (i % 2 === 0 ? other : writer).checkPermission(user, permission), `${user} ${permission} after ${JSON.stringify(next)}`).toBe(wanted);
      if (i === 0) expect(await fresh.checkPermission(user, permission)).toBe(wanted);
    }
  }
  expect(seen.size).toBe(2);
  for (const system of [one, two, fresh]) await system.close();
  for (const store of stores) await store.close();
});

test("what another process takes away is gone at the next check", async () => {
  using at = folder();
  await using world = await rbacWorld({}, at.path);
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  const child = fork(PROCESS, [at.path, "toggle"]);
  const tell = async (word: string): Promise<void> => {
    child.send(word);
    await once(child, "message");
  };
  for (let i = 0; i < 15; i++) {
    await tell("give");
    expect(await rbac.checkPermission("ada", "jobs:create")).toBe(true);
    await tell("take");
    expect(await rbac.checkPermission("ada", "jobs:create")).toBe(false);
  }
  child.send("end");
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("kill -9 at any time: a change is there with its event, or not at all", { timeout: 60_000 }, async () => {
  using at = folder();
  for (let round = 0; round < 3; round++) {
    const child = fork(PROCESS, [at.path, "grow"]);
    const told: string[] = [];
    child.on("message", (id) => void told.push(String(id)));
    while (told.length < 3 + 4 * round) await once(child, "message");
    await killed(child);
    const store = new SqliteStore({ path: join(at.path, "cofferdam.db") });
    const audit = new AuditLogger({ store, storage: { directory: at.path } });
    await audit.initialize();
    // An event of another process is left to it for five seconds; these have passed.
    const clock = { ...systemClock, now: () => Date.now() + 10_000 };
    await using rbac = new RBACSystem(audit, { store, clock });
    await rbac.initialize();
    const users = (await rbac.listUsers()).map(({ id }) => id);
    const given = (await rbac.listAssignments()).map(({ userId }) => userId);
    const events = await audit.search({ category: "authorization", limit: 1000 });
    const recorded = (action: string): Set<string> => new Set(events.filter((event) => event.action === action).map(({ resourceId = "" }) => resourceId));
    expect(recorded("user_created")).toEqual(new Set(users));
    expect(recorded("role_assigned")).toEqual(new Set(given));
    expect(told.filter((id) => !given.includes(id))).toEqual([]);
    await audit.close();
    await store.close();
  }
});

async function killed(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("a database that was put back, and changes that were thrown away, are seen", async () => {
  await using world = await rbacWorld();
  const { rbac, store } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.assignRole("ada", "developer");
  const may = (): Promise<boolean> => rbac.checkPermission("ada", "jobs:create");
  expect(await may()).toBe(true);
  const { epoch } = (await rbac.checker()).parts;
  const meanwhile = (...sql: readonly string[]): Promise<void> =>
    store.write(async (tx) => {
      for (const one of sql) await tx.run(one);
    });
  // The same epoch, reached by another way.
  await meanwhile("DELETE FROM rbac_assignments", "UPDATE rbac_epoch SET mark = 'other'");
  expect(await may()).toBe(false);
  expect((await rbac.checker()).parts.epoch).toBe(epoch);
  await rbac.assignRole("ada", "developer");
  expect(await may()).toBe(true);
  // A later one, of a database that never had what is known here.
  await meanwhile("DELETE FROM rbac_assignments", "DELETE FROM rbac_changes", "UPDATE rbac_epoch SET epoch = epoch + 10, mark = 'third'");
  expect(await may()).toBe(false);
  await rbac.assignRole("ada", "developer");
  // An earlier one.
  await meanwhile("DELETE FROM rbac_assignments", "UPDATE rbac_epoch SET epoch = 1, mark = 'first'");
  expect(await may()).toBe(false);
});

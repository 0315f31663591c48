import { expect, test } from "vitest";
import { handClock, rbacWorld } from "../../test/world/rbac-world.ts";
import { AuditLogger } from "../audit/index.ts";
import { CofferdamError } from "../foundation/index.ts";
import { SqliteStore } from "../store/index.ts";
import type { Actor, SessionPort } from "./index.ts";
import { RBACSystem } from "./index.ts";

const user = (userId: string): Actor => ({ kind: "user", userId });

test("before initialize: NOT_INITIALIZED; an unknown option: INVALID_ARGUMENT, with what was meant", async () => {
  const audit = new AuditLogger();
  await expect(new RBACSystem(audit).checkPermission("a", "jobs:read")).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
  expect(() => Reflect.construct(RBACSystem, [audit, { denyByDefalt: true }])).toThrowError(
    expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringContaining('did you mean "denyByDefault"') }),
  );
});

test("names compare folded; an id or a name is given once", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  const ada = await rbac.createUser({ id: "Ada-1", username: "Ada.Lovelace", email: "ada@example.com" });
  expect(ada.id).toBe("ada-1");
  expect(await rbac.findUser("ADA.lovelace")).toEqual(ada);
  // A letter of another width is the same letter.
  expect(await rbac.findUser("ａda.lovelace")).toEqual(ada);
  for (const input of [{ username: "ada.LOVELACE" }, { id: "ADA-1", username: "other" }])
    await expect(rbac.createUser(input)).rejects.toMatchObject({ code: "CONFLICT" });
  await rbac.createRole({ name: "Night Shift", permissions: ["jobs:create"] });
  for (const name of ["NIGHT SHIFT", "Night-Shift", "Admin"]) await expect(rbac.createRole({ name })).rejects.toMatchObject({ code: "CONFLICT" });
  await rbac.assignRole("ADA-1", "Night-Shift");
  expect(await rbac.checkPermission("Ada-1", "jobs:create")).toBe(true);
});

test("built-in roles: each has what the one below has, and stays as it is", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  for (const id of ["viewer", "developer", "manager", "admin", "auditor"]) {
    await rbac.createUser({ id: `u-${id}`, username: `u-${id}` });
    await rbac.assignRole(`u-${id}`, id);
  }
  const asked = ["jobs:read", "jobs:create", "secrets:read", "users:create", "audit:export"];
  const may = async (id: string): Promise<boolean[]> => await Promise.all(asked.map((permission) => rbac.checkPermission(`u-${id}`, permission)));
  expect(await may("viewer")).toEqual([true, false, false, false, false]);
  expect(await may("developer")).toEqual([true, true, false, false, false]);
  expect(await may("manager")).toEqual([true, true, true, false, false]);
  expect(await may("admin")).toEqual([true, true, true, true, true]);
  expect(await may("auditor")).toEqual([true, false, false, false, true]);
  await expect(rbac.updateRole("viewer", { permissions: ["*:*"] })).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  await expect(rbac.deleteRole("admin")).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  expect(await Promise.all(["u-admin", "u-manager"].map((id) => rbac.isAdministrator(id)))).toEqual([true, false]);
});

test("a change counts from the first check after it, each of them on record with before and after", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.createRole({ name: "ci", permissions: ["workflows:*"] });
  const may = () => rbac.checkPermission("ada", "workflows:execute");
  expect(await may()).toBe(false);
  await rbac.assignRole("ada", "ci");
  expect(await may()).toBe(true);
  await rbac.updateRole("ci", { deny: ["*:execute"] });
  expect(await may()).toBe(false);
  await rbac.updateRole("ci", { deny: [], ifVersion: 2 });
  expect(await may()).toBe(true);
  await expect(rbac.updateRole("ci", { deny: [], ifVersion: 2 })).rejects.toMatchObject({ code: "CONFLICT" });
  await rbac.updateUser("ada", { disabled: true });
  expect(await may()).toBe(false);
  await rbac.updateUser("ada", { disabled: false });
  expect(await may()).toBe(true);
  await expect(rbac.deleteRole("ci")).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await rbac.revokeRole("ada", "ci")).toBe(true);
  expect(await may()).toBe(false);
  await rbac.deleteRole("ci");
  await rbac.assignRole("ada", "developer");
  await rbac.deleteUser("ada");
  expect(await rbac.checkPermission("ada", "jobs:create")).toBe(false);
  const changes = (await world.events()).filter(({ action }) => !action.startsWith("permission_"));
  expect(changes.map(({ action }) => action)).toEqual([
    ...["user_created", "role_created", "role_assigned", "role_updated", "role_updated", "user_updated", "user_updated"],
    ...["role_revoked", "role_deleted", "role_assigned", "user_deleted"],
  ]);
  expect(changes[3]).toMatchObject({
    resourceId: "ci",
    userId: "the embedding program",
    details: { before: { deny: [] }, after: { deny: ["*:execute"], version: 2 } },
  });
  expect(changes.at(-1)?.details).toMatchObject({ before: { roles: ["developer"] } });
  expect((await world.events("permission_denied")).map(({ details }) => details?.["reason"])).toEqual([
    ...["no-rule", "deny-rule", "disabled-user", "no-rule", "unknown-user"],
  ]);
});

test("of what is allowed the first is recorded, and every so many after it", async () => {
  await using world = await rbacWorld({ allowsPerEvent: 10 });
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.assignRole("ada", "viewer");
  for (let i = 0; i < 31; i++) await rbac.checkPermission("ada", "jobs:read", { repository: "acme/web", ipAddress: "10.0.0.1" });
  const events = await world.events("permission_granted");
  expect(events.map(({ details }) => details?.["represents"])).toEqual([1, 10, 10, 10]);
  expect(events[0]).toMatchObject({ userId: "ada", resourceId: "jobs:read", details: { rule: "viewer/allow/jobs:read", asked: { repository: "acme/web" } } });
  // An address is of a person: sealed, and erased with their key.
  expect(JSON.stringify(events)).not.toContain("10.0.0.1");
});

const SILLY: readonly unknown[] = [
  "",
  "*",
  "jobs",
  "jobs:*",
  "Jobs:read",
  "jobs:read:all",
  "jobs:read\n",
  "__proto__:read",
  "x".repeat(1e6),
  7,
  null,
  undefined,
  {},
  [],
];

test("malformed permissions, users and contexts are refused, typed and on record", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.assignRole("ada", "admin");
  const check = (...args: readonly unknown[]): Promise<boolean> => Reflect.apply(rbac.checkPermission, rbac, args);
  for (const permission of SILLY) expect(await check("ada", permission), String(permission).slice(0, 20)).toBe(false);
  for (const id of ["__proto__", "constructor", "nobody", "", "a".repeat(1e6), 7, null, {}]) expect(await check(id, "jobs:read")).toBe(false);
  const contexts: readonly unknown[] = [
    ...[
      null,
      7,
      "x",
      [],
      { repository: "acme" },
      { repository: "a/b/c" },
      { repository: 7 },
      { extra: true },
      { limits: { permissions: ["*"] } },
      { limits: 7 },
    ],
    ...[{ organisation: "other", repository: "acme/web" }, { ipAddress: "1".repeat(100) }, { environment: "a\u202eb" }, { mfa: "yes" }, { sessionId: 7 }],
  ];
  const refused = [];
  for (const context of contexts) if (!(await check("ada", "jobs:read", context))) refused.push(context);
  // An empty list is an object without members.
  expect(refused).toEqual(contexts.filter((context) => !Array.isArray(context)));
  const reasons = new Set((await world.events("permission_denied")).map(({ details }) => details?.["reason"] ?? "counted"));
  expect(reasons).toEqual(
    new Set(["malformed-permission", "unknown-user", "malformed-context", "unauthenticated", "counted"].filter((one) => reasons.has(one))),
  );
  expect(reasons.has("malformed-permission") && reasons.has("unknown-user")).toBe(true);
});

test("what a role or a user may not be is refused with INVALID_ARGUMENT", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  const role = (more: object): Promise<unknown> => Reflect.apply(rbac.createRole, rbac, [{ name: "r", ...more }]);
  const bad: readonly object[] = [
    ...[
      { permissions: ["jobs"] },
      { permissions: ["work*:read"] },
      { permissions: ["__proto__"] },
      { deny: ["a:b:c"] },
      { inherits: ["r"] },
      { inherits: ["nobody"] },
    ],
    ...[
      { constraints: { ipAllowList: ["10.0.0.0/33"] } },
      { constraints: { ipAllowList: [] } },
      { constraints: { timeRestriction: { startTime: "24:00", endTime: "01:00" } } },
    ],
    ...[
      { constraints: { timeRestriction: { startTime: "09:00", endTime: "18:00", timezone: "Mars/Olympus" } } },
      { constraints: { repositories: "mine" } },
      { name: "a\u0000b" },
    ],
    ...[{ id: "__proto__" }, { permissions: Array.from({ length: 1001 }, (_, at) => `a${at}:b`) }, { nme: "x" }],
  ];
  for (const more of bad) await expect(role(more), JSON.stringify(more).slice(0, 80)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  for (const id of ["__proto__", "local-owner", "a b", "", "a".repeat(129)])
    await expect(rbac.createUser({ id, username: "x" }), id).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(rbac.assignRole("nobody", "viewer")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await rbac.createUser({ id: "ada", username: "ada" });
  await expect(rbac.assignRole("ada", "nothing")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(rbac.assignRole("ada", "viewer", { expiresAt: new Date(0) })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(await rbac.listAssignments({ userId: "ada" })).toEqual([]);
});

test("a circle of roles is refused at the write, and so is a long chain", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  await rbac.createRole({ name: "r0" });
  for (let i = 1; i <= 32; i++) await rbac.createRole({ name: `r${i}`, inherits: [`r${i - 1}`] });
  await expect(rbac.createRole({ name: "r33", inherits: ["r32"] })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  await expect(rbac.updateRole("r0", { inherits: ["r5"] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringContaining("circle") });
  expect((await rbac.getRole("r0"))?.inherits).toEqual([]);
});

test("a role is had at a place, and until a time", async () => {
  const clock = handClock(Date.UTC(2026, 0, 1));
  await using world = await rbacWorld({ clock });
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.assignRole("ada", "developer", { scope: { repository: "Acme/Web", environment: "Staging" }, expiresAt: new Date(clock.now() + 1000) });
  const may = (context: object): Promise<boolean> => rbac.checkPermission("ada", "jobs:create", context);
  expect(await may({ repository: "acme/web", environment: "staging" })).toBe(true);
  expect(await may({ repository: "acme/web" })).toBe(false);
  expect(await may({ repository: "acme/api", environment: "staging" })).toBe(false);
  expect(await rbac.explainPermission("ada", "jobs:create", { repository: "acme/web" })).toMatchObject({ failed: { kind: "scope", outcome: "unknown" } });
  clock.set(clock.now() + 1000);
  expect(await may({ repository: "acme/web", environment: "staging" })).toBe(false);
  // Setting the clock back brings nothing back.
  clock.set(clock.now() - 3_600_000);
  expect(await may({ repository: "acme/web", environment: "staging" })).toBe(false);
  clock.set(clock.now() + 3_600_000);
  expect(await rbac.explainPermission("ada", "jobs:create", { repository: "acme/web", environment: "staging" })).toMatchObject({
    ...{ reason: "no-rule", rule: "developer/allow/jobs:create", failed: { kind: "expired" } },
    explanation: "ada may not jobs:create: rule developer/allow/jobs:create allowed it: the role was given until 2026-01-01T00:00:01.000Z",
  });
});

test("who owns a repository is what is known here, then what a resolver knows; the caller's word alone counts for nothing", async () => {
  const failures: string[] = [];
  const known = { owned: true, assigned: true, public: false };
  const resolvers = [
    {
      factsOf: async (_: unknown, repository: string) =>
        repository === "acme/broken" ? Promise.reject(new Error("no")) : repository === "acme/slow" ? new Promise<never>(() => undefined) : known,
    },
  ];
  await using world = await rbacWorld({ resolvers, resolverTimeout: 20 });
  const { rbac } = world;
  rbac.events.on("resolverFailed", ({ repository }) => failures.push(repository));
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.createRole({ name: "owner", permissions: ["workflows:*"], constraints: { repositories: "owned" } });
  await rbac.assignRole("ada", "owner");
  const may = (repository: string, more: object = {}): Promise<boolean> => rbac.checkPermission("ada", "workflows:execute", { repository, ...more });
  expect(await may("acme/api")).toBe(true);
  await rbac.setRepository("Acme/Api", { owners: [], assigned: ["ada"] });
  expect(await may("ACME/api")).toBe(false);
  expect(await may("acme/api", { isOwner: true })).toBe(false);
  expect(await may("acme/api", { isOwner: true, trustContext: true })).toBe(true);
  await rbac.setRepository("acme/api", { owners: ["ada"] });
  expect(await may("acme/api")).toBe(true);
  expect([await may("acme/broken"), await may("acme/slow")]).toEqual([false, false]);
  expect(failures).toEqual(["acme/broken", "acme/slow"]);
  expect(await rbac.getRepository("acme/api")).toEqual({ owners: ["ada"], assigned: [] });
});

test("a session counts when it verifies, is of the user who is asked about, and says whether there was a second factor", async () => {
  const sessions: SessionPort = {
    createSession: () => Promise.reject(new CofferdamError("INTERNAL", "not here")),
    revokeSession: async () => false,
    revokeUserSessions: async () => 0,
    verifySession: async (id) => {
      if (id === "broken") throw new CofferdamError("INTEGRITY_FAILURE", "damaged");
      if (!id.startsWith("ada")) throw new CofferdamError("UNAUTHENTICATED", "no such session");
      const limits = id === "ada-token" ? { permissions: ["jobs:read"], repositories: ["acme/*"] } : undefined;
      return { userId: "ada", mfa: id === "ada-mfa", expiresAt: "", limits };
    },
  };
  await using world = await rbacWorld({ sessions });
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.createUser({ id: "bob", username: "bob" });
  await rbac.createRole({ name: "careful", permissions: ["secrets:read"], constraints: { mfa: true } });
  for (const id of ["ada", "bob"]) for (const role of ["careful", "viewer"]) await rbac.assignRole(id, role);
  const reason = async (id: string, permission: string, context: object): Promise<string> => (await rbac.explainPermission(id, permission, context)).reason;
  expect(await reason("ada", "secrets:read", { sessionId: "ada" })).toBe("condition");
  expect(await reason("ada", "secrets:read", { sessionId: "ada", mfa: true, trustContext: true })).toBe("condition");
  expect(await reason("ada", "secrets:read", { sessionId: "ada-mfa" })).toBe("granted");
  expect(await reason("bob", "secrets:read", { sessionId: "ada-mfa" })).toBe("unauthenticated");
  expect(await reason("ada", "jobs:read", { sessionId: "x" })).toBe("unauthenticated");
  await expect(rbac.checkPermission("ada", "jobs:read", { sessionId: "broken" })).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  expect(await reason("ada", "jobs:read", { sessionId: "ada-token", repository: "acme/web" })).toBe("granted");
  expect(await reason("ada", "jobs:read", { sessionId: "ada-token", repository: "other/web" })).toBe("token-limits");
  expect(await reason("ada", "jobs:read", { sessionId: "ada-token" })).toBe("token-limits");
  expect(await reason("ada", "quota:read", { sessionId: "ada-token", repository: "acme/web" })).toBe("token-limits");
  expect(await reason("ada", "jobs:read", { limits: { permissions: ["secrets:*"] } })).toBe("token-limits");
  await expect(rbac.requirePermission("ada", "users:create", { sessionId: "ada" })).rejects.toMatchObject({
    code: "PERMISSION_DENIED",
    details: { reason: "no-rule" },
  });
  await expect(rbac.requirePermission("ada", "jobs:read", { sessionId: "x" })).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

test("allow by default is for users that are known, and a denial wins over it", async () => {
  await using world = await rbacWorld({ denyByDefault: false });
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.createRole({ name: "no", deny: ["secrets:*"] });
  await rbac.assignRole("ada", "no");
  expect(await rbac.checkPermission("ada", "jobs:read")).toBe(true);
  expect(await rbac.checkPermission("ada", "secrets:read")).toBe(false);
  expect(await rbac.checkPermission("bob", "jobs:read")).toBe(false);
  // A change needs a rule that allows it, whatever the default.
  await expect(rbac.createUser({ username: "eve" }, user("ada"))).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
});

test("sessions are those of identity unless the program brings its own", async () => {
  await using world = await rbacWorld({ sessionTimeout: 60_000 });
  const { rbac } = world;
  await rbac.createUser({ id: "ada", username: "ada" });
  await rbac.assignRole("ada", "viewer");
  await expect(rbac.createSession("ada", {})).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  const { id } = await rbac.createSession("ada", { vouchedBy: "a test", userAgent: "x" });
  const may = (context: object): Promise<boolean> => rbac.checkPermission("ada", "jobs:read", { sessionId: id, ...context });
  expect(await may({ userAgent: "x" })).toBe(true);
  expect(await may({})).toBe(false);
  await rbac.revokeUserSessions("ada");
  expect(await may({ userAgent: "x" })).toBe(false);
});

test("a trail that takes nothing: the first change says so, the next are not made, and none is forgotten", async () => {
  const store = new SqliteStore();
  const recorded: string[] = [];
  let broken = true;
  const take = async (event: { readonly action: string; readonly resourceId?: string | undefined }): Promise<void> => {
    if (broken) throw new CofferdamError("AUDIT_UNAVAILABLE", "no");
    recorded.push(`${event.action} ${event.resourceId}`);
  };
  await using rbac = new RBACSystem({ log: take, denied: take }, { store });
  await rbac.initialize();
  await expect(rbac.createUser({ id: "ada", username: "ada" })).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", details: { made: true } });
  await expect(rbac.createUser({ id: "bob", username: "bob" })).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE", details: { made: false } });
  expect((await rbac.listUsers()).map(({ id }) => id)).toEqual(["ada"]);
  // Nobody is told of a refusal, or of an allow that is due, that is not on record.
  await expect(rbac.checkPermission("ada", "jobs:create")).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  broken = false;
  await rbac.createUser({ id: "bob", username: "bob" });
  expect(recorded).toEqual(["user_created ada", "user_created bob"]);
  await store.close();
});

test("an exception of a listener is the listener's own", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  const told: string[] = [];
  const fail = (): never => {
    throw new Error("listener");
  };
  rbac.events.on("policyChanged", fail).on("accessDenied", fail);
  rbac.events.on("policyChanged", ({ action, subject }) => told.push(`${action} ${subject}`)).on("accessDenied", ({ reason }) => told.push(reason));
  await rbac.createUser({ id: "ada", username: "ada" });
  expect(await rbac.checkPermission("ada", "jobs:create")).toBe(false);
  expect(told).toEqual(["user_created ada", "no-rule"]);
});

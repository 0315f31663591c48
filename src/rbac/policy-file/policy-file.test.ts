import fc from "fast-check";
import { expect, test } from "vitest";
import { policies } from "../../../test/world/rbac-policies.ts";
import { rbacWorld } from "../../../test/world/rbac-world.ts";
import { parsePolicyFile, writePolicyFile } from "./file.ts";

const FILE = `version: 1
roles:
  - id: ci
    name: CI
    permissions: ["workflows:*"]
    constraints: {repositories: owned, timeRestriction: {startTime: "09:00", endTime: "18:00", timezone: Europe/Berlin, days: [mon, fri]}}
users:
  - id: ada
    username: Ada
    github: {id: 7, login: ada}
    roles:
      - {role: ci, scope: {organisation: acme}, expiresAt: 2099-01-01T00:00:00+01:00}
      - {role: developer}
  - {id: bob, username: bob, kind: service, disabled: true}
repositories:
  - repository: acme/web
    known: {public: false, owners: [ada], assigned: [bob]}
`;

test("what is read in is written out, and reading that in changes nothing", async () => {
  await using one = await rbacWorld();
  const difference = await one.rbac.importPolicy(FILE);
  expect(difference).toMatchObject({
    roles: { added: ["ci"] },
    users: { added: ["ada", "bob"] },
    assignments: { added: ['ada ci {"organisation":"acme"}', "ada developer"] },
    repositories: { added: ["acme/web"] },
  });
  const text = await one.rbac.exportPolicy();
  const nothing = { added: [], changed: [], removed: [] };
  expect(await one.rbac.importPolicy(text, { prune: true })).toEqual({ roles: nothing, users: nothing, assignments: nothing, repositories: nothing });
  await using two = await rbacWorld();
  await two.rbac.importPolicy(text);
  expect(await two.rbac.exportPolicy()).toBe(text);
  expect(await two.rbac.checkPermission("ada", "jobs:create")).toBe(true);
  expect((await two.events("policy_imported"))[0]).toMatchObject({ details: { after: { users: { added: { count: 2, first: ["ada", "bob"] } } } } });
});

test("any policy goes out and comes in again", async () => {
  await fc.assert(
    fc.asyncProperty(policies, async ({ roles, assignments }) => {
      // A scope that holds nowhere is none.
      const sound = assignments.filter(({ scope }) => scope?.repository === undefined || scope.repository.startsWith(`${scope.organisation ?? ""}`));
      const users = ["ada", "bob", "cleo"].map((id) => ({
        ...{ id, username: id },
        // One role at one place is had once.
        roles: [...new Map(sound.filter(({ userId }) => userId === id).map((one) => [JSON.stringify([one.roleId, one.scope ?? {}]), one])).values()].map(
          ({ roleId, scope, expiresAt }) => ({ role: roleId, scope, expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString() }),
        ),
      }));
      const text = writePolicyFile({ version: 1, roles: roles.map(({ builtIn: _builtIn, version: _version, ...role }) => role), users });
      await using one = await rbacWorld();
      await one.rbac.importPolicy(text);
      const out = await one.rbac.exportPolicy();
      await using two = await rbacWorld();
      await two.rbac.importPolicy(out);
      expect(await two.rbac.exportPolicy()).toBe(out);
    }),
    { numRuns: 12, seed: 9 },
  );
});

test("an import is all or nothing; what it does not speak of stays, unless it is to go", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  await rbac.importPolicy(FILE);
  const before = await rbac.exportPolicy();
  await expect(rbac.importPolicy("version: 1\nusers: [{id: eve, username: eve, roles: [{role: nothing}]}]")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(rbac.importPolicy("version: 1\nusers: [{id: eve, username: ada}]")).rejects.toMatchObject({ code: "CONFLICT" });
  await expect(rbac.importPolicy("version: 1\nrepositories: [{repository: a/b, known: {owners: [nobody]}}]")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(rbac.importPolicy("version: 1\nusers: [{id: eve, username: eve, roles: [{role: ci}, {role: CI}]}]")).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
  });
  await expect(rbac.importPolicy("version: 1\nroles: [{id: admin, name: x}]")).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(rbac.importPolicy("version: 1\nroles: [{id: a, name: a, inherits: [b]}, {id: b, name: b, inherits: [a]}]")).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
  });
  expect(await rbac.exportPolicy()).toBe(before);
  await rbac.importPolicy("version: 1\nusers: [{id: eve, username: eve}]");
  expect((await rbac.listUsers()).map(({ id }) => id)).toEqual(["ada", "bob", "eve"]);
  const some = "version: 1\nusers: [{id: ada, username: Ada, roles: [{role: viewer}]}]\nroles: []";
  expect(await rbac.importPolicy(some, { dryRun: true, prune: true })).toMatchObject({ users: { removed: ["bob", "eve"] }, roles: { removed: ["ci"] } });
  expect(await rbac.checkPermission("ada", "jobs:create")).toBe(true);
  await rbac.importPolicy(some, { prune: true });
  expect([await rbac.checkPermission("ada", "jobs:create"), await rbac.checkPermission("ada", "jobs:read")]).toEqual([false, true]);
  expect((await rbac.listUsers()).map(({ id }) => id)).toEqual(["ada"]);
  // Nothing was said of repositories.
  expect(await rbac.getRepository("acme/web")).toEqual({ public: false, owners: ["ada"], assigned: [] });
});

test("an import needs an administrator", async () => {
  await using world = await rbacWorld();
  const { rbac } = world;
  await rbac.createRole({ name: "editor", permissions: ["policy:*", "roles:*"] });
  for (const [id, role] of [
    ["ada", "editor"],
    ["root", "admin"],
  ] as const) {
    await rbac.createUser({ id, username: id });
    await rbac.assignRole(id, role);
  }
  await expect(rbac.importPolicy("version: 1", {}, { kind: "user", userId: "ada" })).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await rbac.importPolicy("version: 1", {}, { kind: "user", userId: "root" });
});

test("a text that is none is refused with its place", () => {
  const bad: readonly string[] = [
    ...[
      "",
      "version: 2",
      "version: 1\nextra: 1",
      "version: 1\nroles: {}",
      "version: 1\nversion: 1",
      "version: 1\nusers: [{id: a, username: a}, {id: A, username: b}]",
    ],
    ...[
      "version: 1\nroles: &r []\nusers: *r",
      "version: 1\nroles: [",
      "version: 1\nroles: [{id: a, name: a, permissions: [a]}]",
      "version: 1\n__proto__: {roles: []}",
    ],
    ...[
      "version: 1\nroles: [{id: a, name: a, __proto__: {deny: []}}]",
      "version: 1\nusers: [{id: __proto__, username: a}]",
      "- ".repeat(5000),
      "!!js/function x",
    ],
  ];
  for (const text of bad) expect(() => parsePolicyFile(text), text.slice(0, 60)).toThrowError(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  expect(() => parsePolicyFile("version: 1\nroles:\n  - id: a\n   name: b")).toThrowError(/line 4, column/);
  expect(() => parsePolicyFile("#".repeat(9 * 1024 * 1024))).toThrowError(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
});

test("a dry run asks the decisions of the trail again, as of their time", async () => {
  await using world = await rbacWorld({ allowsPerEvent: 5 });
  const { rbac, audit } = world;
  await rbac.importPolicy(FILE);
  await rbac.createUser({ id: "cleo", username: "cleo" });
  await rbac.createRole({ name: "office", permissions: ["audit:read"], constraints: { ipAllowList: ["10.0.0.0/8"] } });
  await rbac.assignRole("cleo", "office");
  const office = { ipAddress: "10.1.1.1" };
  for (let i = 0; i < 6; i++) await rbac.checkPermission("ada", "jobs:create", { repository: "acme/web" });
  // More than are recorded one by one.
  await Promise.all(Array.from({ length: 25 }, () => rbac.checkPermission("cleo", "secrets:read", { repository: "acme/api" })));
  await rbac.checkPermission("cleo", "audit:read", office);
  await rbac.checkPermission("cleo", "workflows:run", { repository: "acme/web" });
  await rbac.checkPermission("nobody", "jobs:read");
  const preview = (yaml: string) => rbac.previewPolicy(yaml, audit, { since: new Date(0) });
  const same = await preview(await rbac.exportPolicy());
  expect(same).toMatchObject({ changed: 0, examples: [] });
  const proposed = `version: 1
roles:
  - {id: office, name: office, permissions: ["audit:read"], constraints: {ipAllowList: [192.0.2.0/24]}}
  - {id: keys, name: keys, permissions: ["secrets:read"], constraints: {repositories: ["acme/*"]}}
users:
  - {id: ada, username: Ada, roles: []}
  - {id: cleo, username: cleo, roles: [{role: office}, {role: keys}]}`;
  const run = await preview(proposed);
  const by = Object.groupBy(run.examples, ({ permission }) => permission);
  expect(by["jobs:create"]).toMatchObject([
    { userId: "ada", count: 1, recorded: true, before: "granted", after: "no-rule" },
    { userId: "ada", count: 5 },
  ]);
  expect(by["audit:read"]).toMatchObject([{ userId: "cleo", recorded: true, after: "condition" }]);
  expect(by["secrets:read"]?.reduce((sum, { count }) => sum + count, 0)).toBe(25);
  expect(run.changed).toBe(6 + 1 + 25);
  expect(run.decisions).toBe(6 + 1 + 25 + 1 + 1);
  // Nothing was changed by asking.
  expect(await rbac.checkPermission("ada", "jobs:create", { repository: "acme/web" })).toBe(true);
});

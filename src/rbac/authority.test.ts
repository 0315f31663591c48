import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkerOf, policies, questions } from "../../test/world/rbac-policies.ts";
import { rbacWorld } from "../../test/world/rbac-world.ts";
import { EVERYWHERE, firstLacking, rulesOfUser } from "./authority.ts";
import { questionOf } from "./conditions/question.ts";
import type { Actor, RoleInput } from "./index.ts";
import { raiseEpoch } from "./live-policy.ts";

const user = (userId: string): Actor => ({ kind: "user", userId });

/** ada administers acme alone; root everything; bob is whom they act on. */
async function world(directory?: string) {
  const made = await rbacWorld({}, directory);
  const { rbac } = made;
  for (const id of ["root", "ada", "bob"]) await rbac.createUser({ id, username: id });
  await rbac.assignRole("root", "admin");
  await rbac.createRole({ name: "acme admin", permissions: ["roles:*", "users:*", "repositories:update", "jobs:*", "credentials:set"] });
  await rbac.assignRole("ada", "acme-admin", { scope: { organisation: "acme" } });
  return made;
}

test("nobody gives away what they lack, where they lack it, or for longer", async () => {
  await using made = await world();
  const { rbac } = made;
  const ada = user("ada");
  const jobs = await rbac.createRole({ name: "jobs", permissions: ["jobs:create"] });
  await rbac.createRole({ name: "secrets", permissions: ["secrets:read"] });
  const acme = { organisation: "acme" };
  await rbac.assignRole("bob", jobs.id, { scope: acme }, ada);
  await rbac.assignRole("bob", jobs.id, { scope: { repository: "acme/web" } }, ada);
  const refused = { code: "PERMISSION_DENIED" };
  await expect(rbac.assignRole("bob", "secrets", { scope: acme }, ada)).rejects.toMatchObject({ ...refused, message: expect.stringContaining("secrets:read") });
  await expect(rbac.assignRole("bob", jobs.id, {}, ada)).rejects.toMatchObject(refused);
  await expect(rbac.assignRole("bob", jobs.id, { scope: { organisation: "other" } }, ada)).rejects.toMatchObject(refused);
  await expect(rbac.assignRole("ada", "admin", { scope: acme }, ada)).rejects.toMatchObject(refused);
  await expect(rbac.createRole({ name: "mine", permissions: ["jobs:create"] }, ada)).rejects.toMatchObject(refused);
  // What a change is about is not the caller's to say.
  const inside: Actor = { kind: "user", userId: "ada", context: acme };
  await expect(rbac.createUser({ username: "eve" }, inside)).rejects.toMatchObject(refused);
  await rbac.assignRole("bob", "secrets", { scope: acme }, user("root"));
  await rbac.assignRole("ada", "acme-admin", { scope: acme, expiresAt: new Date(Date.now() + 3_600_000) });
  await expect(rbac.assignRole("bob", jobs.id, { scope: acme }, ada)).rejects.toMatchObject(refused);
  await rbac.assignRole("bob", jobs.id, { scope: acme, expiresAt: new Date(Date.now() + 3_000_000) }, ada);
  const denied = await made.events("permission_denied");
  expect(denied.length).toBe(7);
  expect(denied[0]).toMatchObject({ userId: "ada", resourceId: "roles:assign", details: { reason: "lacking" } });
});

test("what a role refuses is a right to whoever it is taken from", async () => {
  await using made = await world();
  const { rbac } = made;
  await rbac.assignRole("ada", "acme-admin");
  const ada = user("ada");
  await rbac.createRole({ name: "no secrets", deny: ["secrets:*"] });
  await rbac.createRole({ name: "no jobs", deny: ["jobs:*"] });
  for (const role of ["no-secrets", "no-jobs"]) await rbac.assignRole("bob", role);
  const refused = { code: "PERMISSION_DENIED" };
  await expect(rbac.revokeRole("bob", "no-secrets", undefined, ada)).rejects.toMatchObject(refused);
  await expect(rbac.updateRole("no-secrets", { deny: [] }, ada)).rejects.toMatchObject(refused);
  await expect(rbac.updateRole("no-secrets", { constraints: { mfa: true } }, ada)).rejects.toMatchObject(refused);
  await expect(rbac.assignRole("bob", "no-secrets", { expiresAt: new Date(Date.now() + 10_000) }, ada)).rejects.toMatchObject(refused);
  expect(await rbac.revokeRole("bob", "no-jobs", undefined, ada)).toBe(true);
  // A denial of one's own is in the way of giving away what it refuses.
  await rbac.assignRole("ada", "no-jobs");
  await rbac.createRole({ name: "jobs", permissions: ["jobs:create"] });
  await expect(rbac.assignRole("bob", "jobs", {}, ada)).rejects.toMatchObject(refused);
});

test("acting for somebody, giving rights back and giving repositories away need all that they have", async () => {
  await using made = await world();
  const { rbac } = made;
  await rbac.assignRole("ada", "acme-admin");
  const ada = user("ada");
  const refused = { code: "PERMISSION_DENIED" };
  await rbac.requireAuthority(ada, "credentials:set", "bob");
  await expect(rbac.requireAuthority(ada, "credentials:set", "root")).rejects.toMatchObject(refused);
  await expect(rbac.requireAuthority(user("bob"), "credentials:set", "bob")).rejects.toMatchObject(refused);
  for (const patch of [{ disabled: true }, { kind: "service" as const }, { username: "nobody" }])
    await expect(rbac.updateUser("root", patch, ada)).rejects.toMatchObject(refused);
  await expect(rbac.deleteUser("root", ada)).rejects.toMatchObject(refused);
  await rbac.updateUser("root", { email: "root@example.com" }, ada);
  await rbac.updateUser("root", { disabled: true });
  await expect(rbac.updateUser("root", { disabled: false }, ada)).rejects.toMatchObject(refused);
  await rbac.updateUser("bob", { disabled: true }, ada);
  await rbac.updateUser("bob", { disabled: false }, ada);
  await rbac.setRepository("acme/web", { owners: ["bob"] }, ada);
  await rbac.createRole({ name: "owner", permissions: ["secrets:read"], constraints: { repositories: "owned" } });
  await expect(rbac.setRepository("acme/web", { owners: ["ada"] }, ada)).rejects.toMatchObject(refused);
  await expect(rbac.updateUser("bob", { github: { id: 7, login: "bob" } }, ada)).resolves.toMatchObject({ github: { id: 7 } });
  await rbac.assignRole("bob", "owner");
  await expect(rbac.updateUser("bob", { github: { id: 8, login: "eve" } }, ada)).rejects.toMatchObject(refused);
});

test("rights that went away while the change waited for its turn do not count", async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "cofferdam-rbac-"));
  await using made = await world(folder.path);
  const { rbac, store } = made;
  await rbac.assignRole("ada", "acme-admin");
  let late: Promise<unknown> = Promise.resolve();
  await store.write(async (tx) => {
    await tx.run("DELETE FROM rbac_assignments WHERE user_id = 'ada'");
    await raiseEpoch(tx, "test", [["user", "ada"]]);
    late = Promise.allSettled([rbac.createUser({ username: "eve" }, user("ada"))]);
    // Asked after it and by the same way: by now ada's change was judged, and waits for its turn.
    expect(await rbac.explainPermission("ada", "users:create")).toMatchObject({ allowed: true });
  });
  expect(await late).toMatchObject([{ status: "rejected", reason: { code: "PERMISSION_DENIED", message: expect.stringContaining("went away") } }]);
  expect(await rbac.findUser("eve")).toBeUndefined();
});

test("whoever could give a rule away may do what it allows", () => {
  fc.assert(
    fc.property(policies, questions, (policy, one) => {
      const checker = checkerOf(policy);
      const question = questionOf(one.context, { now: one.now, mfa: one.mfa, facts: one.facts });
      if (question === undefined) throw new Error("malformed");
      const rule = { pattern: one.permission, constraints: undefined, ...EVERYWHERE };
      if (firstLacking(checker, one.userId, [rule], one.now) === undefined) expect(checker.decide(one.userId, one.permission, question)).toBe("granted");
      // And nobody lacks their own rules but for denials, which take from them.
      const { role } = checker.parts.users.get(one.userId)?.[0] ?? { role: -1 };
      const denies = checker.parts.roles.at(role) === undefined || policy.roles.some(({ deny }) => deny.length > 0);
      if (!denies) expect(firstLacking(checker, one.userId, rulesOfUser(checker, one.userId, one.now), one.now)).toBeUndefined();
    }),
    { numRuns: 5000, seed: 9 },
  );
});

test("with an administrator's rights everything can be given, and taken", async () => {
  await using made = await world();
  const { rbac } = made;
  const root = user("root");
  const role: RoleInput = { name: "all", permissions: ["*:*"], deny: ["x:y"], constraints: { mfa: true } };
  await rbac.createRole(role, root);
  await rbac.assignRole("bob", "all", { scope: { repository: "a/b" } }, root);
  await rbac.updateRole("all", { constraints: null, deny: [] }, root);
  expect((await rbac.getRole("all"))?.constraints).toBeUndefined();
  expect(await rbac.revokeRole("bob", "all", { repository: "A/B" }, root)).toBe(true);
  expect(await rbac.hasAdministrator()).toBe(true);
});

/** API tokens: shown once, limited, with an end. */
import { expect, test } from "vitest";
import { identityWorld, OWNER } from "../../../test/world/identity.ts";

const DAY: number = 24 * 3_600_000;
const code = (code: string): object => expect.objectContaining({ code });

test("made, shown, limited, over, revoked", async () => {
  await using world = await identityWorld();
  const { tokens } = world.identity;
  await world.users.add("robot", { kind: "service" });
  const limits = { permissions: ["jobs:create"], repositories: ["acme/*"] };
  const made = await tokens.createToken("robot", { name: "nightly", limits, life: DAY }, OWNER);
  expect(made.token).toMatch(/^cfd_[0-9A-Za-z]{49}$/);
  expect(await tokens.verifyToken(made.token)).toMatchObject({ userId: "robot", tokenId: made.id, limits });
  const everything = JSON.stringify([await world.events(), await world.store.read((tx) => tx.all("SELECT * FROM identity_tokens"))]);
  expect(everything).not.toContain(made.token.slice(4, 47));
  const [listed] = await tokens.listTokens("robot");
  expect(listed).toMatchObject({ name: "nightly", limits, lastUsedAt: new Date(world.time.wall).toISOString() });
  expect(listed).not.toHaveProperty("token");
  for (const wrong of [
    "",
    made.token.slice(0, -1),
    made.token.toUpperCase(),
    made.id,
    made.token.replace("cfd_", "cfds_"),
    "x".repeat(100_000),
    Object(undefined),
    Object(7),
  ])
    await expect(tokens.verifyToken(wrong)).rejects.toThrow(code("UNAUTHENTICATED"));
  world.time.pass(DAY);
  await expect(tokens.verifyToken(made.token)).rejects.toThrow(code("UNAUTHENTICATED"));
  const next = await tokens.createToken("robot", { name: "next" }, OWNER);
  await tokens.revokeToken(next.id, OWNER);
  await expect(tokens.verifyToken(next.token)).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(tokens.revokeToken(next.id, OWNER)).rejects.toThrow(code("NOT_FOUND"));
});

test("a session that was made with a token has its limits, and ends with it", async () => {
  await using world = await identityWorld();
  const { tokens, sessions } = world.identity;
  await world.users.add("robot", { kind: "service" });
  const { token, id, expiresAt } = await tokens.createToken("robot", { name: "short", limits: { permissions: ["jobs:read"] }, life: 600_000 }, OWNER);
  const session = await sessions.createSession("robot", { authentication: (await tokens.verifyToken(token)).authentication });
  expect(session.expiresAt).toBe(expiresAt);
  expect(await sessions.verifySession(session.id)).toMatchObject({ limits: { permissions: ["jobs:read"] }, mfa: false });
  await tokens.revokeToken(id, OWNER);
  await expect(sessions.verifySession(session.id)).rejects.toThrow(code("UNAUTHENTICATED"));
});

test("whoever holds a token makes no other one with it; others' are for those with the right to", async () => {
  await using world = await identityWorld();
  const { tokens } = world.identity;
  for (const name of ["anna", "berta"]) await world.users.add(name);
  const self = { kind: "user", userId: "anna" } as const;
  const own = await tokens.createToken("anna", { name: "own" }, self);
  const { limits } = await tokens.verifyToken(own.token);
  await expect(tokens.createToken("anna", { name: "more" }, { ...self, context: { limits } })).rejects.toThrow(code("PERMISSION_DENIED"));
  await expect(tokens.createToken("anna", { name: "x" }, { kind: "user", userId: "berta" })).rejects.toThrow(code("PERMISSION_DENIED"));
  await expect(tokens.revokeToken(own.id, { kind: "user", userId: "berta" })).rejects.toThrow(code("PERMISSION_DENIED"));
  expect((await tokens.revokeToken(own.id, self)).id).toBe(own.id);
});

test("bad input, and too many", async () => {
  await using world = await identityWorld();
  const { tokens } = world.identity;
  await world.users.add("anna");
  for (const input of [
    { name: "" },
    { name: "a\nb" },
    { name: "x".repeat(101) },
    { name: "a", life: 1 },
    { name: "a", life: 367 * DAY },
    { name: "a", limits: { permissions: ["no"] } },
  ])
    await expect(tokens.createToken("anna", input, OWNER), JSON.stringify(input)).rejects.toThrow(code("INVALID_ARGUMENT"));
  await expect(tokens.createToken("nobody", { name: "a" }, OWNER)).rejects.toThrow(code("NOT_FOUND"));
  for (let at = 0; at < 50; at += 1) await tokens.createToken("anna", { name: `token ${at}` }, OWNER);
  await expect(tokens.createToken("anna", { name: "one more" }, OWNER)).rejects.toThrow(code("RESOURCE_EXHAUSTED"));
});

test("a clock that was ahead by mistake takes no token away", async () => {
  await using world = await identityWorld();
  await world.users.add("anna");
  const { token } = await world.identity.tokens.createToken("anna", { name: "good" }, OWNER);
  world.time.wall += 4000 * DAY;
  await expect(world.identity.tokens.verifyToken(token)).rejects.toThrow(code("UNAUTHENTICATED"));
  await world.identity.tokens.createToken("anna", { name: "made meanwhile" }, OWNER);
  world.time.wall -= 4000 * DAY;
  await expect(world.identity.tokens.verifyToken(token)).rejects.toThrow(code("UNAUTHENTICATED"));
  await world.identity.recovery.resetClock(OWNER);
  expect((await world.identity.tokens.verifyToken(token)).userId).toBe("anna");
});

test("the last use is noted once an hour", async () => {
  await using world = await identityWorld();
  const { tokens } = world.identity;
  await world.users.add("anna");
  const { token } = await tokens.createToken("anna", { name: "a" }, OWNER);
  for (let at = 0; at < 10; at += 1) await tokens.verifyToken(token);
  world.time.pass(3_600_000);
  await tokens.verifyToken(token);
  expect((await world.actions()).filter((action) => action === "token_used")).toHaveLength(2);
});

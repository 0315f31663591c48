/** Sessions: what they need to begin, how long they last, what ends them. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import fc from "fast-check";
import { expect, test } from "vitest";
import { identityWorld, OWNER, T0 } from "../../../test/world/identity.ts";
import { LEVELS } from "../../policy/index.ts";
import type { Authentication } from "../contract.ts";
import { LEVEL_RULES } from "./rules.ts";

const MINUTE = 60_000;
const HOUR: number = 60 * MINUTE;
const code = (code: string): object => expect.objectContaining({ code });
const childScript: URL = new URL("../../../test/world/identity-process.ts", import.meta.url);

test("a session needs a proof or somebody who vouches; what looks like a proof is none", async () => {
  await using world = await identityWorld();
  const { identity, users } = world;
  await users.add("anna");
  const { sessions } = identity;
  const forged: Authentication = { method: "password", userId: "anna", mfa: true, proof: Symbol("proof") };
  await expect(sessions.createSession("anna", {})).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(sessions.createSession("anna", { authentication: forged })).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(sessions.createSession("nobody", { vouchedBy: "portal" })).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(sessions.createSession("anna", { vouchedBy: "" })).rejects.toThrow(code("INVALID_ARGUMENT"));
  const session = await sessions.createSession("anna", { vouchedBy: "portal", ipAddress: "10.0.1.100" });
  expect(await sessions.verifySession(session.id, { ipAddress: "10.0.1.100" })).toMatchObject({ userId: "anna", mfa: false });
  const [made] = (await world.events()).filter(({ action, result }) => action === "session_created" && result === "success");
  expect(made).toMatchObject({ userId: "anna", sessionId: session.handle, details: { method: "vouched", vouchedBy: "portal" } });
  // Neither the secret nor the address can be read in the trail.
  expect(JSON.stringify(await world.events())).not.toMatch(new RegExp(`${session.id}|10\\.0\\.1\\.100`));
});

test("only its hash is stored; cut, upper-cased or changed it opens nothing", async () => {
  await using world = await identityWorld();
  await world.users.add("anna");
  const { sessions } = world.identity;
  const { id } = await sessions.createSession("anna", { vouchedBy: "test" });
  const rows = await world.store.read((tx) => tx.all("SELECT * FROM identity_sessions"));
  expect(JSON.stringify(rows)).not.toContain(id.slice(5));
  for (const wrong of [
    "",
    id.slice(0, -1),
    id.toUpperCase(),
    id.toLowerCase(),
    `${id} `,
    id.replace("cfds_", "cfd_"),
    "x".repeat(100_000),
    Object(undefined),
    Object(7),
  ])
    await expect(sessions.verifySession(wrong)).rejects.toThrow(code("UNAUTHENTICATED"));
  expect((await sessions.verifySession(id)).userId).toBe("anna");
});

test("every level: over when it is idle, and at its end, however often it is used", async () => {
  for (const level of LEVELS) {
    const { absolute, idle } = LEVEL_RULES[level];
    await using world = await identityWorld({ level });
    await world.users.add("anna");
    const { sessions } = world.identity;
    const unused = await sessions.createSession("anna", { vouchedBy: "test" });
    world.time.pass(idle - 1);
    expect((await sessions.verifySession(unused.id)).userId).toBe("anna");
    world.time.pass(idle);
    await expect(sessions.verifySession(unused.id)).rejects.toThrow("not used for too long");
    const used = await sessions.createSession("anna", { vouchedBy: "test" });
    const begin = world.time.wall;
    while (world.time.wall - begin + idle / 2 < absolute) {
      world.time.pass(idle / 2);
      expect((await sessions.verifySession(used.id)).expiresAt).toBe(used.expiresAt);
    }
    world.time.pass(absolute - (world.time.wall - begin));
    await expect(sessions.verifySession(used.id)).rejects.toThrow("the session is over");
  }
});

test("property: never alive past idle or absolute, whatever the clock of the wall does", async () => {
  const step = fc.record({ pass: fc.integer({ min: 0, max: 50 * MINUTE }), jump: fc.integer({ min: -48 * HOUR, max: 0 }), restart: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      await using world = await identityWorld();
      const { absolute, idle } = LEVEL_RULES.medium;
      await world.users.add("anna");
      let { sessions } = world.identity;
      const { id } = await sessions.createSession("anna", { vouchedBy: "test" });
      let [age, pause] = [0, 0];
      for (const { pass, jump, restart } of steps) {
        world.time.pass(pass);
        world.time.wall += jump;
        age += pass;
        pause += pass;
        // The machine stays up: its counter says how much time went by, also to a process that starts now.
        if (restart) sessions = (await world.again()).sessions;
        const alive = await sessions.verifySession(id).then(
          () => true,
          () => false,
        );
        if (age >= absolute || pause >= idle) expect(alive).toBe(false);
        if (alive) pause = 0;
        else break;
      }
    }),
    { numRuns: 20 },
  );
}, 60_000);

test("after a restart of the machine with a clock that was set back, what was over is over", async () => {
  await using world = await identityWorld();
  await world.users.add("anna");
  const { id } = await world.identity.sessions.createSession("anna", { vouchedBy: "test" });
  world.time.pass(13 * HOUR);
  await expect(world.identity.sessions.verifySession(id)).rejects.toThrow(code("UNAUTHENTICATED"));
  await world.identity.sessions.createSession("anna", { vouchedBy: "test" });
  Object.assign(world.time, { wall: T0, up: 5000, boot: "boot-2" });
  const after = await world.again();
  await expect(after.sessions.verifySession(id)).rejects.toThrow(code("UNAUTHENTICATED"));
  expect((await after.status()).clockBehind).toBeGreaterThan(12 * HOUR);
  // Whoever owns the state directory may say that the clock is right now; then everybody logs in again.
  await expect(after.recovery.resetClock({ kind: "user", userId: "anna" })).rejects.toThrow(code("PERMISSION_DENIED"));
  await after.recovery.resetClock(OWNER);
  expect((await after.status()).clockBehind).toBe(0);
  expect(await after.sessions.listSessions()).toEqual([]);
});

test("bound to its client as the level asks: another one ends it, nobody at all does not", async () => {
  await using world = await identityWorld({ level: "high" });
  await world.users.add("anna");
  const { sessions } = world.identity;
  const client = { ipAddress: "10.0.1.100", userAgent: "Mozilla/5.0" };
  const { id } = await sessions.createSession("anna", { ...client, vouchedBy: "test" });
  expect((await sessions.verifySession(id, { ...client, ipAddress: "::ffff:10.0.1.100" })).userId).toBe("anna");
  await expect(sessions.verifySession(id)).rejects.toThrow("nobody said which one shows it");
  expect((await sessions.verifySession(id, client)).userId).toBe("anna");
  await expect(sessions.verifySession(id, { ...client, ipAddress: "10.0.1.101" })).rejects.toThrow("another client");
  await expect(sessions.verifySession(id, client)).rejects.toThrow("no such session");
  expect(await world.actions()).toEqual(["session_created", "session_refused refused", "session_ended", "session_refused refused", "session_refused refused"]);
});

test("five for a user: the sixth ends the oldest, also when many come at once", async () => {
  await using world = await identityWorld();
  await world.users.add("anna");
  const { sessions } = world.identity;
  const first = await sessions.createSession("anna", { vouchedBy: "test" });
  world.time.pass(1000);
  const others = await Promise.all(Array.from({ length: 12 }, () => sessions.createSession("anna", { vouchedBy: "test" })));
  expect(await sessions.listSessions("anna")).toHaveLength(5);
  await expect(sessions.verifySession(first.id)).rejects.toThrow(code("UNAUTHENTICATED"));
  const alive = await Promise.all(
    others.map(({ id }) =>
      sessions.verifySession(id).then(
        () => 1,
        () => 0,
      ),
    ),
  );
  expect(alive.reduce<number>((sum, one) => sum + one, 0)).toBe(5);
  expect((await world.actions()).filter((action) => action === "session_ended")).toHaveLength(8);
});

test("a user who is disabled has no sessions; who vouches cannot name one into them", async () => {
  await using world = await identityWorld();
  await world.users.add("anna");
  const { sessions } = world.identity;
  const { id } = await sessions.createSession("anna", { vouchedBy: "test" });
  await world.users.disable("anna");
  await expect(sessions.verifySession(id)).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(sessions.createSession("anna", { vouchedBy: "test" })).rejects.toThrow(code("UNAUTHENTICATED"));
});

test("revoking: one's own, with the secret or the name of it; others' with the right to", async () => {
  await using world = await identityWorld();
  const { sessions } = world.identity;
  for (const name of ["anna", "berta", "chief"]) await world.users.add(name);
  world.users.admins.add("chief");
  const made = await Promise.all([1, 2, 3].map(() => sessions.createSession("anna", { vouchedBy: "test" })));
  const [one, two, three] = made.map(({ id, handle }) => ({ id, handle }));
  const berta = { kind: "user", userId: "berta" } as const;
  await expect(sessions.revokeSession(one?.handle ?? "", berta)).rejects.toThrow(code("PERMISSION_DENIED"));
  await expect(sessions.revokeUserSessions("anna", berta)).rejects.toThrow(code("PERMISSION_DENIED"));
  expect(await sessions.revokeSession(one?.id ?? "", { kind: "user", userId: "anna" })).toBe(true);
  expect(await sessions.revokeSession(two?.handle ?? "", { kind: "user", userId: "chief" })).toBe(true);
  expect(await sessions.revokeSession(two?.handle ?? "")).toBe(false);
  expect(await sessions.revokeUserSessions("anna", OWNER)).toBe(1);
  await expect(sessions.verifySession(three?.id ?? "")).rejects.toThrow(code("UNAUTHENTICATED"));
});

test("what one process ends is over in another one at its next question", async () => {
  await using world = await identityWorld();
  await world.users.add("anna");
  const { sessions } = world.identity;
  const { id } = await sessions.createSession("anna", { vouchedBy: "test" });
  const child = fork(childScript, ["verify", world.folder], { stdio: ["pipe", "pipe", "inherit", "ipc"] });
  const answers = createInterface({ input: child.stdout ?? process.stdin })[Symbol.asyncIterator]();
  const ask = async (): Promise<unknown> => {
    child.stdin?.write(`${id}\n`);
    return (await answers.next()).value;
  };
  expect(await ask()).toBe("anna");
  await sessions.revokeUserSessions("anna", OWNER);
  expect(await ask()).toBe("UNAUTHENTICATED");
  child.stdin?.end();
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("killed between the change and its event: the next process puts it on record", async () => {
  await using world = await identityWorld();
  await world.users.add("anna");
  const { sessions } = world.identity;
  const { id } = await sessions.createSession("anna", { vouchedBy: "test" });
  const child = fork(childScript, ["die", world.folder, "anna"], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
  await expect(sessions.verifySession(id)).rejects.toThrow("no such session");
  expect(await world.actions()).not.toContain("session_ended");
  world.time.pass(10_000);
  await world.again();
  expect((await world.actions()).filter((action) => action === "session_ended")).toHaveLength(1);
  expect((await world.identity.status()).unrecorded).toBe(0);
});

test("before initialize, and after close", async () => {
  await using world = await identityWorld();
  await world.identity.close();
  await expect(world.identity.sessions.verifySession("x")).rejects.toThrow(code("NOT_INITIALIZED"));
  await expect(world.again(Object({ levle: "high" }))).rejects.toThrow(/did you mean "level"/);
});

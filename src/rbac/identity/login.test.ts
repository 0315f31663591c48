/** Logging in with passwords and second factors; guessing; getting in again. */
import { expect, test } from "vitest";
import { type IdentityWorld, identityWorld, OWNER, PASSWORD } from "../../../test/world/identity.ts";
import type { Identity } from "./identity.ts";
import { COST_FLOOR } from "./password.ts";
import { codeOf } from "./totp.ts";

const MINUTE = 60_000;
const code = (code: string, more: object = {}): object => expect.objectContaining({ code, ...more });
const anna = { username: "anna", password: PASSWORD };

async function withAnna(world: IdentityWorld): Promise<Identity> {
  await world.users.add("anna");
  await world.identity.accounts.setPassword("anna", PASSWORD, OWNER);
  return world.identity;
}

/** Enrols and confirms. @returns the secret, and recovery codes. */
async function enrol(world: IdentityWorld, userId = "anna"): Promise<{ secret: Buffer; recovery: readonly string[] }> {
  const self = { kind: "user", userId } as const;
  const { accounts } = world.identity;
  const { secret: text } = await accounts.enrolSecondFactor(userId, self);
  const secret = fromBase32(text);
  const recovery = await accounts.confirmSecondFactor(userId, codeNow(world, secret), self);
  world.time.pass(2 * MINUTE);
  return { secret, recovery };
}

function codeNow(world: IdentityWorld, secret: Buffer): string {
  return codeOf(secret, Math.floor(world.time.wall / 30_000));
}

function fromBase32(text: string): Buffer {
  const bits = [...text].map((one) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(one).toString(2).padStart(5, "0")).join("");
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

test("right, wrong, nobody, disabled, without a password, too long: one answer for what is wrong", async () => {
  await using world = await identityWorld();
  const { logins, sessions } = await withAnna(world);
  await world.users.add("berta");
  await world.users.add("robot", { kind: "service" });
  const authentication = await logins.login({ ...anna, username: "ANNA" }, { ipAddress: "10.0.0.1" });
  expect(authentication).toMatchObject({ method: "password", userId: "anna", mfa: false });
  const session = await sessions.createSession("anna", { authentication });
  expect((await sessions.verifySession(session.id)).userId).toBe("anna");
  // A proof is good once, and for its own user.
  await expect(sessions.createSession("anna", { authentication })).rejects.toThrow(code("UNAUTHENTICATED"));
  const answers: string[] = [];
  for (const [at, username] of ["anna", "nobody", "berta", "robot"].entries())
    await logins
      .login({ username, password: "wrong wrong wrong" }, { ipAddress: `10.0.1.${at}` })
      .catch((error) => answers.push(`${error.code} ${error.message}`));
  await world.users.disable("anna");
  await logins.login(anna, { ipAddress: "10.0.1.9" }).catch((error) => answers.push(`${error.code} ${error.message}`));
  expect(answers).toHaveLength(5);
  expect(new Set(answers)).toEqual(new Set(["UNAUTHENTICATED wrong user name or password"]));
  await expect(logins.login({ username: "anna", password: "x".repeat(5000) })).rejects.toThrow(code("INVALID_ARGUMENT"));
  const reasons = (await world.events()).filter(({ action, result }) => action === "login" && result === "failure").map(({ details }) => details?.["reason"]);
  expect(reasons).toEqual(["wrong password", "unknown user", "user without a password", "user without a password", "disabled user"]);
  expect(JSON.stringify(await world.events())).not.toMatch(/wrong wrong|correct horse|nobody/);
});

test("nobody's name costs as much work as a wrong password", async () => {
  await using world = await identityWorld();
  const { logins } = await withAnna(world);
  const cost = async (username: string): Promise<number> => {
    const before = process.cpuUsage();
    for (const at of [1, 2, 3]) await logins.login({ username, password: "wrong" }, { ipAddress: `10.1.${username.length}.${at}` }).catch(() => undefined);
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  await cost("anna");
  const [known, unknown] = [await cost("anna"), await cost("nobody-of-this-name")];
  // Processor time, not the clock. Without the dummy hash it would be a hundredth.
  expect(unknown).toBeGreaterThan(known / 2);
  expect(known).toBeGreaterThan(unknown / 2);
});

test("a raised cost is taken up at the next login", async () => {
  await using world = await identityWorld();
  await withAnna(world);
  const dearer = await world.again({ passwordCost: { ...COST_FLOOR, passes: 4 } });
  await dearer.logins.login(anna);
  const [row] = await world.store.read((tx) => tx.all("SELECT hash FROM identity_passwords"));
  expect(row?.["hash"]).toContain("t=4");
  await expect(dearer.logins.login(anna)).resolves.toMatchObject({ userId: "anna" });
});

test("a second factor: needed from its confirmation on, each code once, none from before or after", async () => {
  await using world = await identityWorld();
  const { logins, accounts } = await withAnna(world);
  const self = { kind: "user", userId: "anna" } as const;
  const { secret: text } = await accounts.enrolSecondFactor("anna", self);
  await expect(accounts.confirmSecondFactor("anna", "000000", self)).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(logins.login(anna)).resolves.toMatchObject({ mfa: false });
  const secret = fromBase32(text);
  expect(await accounts.confirmSecondFactor("anna", codeNow(world, secret), self)).toHaveLength(10);
  await expect(accounts.enrolSecondFactor("anna", self)).rejects.toThrow(code("CONFLICT"));
  await expect(logins.login(anna)).rejects.toThrow(code("UNAUTHENTICATED", { details: { secondFactor: "required" } }));
  // The one of the confirmation is used up.
  await expect(logins.login({ ...anna, code: codeNow(world, secret) })).rejects.toThrow("wrong code");
  world.time.pass(30_000);
  const now = codeNow(world, secret);
  const twice = await Promise.allSettled([logins.login({ ...anna, code: now }), logins.login({ ...anna, code: now })]);
  expect(twice.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  world.time.pass(10 * MINUTE);
  await expect(logins.login({ ...anna, code: codeOf(secret, Math.floor(world.time.wall / 30_000) - 2) })).rejects.toThrow("wrong code");
  const events = JSON.stringify(await world.events());
  expect(events).not.toContain(now);
  expect(events).not.toContain(text);
  const rows = JSON.stringify(await world.store.read((tx) => tx.all("SELECT * FROM identity_totp")));
  expect(rows).not.toContain(secret.toString("base64"));
});

test("recovery codes are good once; one's own second factor goes with a code of it", async () => {
  await using world = await identityWorld();
  const { logins, accounts } = await withAnna(world);
  const { recovery } = await enrol(world);
  const self = { kind: "user", userId: "anna" } as const;
  const [first = "", second = ""] = recovery;
  await expect(logins.login({ ...anna, recoveryCode: first.toLowerCase().replaceAll("-", " ") })).resolves.toMatchObject({ mfa: true });
  await expect(logins.login({ ...anna, recoveryCode: first })).rejects.toThrow("wrong code");
  for (const userId of ["anna", "ANNA"]) await expect(accounts.removeSecondFactor("anna", { kind: "user", userId })).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(accounts.removeSecondFactor("anna", { ...self, context: { limits: {} } }, second)).rejects.toThrow(code("PERMISSION_DENIED"));
  expect(await accounts.removeSecondFactor("anna", self, second)).toBe(true);
  await expect(logins.login(anna)).resolves.toMatchObject({ mfa: false });
});

test("level high: no session of an administrator without a second factor; paranoid: of nobody", async () => {
  await using world = await identityWorld({ level: "high" });
  const { logins, sessions } = await withAnna(world);
  const early = await sessions.createSession("anna", { authentication: await logins.login(anna) });
  await sessions.verifySession(early.id);
  world.users.admins.add("anna");
  // Who became an administrator meanwhile logs in again.
  await expect(sessions.verifySession(early.id)).rejects.toThrow("log in again");
  await expect(sessions.createSession("anna", { authentication: await logins.login(anna) })).rejects.toThrow(code("UNAUTHENTICATED"));
  const { secret } = await enrol(world);
  const authentication = await logins.login({ ...anna, code: codeNow(world, secret) });
  expect(await sessions.createSession("anna", { authentication })).toMatchObject({ mfa: true });
  const paranoid = await world.again({ level: "paranoid" });
  await world.users.add("berta");
  await paranoid.accounts.setPassword("berta", PASSWORD, OWNER);
  const proof = await paranoid.logins.login({ username: "berta", password: PASSWORD });
  await expect(paranoid.sessions.createSession("berta", { authentication: proof })).rejects.toThrow(code("UNAUTHENTICATED"));
});

test("ten thousand guesses from one address: a few are looked at, and the owner gets in from elsewhere", async () => {
  await using world = await identityWorld();
  const { logins } = await withAnna(world);
  const attacker = { ipAddress: "203.0.113.7" };
  const answers = new Map<string, number>();
  for (let at = 0; at < 10_000; at += 2_500)
    for (const one of await Promise.all(
      Array.from({ length: 2_500 }, () => logins.login({ username: "anna", password: "guess" }, attacker).catch((error) => error.code)),
    ))
      answers.set(one, (answers.get(one) ?? 0) + 1);
  expect(answers.get("UNAUTHENTICATED") ?? 0).toBeLessThanOrEqual(5);
  expect(answers.get("RATE_LIMITED")).toBeGreaterThan(9_000);
  // Right or not, from there it has to wait.
  await expect(logins.login(anna, attacker)).rejects.toThrow(code("RATE_LIMITED"));
  await expect(logins.login(anna, { ipAddress: "198.51.100.1" })).resolves.toMatchObject({ userId: "anna" });
  // The trail counts floods instead of keeping each.
  expect((await world.events()).length).toBeLessThan(200);
  world.time.pass(20 * MINUTE);
  await expect(logins.login(anna, attacker)).resolves.toMatchObject({ userId: "anna" });
}, 60_000);

test("so many at once that some are turned away: those are no wrong guesses of theirs", async () => {
  await using world = await identityWorld();
  const { logins } = await withAnna(world);
  const home = { ipAddress: "198.51.100.1" };
  const flood = Array.from({ length: 80 }, (_, n) =>
    logins.login({ username: `nobody${n}`, password: "guess" }, { ipAddress: `203.0.113.${n}` }).catch((error) => error.code),
  );
  const owner = Array.from({ length: 4 }, () => logins.login({ ...anna, password: "wrong" }, home).catch((error) => error.code));
  const turnedAway = (await Promise.all(owner)).filter((one) => one === "RESOURCE_EXHAUSTED").length;
  expect((await Promise.all(flood)).filter((one) => one === "RESOURCE_EXHAUSTED").length + turnedAway).toBeGreaterThan(0);
  const rows = await world.store.read((tx) => tx.all("SELECT failures FROM identity_guesses WHERE kind = 'account'"));
  expect(rows.map(({ failures }) => Number(failures))).toEqual([4 - turnedAway]);
  await expect(logins.login(anna, home)).resolves.toMatchObject({ userId: "anna" });
});

test("guesses from many addresses hold new addresses; a known one and a right code get in", async () => {
  await using world = await identityWorld();
  const { logins } = await withAnna(world);
  const { secret } = await enrol(world);
  const home = { ipAddress: "198.51.100.1" };
  await logins.login({ ...anna, code: codeNow(world, secret) }, home);
  await world.store.write(async (tx) => {
    // As sixty addresses with a guess each leave it.
    await tx.run("UPDATE identity_guesses SET failures = 60, until = ?, last_at = ? WHERE kind = 'account'", [world.time.wall + 5 * MINUTE, world.time.wall]);
  });
  const elsewhere = { ipAddress: "192.0.2.44" };
  world.time.pass(MINUTE);
  await expect(logins.login(anna, elsewhere)).rejects.toThrow(code("RATE_LIMITED"));
  await expect(logins.login({ ...anna, code: "000000" }, elsewhere)).rejects.toThrow(code("RATE_LIMITED"));
  await expect(logins.login({ ...anna, code: codeNow(world, secret) }, home)).resolves.toMatchObject({ mfa: true });
  world.time.pass(MINUTE);
  await expect(logins.login({ ...anna, code: codeNow(world, secret) }, elsewhere)).resolves.toMatchObject({ mfa: true });
  // A right code lets a wrong password in nowhere.
  world.time.pass(MINUTE);
  await expect(logins.login({ username: "anna", password: "guess", code: codeNow(world, secret) }, { ipAddress: "192.0.2.45" })).rejects.toThrow(
    code("UNAUTHENTICATED"),
  );
});

test("setting up: the token makes one administrator, once, within the hour, whoever asks twice", async () => {
  await using world = await identityWorld();
  const { recovery, logins } = world.identity;
  await expect(recovery.createSetupToken({ kind: "embedding", vouchedBy: "web" })).rejects.toThrow(code("PERMISSION_DENIED"));
  const { token } = await recovery.createSetupToken(OWNER);
  await expect(recovery.setUp(token, { username: "chief" }, "short")).rejects.toThrow(code("INVALID_ARGUMENT"));
  await expect(recovery.setUp(token.slice(0, -1), { username: "chief" }, PASSWORD)).rejects.toThrow(code("UNAUTHENTICATED"));
  const outcomes = await Promise.allSettled(["chief", "thief"].map((username) => recovery.setUp(token, { username }, PASSWORD)));
  expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  await expect(recovery.setUp(token, { username: "chief" }, PASSWORD)).rejects.toThrow(code("UNAUTHENTICATED"));
  expect(world.users.admins.size).toBe(1);
  const [name = ""] = world.users.admins;
  await expect(logins.login({ username: name, password: PASSWORD })).resolves.toMatchObject({ userId: name });
  await expect(recovery.createSetupToken(OWNER)).rejects.toThrow(code("FAILED_PRECONDITION"));
  world.users.admins.clear();
  const late = await recovery.createSetupToken(OWNER);
  world.time.pass(61 * MINUTE);
  await expect(recovery.setUp(late.token, { username: "late" }, PASSWORD)).rejects.toThrow(code("UNAUTHENTICATED"));
});

test("locked out: the owner of the state directory gives a new password, and takes the second factor away", async () => {
  await using world = await identityWorld();
  const { recovery, logins, sessions } = await withAnna(world);
  await enrol(world);
  const open = await sessions.createSession("anna", { vouchedBy: "test" });
  await expect(recovery.recover("anna", "another good passphrase", { kind: "user", userId: "anna" })).rejects.toThrow(code("PERMISSION_DENIED"));
  await recovery.recover("Anna", "another good passphrase", OWNER);
  await expect(sessions.verifySession(open.id)).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(logins.login(anna)).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(logins.login({ username: "anna", password: "another good passphrase" })).resolves.toMatchObject({ mfa: false });
  expect(await world.actions()).toEqual(expect.arrayContaining(["account_recovered", "session_ended"]));
});

test("a login from before a change of the password, or a token from before its end, opens nothing after it", async () => {
  await using world = await identityWorld();
  const { logins, sessions, accounts, tokens } = await withAnna(world);
  const authentication = await logins.login(anna);
  await accounts.setPassword("anna", "a new good passphrase", OWNER);
  await expect(sessions.createSession("anna", { authentication })).rejects.toThrow(code("UNAUTHENTICATED"));
  const { token, id } = await tokens.createToken("anna", { name: "a" }, OWNER);
  const shown = await tokens.verifyToken(token);
  await tokens.revokeToken(id, OWNER);
  await expect(sessions.createSession("anna", { authentication: shown.authentication })).rejects.toThrow(code("UNAUTHENTICATED"));
  // A proof that is too old or used is refused on record, too.
  const proof = await logins.login({ username: "anna", password: "a new good passphrase" });
  world.time.pass(61_000);
  await expect(sessions.createSession("anna", { authentication: proof })).rejects.toThrow(code("UNAUTHENTICATED"));
  const reasons = (await world.events())
    .filter(({ action, result }) => action === "session_created" && result === "failure")
    .map(({ details }) => details?.["reason"]);
  expect(reasons).toEqual(["changed since the proof", "changed since the proof", "no good proof"]);
});

test("changing one's own password takes the old one, and ends every session", async () => {
  await using world = await identityWorld();
  const { accounts, logins, sessions } = await withAnna(world);
  const open = await sessions.createSession("anna", { vouchedBy: "test" });
  const self = { kind: "user", userId: "anna" } as const;
  await expect(accounts.setPassword("anna", "a new good passphrase", self)).rejects.toThrow(code("PERMISSION_DENIED"));
  await expect(accounts.changePassword({ username: "anna", password: "wrong" }, "a new good passphrase")).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(accounts.changePassword(anna, PASSWORD)).rejects.toThrow(code("INVALID_ARGUMENT"));
  await accounts.changePassword(anna, "a new good passphrase");
  await expect(sessions.verifySession(open.id)).rejects.toThrow(code("UNAUTHENTICATED"));
  await expect(logins.login({ username: "anna", password: "a new good passphrase" })).resolves.toMatchObject({ userId: "anna" });
});

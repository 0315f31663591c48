import { expect, test } from "vitest";
import { acceptPassword, COST_CEILING, COST_FLOOR, PasswordHasher } from "./password.ts";

const refused = (code: string): object => expect.objectContaining({ code });

test("what is no password", () => {
  const bad = [
    "short",
    "aaaaaaaaaaaaaaaa",
    "with\nnew line in it",
    "\ud800 lone surrogate",
    "the john.doe passphrase",
    "THE JOHN.DOE PASSPHRASE",
    "x".repeat(8) + "é".repeat(600),
  ];
  for (const text of bad) expect(() => acceptPassword(text, ["John.Doe", "Jo"]), text).toThrow(refused("INVALID_ARGUMENT"));
  expect(acceptPassword("Jo likes long walks", ["John.Doe", "Jo"])).toBe("Jo likes long walks");
  // One text in two forms of Unicode is one password.
  expect(acceptPassword("cafe\u0301 au lait, s'il", [])).toBe(acceptPassword("café au lait, s'il", []));
});

test("a hash opens for its password and its user alone", async () => {
  const hasher = new PasswordHasher();
  const stored = await hasher.hash("anna", "some long password");
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=65536,t=3,p=1\$/);
  expect(await hasher.verify("anna", "some long password", stored)).toBe(true);
  expect(await hasher.verify("anna", "some long passwore", stored)).toBe(false);
  expect(await hasher.verify("berta", "some long password", stored)).toBe(false);
  expect(await hasher.verify("anna", "some long password", undefined)).toBe(false);
  expect(await hasher.hash("anna", "some long password")).not.toBe(stored);
});

test("a stored text decides no cost outside of the limits", async () => {
  const hasher = new PasswordHasher();
  const rest = `$${"A".repeat(22)}$${"A".repeat(43)}`;
  const texts = [`$argon2id$v=19$m=8,t=3,p=1${rest}`, `$argon2id$v=19$m=4194304,t=3,p=1${rest}`, `$argon2id$v=19$m=65536,t=999,p=1${rest}`];
  texts.push(`$argon2i$v=19$m=65536,t=3,p=1${rest}`, `$argon2id$v=19$m=65536,t=3,p=1$AAAA$${"A".repeat(43)}`, "plain text", "");
  for (const text of texts) await expect(hasher.verify("u", "p", text), text).rejects.toThrow(refused("INTEGRITY_FAILURE"));
  for (const cost of [
    { ...COST_FLOOR, passes: 2 },
    { ...COST_FLOOR, memory: 1024 },
    { ...COST_CEILING, memory: COST_CEILING.memory + 1 },
    { ...COST_FLOOR, parallelism: 0.5 },
  ])
    expect(() => new PasswordHasher(cost)).toThrow(refused("INVALID_ARGUMENT"));
});

test("raised costs make a hash outdated, lowered ones do not", async () => {
  const stored = await new PasswordHasher().hash("u", "some long password");
  expect(new PasswordHasher().isOutdated(stored)).toBe(false);
  expect(new PasswordHasher({ ...COST_FLOOR, passes: 4 }).isOutdated(stored)).toBe(true);
});

test("forty at once: two at a time, and those past the line are turned away at once", async () => {
  const hasher = new PasswordHasher();
  const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => hasher.verify("u", "p", undefined)));
  const turnedAway = outcomes.filter((one) => one.status === "rejected" && one.reason.code === "RESOURCE_EXHAUSTED");
  expect(turnedAway).toHaveLength(6);
  expect(await hasher.verify("u", "p", undefined)).toBe(false);
});

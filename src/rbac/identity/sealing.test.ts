import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Sealing } from "./sealing.ts";

const base = mkdtempSync(join(tmpdir(), "cofferdam-sealing-"));
afterAll(() => rmSync(base, { recursive: true }));
let next = 0;
const fresh = (): string => join(base, String(next++));
const keyOf = (directory: string): string => join(directory, "keys", "identity.key");
const text = Buffer.from("a secret");
const refused = (code: string): object => expect.objectContaining({ code });

test("what was sealed opens with the same file, about the same thing alone", async () => {
  const directory = fresh();
  const sealed = await new Sealing(directory).seal(text, ["totp", "usr_1"]);
  expect([statSync(keyOf(directory)).mode & 0o777, statSync(join(directory, "keys")).mode & 0o777]).toEqual([0o600, 0o700]);
  const later = new Sealing(directory);
  expect(await later.open(sealed, ["totp", "usr_1"])).toEqual(text);
  expect(await later.seal(text, ["totp", "usr_1"])).not.toBe(sealed);
  // Parts are bound each with its length: they cannot be cut elsewhere.
  for (const about of [["totp", "usr_2"], ["totpu", "sr_1"], ["totp", "usr_1", ""], ["totp"]])
    await expect(later.open(sealed, about)).rejects.toThrow(refused("INTEGRITY_FAILURE"));
  for (const changed of ["", "AAAA", sealed.slice(0, -4), `A${sealed.slice(1)}`])
    await expect(later.open(changed, ["totp", "usr_1"]), changed).rejects.toThrow(refused("INTEGRITY_FAILURE"));
  await expect(new Sealing(fresh()).open(sealed, ["totp", "usr_1"])).rejects.toThrow(refused("INTEGRITY_FAILURE"));
});

test("of many that make the key at once, all have the same", async () => {
  const directory = fresh();
  const all = Array.from({ length: 10 }, () => new Sealing(directory));
  const sealed = await Promise.all(all.map((one) => one.seal(text, ["x"])));
  for (const one of all) for (const each of sealed) expect(await one.open(each, ["x"])).toEqual(text);
});

test("a key that others can read, that is no key, or that is a link", async () => {
  const directory = fresh();
  await new Sealing(directory).seal(text, []);
  chmodSync(keyOf(directory), 0o640);
  await expect(new Sealing(directory).seal(text, [])).rejects.toThrow(refused("ENVIRONMENT_UNFIT"));
  chmodSync(keyOf(directory), 0o600);
  const key = readFileSync(keyOf(directory));
  writeFileSync(keyOf(directory), key.subarray(1));
  await expect(new Sealing(directory).seal(text, [])).rejects.toThrow(refused("INTEGRITY_FAILURE"));
  rmSync(keyOf(directory));
  symlinkSync("/dev/zero", keyOf(directory));
  await expect(new Sealing(directory).seal(text, [])).rejects.toThrow(refused("INVALID_ARGUMENT"));
});

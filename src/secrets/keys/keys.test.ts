import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { newMasterKey } from "../sealing/master-key.ts";
import { openBackup, sealBackup } from "./backup.ts";
import { KeyFile } from "./key-file.ts";
import { COST_CEILING, COST_FLOOR, openWithPassphrase, sealWithPassphrase } from "./passphrase.ts";
import { KeyProtection } from "./protection.ts";

const base = mkdtempSync(join(tmpdir(), "cofferdam-keys-"));
afterAll(() => rmSync(base, { recursive: true }));
let next = 0;
const fresh = (): string => join(base, `state-${next++}`, "keys", "secrets.key");
const plain = new KeyProtection({ kind: "file" });
const passphrase = Buffer.from("correct horse battery");
const underPassphrase = new KeyProtection({ kind: "passphrase", passphrase: async () => passphrase });
const CANNOT_OPEN = expect.objectContaining({ code: "INTEGRITY_FAILURE", message: expect.stringContaining("does not open") });

describe("the key file", () => {
  test("is made on first use, private, and the same key for whoever comes next", async () => {
    const path = fresh();
    const made = await new KeyFile(path, plain).current(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
    expect(await new KeyFile(path, plain).current(true)).toEqual(made);
    expect(readdirSync(join(path, ".."))).toEqual(["secrets.key"]);
  });

  test("made by many at once: all have one key", async () => {
    const path = fresh();
    const made = await Promise.all(Array.from({ length: 8 }, async () => await new KeyFile(path, plain).current(true)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  });

  test("is not made where a key was expected", async () => {
    const path = fresh();
    await expect(new KeyFile(path, plain).current(false)).rejects.toMatchObject({ code: "FAILED_PRECONDITION", hint: expect.stringContaining("restore") });
    expect(existsSync(path)).toBe(false);
  });

  test.each([0o640, 0o604, 0o660, 0o644])("that others may read (%o) is refused, with the way out", async (mode) => {
    const path = fresh();
    await new KeyFile(path, plain).current(true);
    chmodSync(path, mode);
    await expect(new KeyFile(path, plain).current(false)).rejects.toMatchObject({ code: "FAILED_PRECONDITION", hint: `chmod 600 ${path}` });
  });

  test("that others may replace, a link, a folder: refused", async () => {
    const path = fresh();
    await new KeyFile(path, plain).current(true);
    chmodSync(join(path, ".."), 0o777);
    await expect(new KeyFile(path, plain).current(false)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    chmodSync(join(path, ".."), 0o700);
    renameSync(path, `${path}.moved`);
    symlinkSync(`${path}.moved`, path);
    await expect(new KeyFile(path, plain).current(false)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    await expect(new KeyFile(join(path, ".."), plain).current(false)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  });

  test.each(["", "{}", "null", "[", "\u0000".repeat(100), '{"format":"cofferdam/secrets-keys/v1","keys":[]}'])(
    "of other bytes (%j) does not open",
    async (text) => {
      const path = fresh();
      await new KeyFile(path, plain).current(true);
      writeFileSync(path, text);
      await expect(new KeyFile(path, plain).current(true)).rejects.toEqual(CANNOT_OPEN);
    },
  );

  test("with another key under its name does not open; one that is too large is not read", async () => {
    const path = fresh();
    const { key } = await new KeyFile(path, plain).current(true);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace(Buffer.from(key).toString("base64"), Buffer.from(newMasterKey().key).toString("base64")));
    await expect(new KeyFile(path, plain).current(false)).rejects.toEqual(CANNOT_OPEN);
    writeFileSync(path, Buffer.alloc(1_000_001, 0x20));
    await expect(new KeyFile(path, plain).current(false)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("a second key joins the first; begun twice it is one change; then the first goes", async () => {
    const path = fresh();
    const [file, other] = [new KeyFile(path, plain), new KeyFile(path, plain)];
    const first = await file.current(true);
    const second = await (await file.prepare()).begin();
    expect(await (await other.prepare()).begin()).toEqual(second);
    expect(await other.get(first.id)).toEqual(first);
    await file.end(second.id);
    expect(file.state()?.keys).toEqual([{ id: second.id, kind: "file" }]);
    expect(await new KeyFile(path, plain).get(first.id)).toBeUndefined();
    await expect(file.end(first.id)).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  });

  test("from a file to a passphrase: the same keys, no key in the text", async () => {
    const path = fresh();
    const made = await new KeyFile(path, plain).current(true);
    await new KeyFile(path, plain).protectAnew(underPassphrase);
    expect(readFileSync(path, "utf8")).not.toContain(Buffer.from(made.key).toString("base64"));
    expect(await new KeyFile(path, underPassphrase).current(false)).toEqual(made);
    await expect(new KeyFile(path, plain).current(false)).rejects.toMatchObject({ code: "FAILED_PRECONDITION", hint: expect.stringContaining("passphrase") });
  });
});

describe("a passphrase", () => {
  const seal = async (cost = COST_FLOOR) => await sealWithPassphrase(passphrase, "backup", "label", Buffer.from("keys"), cost);

  test("opens what it sealed, and nothing else does", async () => {
    const box = await seal();
    expect((await openWithPassphrase(passphrase, "backup", "label", box)).toString()).toBe("keys");
    await expect(openWithPassphrase(Buffer.from("correct horse batterz"), "backup", "label", box)).rejects.toEqual(CANNOT_OPEN);
    await expect(openWithPassphrase(passphrase, "passphrase", "label", box)).rejects.toEqual(CANNOT_OPEN);
    await expect(openWithPassphrase(passphrase, "backup", "lable", box)).rejects.toEqual(CANNOT_OPEN);
    const salt = Buffer.from(box.salt, "base64");
    salt[0] = (salt[0] ?? 0) ^ 1;
    await expect(openWithPassphrase(passphrase, "backup", "label", { ...box, salt: salt.toString("base64") })).rejects.toEqual(CANNOT_OPEN);
  });

  test("with a lowered, a raised or a changed cost: refused in the same text, and without the memory that it asks for", async () => {
    const box = await seal();
    for (const cost of [
      { ...COST_FLOOR, memory: COST_FLOOR.memory - 1 },
      { ...COST_FLOOR, memory: 1024 },
      { ...COST_FLOOR, passes: 2 },
      { ...COST_FLOOR, passes: 4 },
      { ...COST_FLOOR, lanes: 0 },
      { ...COST_CEILING, memory: COST_CEILING.memory + 1 },
      { ...COST_FLOOR, passes: COST_CEILING.passes + 1 },
    ])
      await expect(openWithPassphrase(passphrase, "backup", "label", { ...box, cost })).rejects.toEqual(CANNOT_OPEN);
  });

  test("too short, or of a cost below the floor: not taken", async () => {
    await expect(sealWithPassphrase(Buffer.from("short"), "backup", "x", Buffer.from("k"), COST_FLOOR)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(seal({ ...COST_FLOOR, memory: 1024 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("a command", () => {
  /** Answers as a key service would: XOR with a fixed byte, which is enough to see both directions. */
  const script = (body: string): KeyProtection => new KeyProtection({ kind: "command", command: [process.execPath, "-e", body], timeout: 20_000 });
  const xor = script("let b=[];process.stdin.on('data',c=>b.push(c)).on('end',()=>process.stdout.write(Buffer.concat(b).map(x=>x^85)))");

  test("wraps and unwraps; the key is in no argument and not in the file", async () => {
    const path = fresh();
    const made = await new KeyFile(path, xor).current(true);
    expect(readFileSync(path, "utf8")).not.toContain(Buffer.from(made.key).toString("base64"));
    expect(await new KeyFile(path, xor).current(false)).toEqual(made);
  });

  test("that loses what it wrapped is found out before anything is sealed with it", async () => {
    const path = fresh();
    await expect(new KeyFile(path, script("process.stdout.write(Buffer.alloc(32,65).toString('base64'))")).current(true)).rejects.toMatchObject({
      code: "UPSTREAM_UNAVAILABLE",
    });
    expect(existsSync(path)).toBe(false);
  });

  test("that fails, floods, hangs or is not there: typed, and none of its words are passed on", async () => {
    const id = "mk_x";
    const key = newMasterKey().key;
    await expect(script("process.stderr.write('TOPSECRET');process.exit(3)").protect(id, key)).rejects.toMatchObject({
      code: "UPSTREAM_UNAVAILABLE",
      message: expect.not.stringContaining("TOPSECRET"),
    });
    await expect(script("process.stdout.write('x'.repeat(1e6))").protect(id, key)).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    const hangs = new KeyProtection({ kind: "command", command: [process.execPath, "-e", "setInterval(()=>{},1000)"], timeout: 300 });
    await expect(hangs.protect(id, key)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    const absent = new KeyProtection({ kind: "command", command: [join(base, "no-such-program")] });
    await expect(absent.protect(id, key)).rejects.toMatchObject({ code: "UPSTREAM_UNAVAILABLE", message: expect.stringContaining("ENOENT") });
  });
});

describe("a backup", () => {
  test("opens with its passphrase, and nothing else does", async () => {
    const keys = [newMasterKey(), newMasterKey()];
    const text = await sealBackup(keys, passphrase);
    for (const { key } of keys) expect(text).not.toContain(Buffer.from(key).toString("base64"));
    expect(await openBackup(text, passphrase)).toEqual(keys);
    await expect(openBackup(text, Buffer.from("another passphrase"))).rejects.toEqual(CANNOT_OPEN);
    for (const other of ["", "{}", text.slice(0, -10), text.replace('"memory":65536', '"memory":65537'), text.replace('"passes":3', '"passes":2')])
      await expect(openBackup(other, passphrase)).rejects.toEqual(CANNOT_OPEN);
    await expect(sealBackup(keys, Buffer.from("short"))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

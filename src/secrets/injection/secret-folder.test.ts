/** The files of one job's secrets, on a plain folder: what mounts is somebody else's, and is tested with a real container. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type MemoryMounts, MOST_SECRETS, SecretFolder, wipeFolder } from "./secret-folder.ts";

let base: string;
let calls: string[];
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-secrets-"));
  calls = [];
});
afterEach(() => rmSync(base, { recursive: true }));

const path = (): string => join(base, "secrets");
const mounts = (noSwap: boolean): MemoryMounts => ({
  mount: async (target, { bytes, inodes }) => {
    calls.push(`mount ${target} ${bytes} ${inodes}`);
    return { noSwap };
  },
  release: async (target) => void calls.push(`release ${target}`),
});
const opened = async (): Promise<SecretFolder> => await SecretFolder.open(path(), mounts(true), false);

/** What somebody reads who has the file open already. */
function seenBy(file: number): Buffer {
  const bytes = Buffer.alloc(200_000);
  return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
}

test("written for root alone, given to one user, taken back, and all of it gone at the end; what was open reads zeros", async () => {
  const folder = await opened();
  expect(calls).toEqual([`mount ${path()} 4259840 72`]);
  folder.put("A", Buffer.from("value of a"));
  folder.put("B", Buffer.alloc(65_536, 0x62));
  expect([statSync(join(path(), "A")).mode & 0o777, folder.names]).toEqual([0o400, ["A", "B"]]);
  const [a, b] = [openSync(join(path(), "A"), "r"), openSync(join(path(), "B"), "r")];
  if (process.getuid?.() === 0) {
    folder.giveTo({ uid: 4242, gid: 4243 });
    folder.put("C", Buffer.from("value of c"));
    for (const name of ["A", "C"]) expect(statSync(join(path(), name))).toMatchObject({ uid: 4242, gid: 4243 });
  }
  expect(seenBy(a).toString()).toBe("value of a");
  expect([folder.take("A"), folder.take("A"), existsSync(join(path(), "A"))]).toEqual([true, false, false]);
  expect(seenBy(a)).toEqual(Buffer.alloc(10));
  await folder.close();
  await folder.close();
  expect(seenBy(b)).toEqual(Buffer.alloc(65_536));
  expect([readdirSync(path()), calls.at(-1), calls.length]).toEqual([[], `release ${path()}`, 2]);
  expect(() => folder.put("D", Buffer.from("x"))).toThrow(expect.objectContaining({ code: "FAILED_PRECONDITION" }));
  closeSync(a);
  closeSync(b);
});

describe("refused", () => {
  test.each(["", ".", "..", ".hidden", "a/b", "../a", "a\0b", "-x", "x".repeat(129), "ä"])("a name such as %j", async (name) => {
    const folder = await opened();
    expect(() => folder.put(name, Buffer.from("x"))).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(readdirSync(path())).toEqual([]);
  });

  test("the same name twice, a value of 64 KiB and one byte, one secret more than there may be; what was there stays", async () => {
    const folder = await opened();
    folder.put("A", Buffer.from("first"));
    expect(() => folder.put("A", Buffer.from("second"))).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    expect(() => folder.put("B", Buffer.alloc(65_537))).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
    for (let i = 1; i < MOST_SECRETS; i++) folder.put(`s${i}`, Buffer.from("x"));
    expect(() => folder.put("C", Buffer.from("x"))).toThrow(expect.objectContaining({ code: "RESOURCE_EXHAUSTED" }));
    expect(readFileSync(join(path(), "A"), "utf8")).toBe("first");
  });

  test("a link that somebody put there is not followed", async () => {
    const folder = await opened();
    writeFileSync(join(base, "other"), "untouched");
    symlinkSync(join(base, "other"), join(path(), "A"));
    expect(() => folder.put("A", Buffer.from("secret"))).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    await folder.close();
    expect(readFileSync(join(base, "other"), "utf8")).toBe("untouched");
  });
});

describe("a kernel that cannot keep memory out of swap", () => {
  const HEAD = "Filename Type Size Used Priority\n";
  const open = async (list: string, mayBeSwapped: boolean): Promise<SecretFolder> => {
    writeFileSync(join(base, "swaps"), list);
    return await SecretFolder.open(path(), mounts(false), mayBeSwapped, join(base, "swaps"));
  };

  test("is refused where there is swap, and nothing stays mounted", async () => {
    await expect(open(`${HEAD}/dev/sda2 partition 1 0 -2\n`, false)).rejects.toMatchObject({ code: "ENVIRONMENT_UNFIT" });
    expect(calls).toEqual([expect.stringMatching(/^mount/), `release ${path()}`]);
  });

  test("does where there is none, or where that is accepted; it is said", async () => {
    expect((await open(HEAD, false)).noSwap).toBe(false);
    rmSync(path(), { recursive: true });
    expect((await open(`${HEAD}/dev/sda2 partition 1 0 -2\n`, true)).noSwap).toBe(false);
  });
});

test("what a killed process left is overwritten and gone; nothing there is fine", () => {
  wipeFolder(path());
  mkdirSync(path());
  writeFileSync(join(path(), "A"), "left behind");
  const file = openSync(join(path(), "A"), "r");
  wipeFolder(path());
  expect([readdirSync(path()), seenBy(file)]).toEqual([[], Buffer.alloc(11)]);
  closeSync(file);
});

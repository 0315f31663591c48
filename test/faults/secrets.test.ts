/** Secrets while processes die, race, and have no room: the files are real, the kills are kill -9. */
import { execFile as execFileCallback, execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/foundation/index.ts";
import type { SealedBackend } from "../../src/secrets/backends/sealed-backend.ts";
import { requires } from "../world/needs.ts";
import { openSecrets, versionOf } from "../world/secret-store.ts";

const SCRIPT = fileURLToPath(new URL("../world/secret-process.ts", import.meta.url));
const execFile = promisify(execFileCallback);
const VALUES: Readonly<Record<string, string>> = { a: "one", "b/c": "two", d: "three" };
let base: string;
/** A store with three secrets, to be copied. */
let template: string;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-secret-faults-"));
  template = join(base, "template");
  await within(template, async (backend) => {
    for (const [id, value] of Object.entries(VALUES)) await backend.add(id, versionOf(value, { maxReads: 50 }));
  });
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

async function within<T>(folder: string, work: (backend: SealedBackend) => Promise<T>): Promise<T> {
  await using opened = openSecrets(folder, systemClock);
  await opened.backend.initialize();
  return await work(opened.backend);
}

function copy(name: string): string {
  const folder = join(base, name);
  cpSync(template, folder, { recursive: true });
  return folder;
}

async function values(backend: SealedBackend): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for (const id of await backend.list(undefined, 100)) {
    const secret = await backend.find(id);
    if (secret !== undefined) found[id] = Buffer.from(await secret.value(secret.info.currentVersion)).toString();
  }
  return found;
}

/** Names of the keys in the file, and of those that rows are under. */
function keysOf(folder: string): { readonly inFile: readonly string[]; readonly used: readonly string[] } {
  const database = new DatabaseSync(join(folder, "cofferdam.db"), { readOnly: true });
  try {
    const used = database.prepare("SELECT DISTINCT key_id FROM secret_values").all();
    const text = readFileSync(join(folder, "keys", "secrets.key"), "utf8");
    return { inFile: [...text.matchAll(/"id":"(mk_[0-9a-f]{32})"/g)].map(([, id]) => id ?? ""), used: used.map(({ key_id }) => String(key_id)) };
  } finally {
    database.close();
  }
}

/** Runs the script in a copy until a step that it does not have any more. */
async function killedAtEachStep(action: string, check: (folder: string, step: number) => Promise<void>): Promise<number> {
  for (let step = 1; ; step++) {
    const folder = copy(`${action}-${step}`);
    const { signal, stderr, status } = spawnSync(process.execPath, [SCRIPT, folder, action, String(step)], { encoding: "utf8" });
    if (signal !== "SIGKILL") {
      expect({ status, stderr }).toMatchObject({ status: 0 });
      return step - 1;
    }
    await check(folder, step);
    rmSync(folder, { recursive: true });
  }
}

describe("killed before each of its steps", () => {
  test("a change of the master key: every secret is readable, each with one key that is there; the next run ends it", async () => {
    const steps = await killedAtEachStep("rewrap", async (folder) => {
      const { inFile, used } = keysOf(folder);
      expect(inFile.length).toBeLessThanOrEqual(2);
      for (const id of used) expect(inFile.filter((one) => one === id)).toHaveLength(1);
      await within(folder, async (backend) => {
        expect(await values(backend)).toEqual(VALUES);
        const { keyId } = await backend.rewrap();
        expect(keysOf(folder)).toEqual({ inFile: [keyId], used: [keyId] });
        expect(await values(backend)).toEqual(VALUES);
      });
    });
    expect(steps).toBeGreaterThan(10);
  });

  test.each([
    ["add", "next"],
    ["remove", undefined],
  ])("%s: what was, or what is to be", async (action, after) => {
    const steps = await killedAtEachStep(action, async (folder) => {
      await within(folder, async (backend) => {
        const { a, ...others } = await values(backend);
        expect(others).toEqual({ "b/c": "two", d: "three" });
        expect(["one", after]).toContain(a);
        if (a === "one") expect(await backend.add("a", versionOf("again", { after: 1 }))).toBe(2);
      });
    });
    expect(steps).toBeGreaterThan(3);
  });
});

test("three processes share the reads that a secret has: none gets one too many, none is lost", async () => {
  const folder = copy("reads");
  const counted = await Promise.all([1, 2, 3].map(async () => await execFile(process.execPath, [SCRIPT, folder, "count", "0"])));
  expect(counted.map(({ stdout }) => Number(stdout.split(" ")[0])).reduce((sum, one) => sum + one, 0)).toBe(50);
  await within(folder, async (backend) => expect((await backend.find("a"))?.info.reads).toBe(50));
});

test("three processes give a secret its next value at once: one of them does", async () => {
  const folder = copy("writes");
  const ended = await Promise.allSettled([1, 2, 3].map(async () => await execFile(process.execPath, [SCRIPT, folder, "add", "0"])));
  expect(ended.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const one of ended) if (one.status === "rejected") expect(String(one.reason)).toContain("CONFLICT");
  await within(folder, async (backend) =>
    expect((await backend.find("a"))?.info).toMatchObject({ currentVersion: 2, versions: [{ state: "destroyed" }, { state: "current" }] }),
  );
});

test("no room on the disk: a typed error, and everything that was there still is", async (context) => {
  requires(context, "root");
  const folder = join(base, "full");
  mkdirSync(folder);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", folder]);
  try {
    const kept: Record<string, string> = {};
    await within(folder, async (backend) => {
      const value = "x".repeat(60_000);
      const filling = (async () => {
        for (let i = 0; ; i++) {
          await backend.add(`fill/${i}`, versionOf(value));
          kept[`fill/${i}`] = value;
        }
      })();
      await expect(filling).rejects.toMatchObject({ name: "CofferdamError", code: expect.stringMatching(/^(RESOURCE_EXHAUSTED|ENVIRONMENT_UNFIT)$/) });
    });
    expect(Object.keys(kept).length).toBeGreaterThan(5);
    execFileSync("mount", ["-o", "remount,size=32m", folder]);
    await within(folder, async (backend) => {
      expect(await values(backend)).toMatchObject(kept);
      await backend.add("more", versionOf("more"));
    });
  } finally {
    execFileSync("umount", [folder]);
  }
});

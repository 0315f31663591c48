import { fork } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, test } from "vitest";
import { storeContract } from "../../test/world/store-contract.ts";
import { Facts, SqliteStore } from "./index.ts";

const base = mkdtempSync(join(tmpdir(), "cofferdam-store-"));
afterAll(() => rmSync(base, { recursive: true }));
let next = 0;
const fresh = (): string => join(base, String(next++), "x.db");

storeContract("sqlite file", () => new SqliteStore({ path: fresh() }));
storeContract("sqlite memory", () => new SqliteStore());

describe("sqlite on disk", () => {
  test("processes take turns, from the making of the file on: no update is lost", async () => {
    const path = fresh();
    const script = new URL("../../test/world/count-process.ts", import.meta.url);
    const exits = await Promise.all([1, 2, 3, 4, 5, 6].map(() => new Promise((resolve) => fork(script, [path, "50"]).once("exit", resolve))));
    expect(exits).toEqual([0, 0, 0, 0, 0, 0]);
    await using store = new SqliteStore({ path });
    expect(await new Facts(store, "count").get("n")).toBe("300");
  });

  test("file 0600, folder 0700; a link in its place is refused", async () => {
    const path = fresh();
    await using store = new SqliteStore({ path });
    await new Facts(store, "x").initialize();
    const paths = [path, `${path}-wal`, `${path}-shm`, dirname(path)];
    expect(paths.map((one) => statSync(one).mode & 0o777)).toEqual([0o600, 0o600, 0o600, 0o700]);
    const link = join(base, "link.db");
    symlinkSync(path, link);
    await using linked = new SqliteStore({ path: link });
    await expect(new Facts(linked, "x").initialize()).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  });

  test("a folder that cannot be made is an error, and no hang", async () => {
    await using store = new SqliteStore({ path: "/proc/none/such/x.db" });
    await expect(new Facts(store, "x").initialize()).rejects.toMatchObject({ code: "ENVIRONMENT_UNFIT" });
  });

  test("the wait for a turn is bounded", async () => {
    const path = fresh();
    await using one = new SqliteStore({ path });
    await using two = new SqliteStore({ path, writeTimeout: 200 });
    await new Facts(one, "x").initialize();
    await one.write(async () => {
      await expect(two.write(async (tx) => tx.get("SELECT 1"))).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    });
    await expect(two.write(async (tx) => tx.get("SELECT 1 AS one"))).resolves.toEqual({ one: 1 });
  });

  test.each(["", "-wal"])("x.db%s removed while it is open: CONFLICT, never a commit into a file without a name", async (suffix) => {
    const path = fresh();
    await using store = new SqliteStore({ path });
    const facts = new Facts(store, "x");
    await facts.initialize();
    await facts.put("k", "1", 0);
    cpSync(join(path, ".."), join(path, "..", "..", "copy"), { recursive: true });
    const failing = store.write(async (tx) => {
      rmSync(path + suffix);
      await tx.run("DELETE FROM facts");
    });
    await expect(failing).rejects.toMatchObject({ code: "CONFLICT" });
    if (suffix === "") await expect(facts.put("k", "2", 0)).rejects.toMatchObject({ code: "CONFLICT" });
    rmSync(join(path, ".."), { recursive: true });
    renameSync(join(path, "..", "..", "copy"), join(path, ".."));
    expect(await facts.get("k")).toBe("1");
    await facts.put("k", "3", 0);
    expect(await facts.get("k")).toBe("3");
  });

  test("a look-up goes with the name of the file, not with what was there", async () => {
    const path = fresh();
    const add = async (value: string): Promise<void> => {
      await using store = new SqliteStore({ path });
      await new Facts(store, "x").initialize();
      await new Facts(store, "x").put("k", value, 0);
    };
    await add("1");
    await using store = new SqliteStore({ path });
    const lookup = store.lookup("SELECT value FROM facts");
    expect(await lookup.get()).toEqual({ value: "1" });
    await add("2");
    expect(await lookup.get()).toEqual({ value: "2" });
    rmSync(dirname(path), { recursive: true });
    await expect(lookup.get()).rejects.toMatchObject({ code: "ENVIRONMENT_UNFIT" });
    await add("3");
    expect(await lookup.get()).toEqual({ value: "3" });
    lookup.close();
  });

  test("commits wait for the disk; the log is written ahead; foreign keys hold", async () => {
    await using store = new SqliteStore({ path: fresh() });
    const pragma = (name: string): Promise<unknown> => store.write(async (tx) => Object.values((await tx.get(`PRAGMA ${name}`)) ?? {})[0]);
    expect(await Promise.all(["synchronous", "journal_mode", "foreign_keys", "trusted_schema"].map(pragma))).toEqual([2, "wal", 1, 0]);
  });

  test("opening waits too, for a process that is making the file", async () => {
    const path = fresh();
    mkdirSync(dirname(path));
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE t (x); BEGIN EXCLUSIVE");
    await using store = new SqliteStore({ path });
    const opening = new Facts(store, "x").initialize();
    await new Promise((resolve) => setTimeout(resolve, 150));
    other.exec("COMMIT");
    other.close();
    await opening;
  });

  test("what is not a database is INTEGRITY_FAILURE", async () => {
    const path = join(base, "junk.db");
    writeFileSync(path, "this is not a database, it only looks long enough to be one".repeat(100));
    chmodSync(path, 0o600);
    await using store = new SqliteStore({ path });
    await expect(new Facts(store, "x").initialize()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });
});

import { fork } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
  test("processes take turns: no update is lost", async () => {
    const path = fresh();
    await using store = new SqliteStore({ path });
    const facts = new Facts(store, "count");
    await facts.initialize();
    const script = new URL("../../test/world/count-process.ts", import.meta.url);
    const exits = await Promise.all([1, 2, 3].map(() => new Promise((resolve) => fork(script, [path, "100"]).once("exit", resolve))));
    expect(exits).toEqual([0, 0, 0]);
    expect(await facts.get("n")).toBe("300");
  });

  test("file 0600, folder 0700; a link in its place is refused", async () => {
    const path = fresh();
    await using store = new SqliteStore({ path });
    await new Facts(store, "x").initialize();
    expect([statSync(path).mode & 0o777, statSync(join(path, "..")).mode & 0o777]).toEqual([0o600, 0o700]);
    const link = join(base, "link.db");
    symlinkSync(path, link);
    await using linked = new SqliteStore({ path: link });
    await expect(new Facts(linked, "x").initialize()).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
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

  test("what is not a database is INTEGRITY_FAILURE", async () => {
    const path = join(base, "junk.db");
    writeFileSync(path, "this is not a database, it only looks long enough to be one".repeat(100));
    chmodSync(path, 0o600);
    await using store = new SqliteStore({ path });
    await expect(new Facts(store, "x").initialize()).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });
});

/** What every backend of the Store must do. A second backend runs these unchanged. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Facts, type Migration, type Store, type Transaction } from "../../src/store/index.ts";

const TABLE: Migration = { name: "t", sql: ["CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT, body BLOB)"] };

export function storeContract(name: string, make: () => Store): void {
  describe(`store contract: ${name}`, () => {
    let store: Store;
    beforeEach(async () => {
      store = make();
      await store.migrate("room", [TABLE]);
    });
    afterEach(() => store.close());

    test("values come back as they went in", async () => {
      const body = Uint8Array.from([0, 255, 1]);
      await store.write((tx) => tx.run("INSERT INTO t VALUES (?, ?, ?)", [1, "å\0b", body]));
      const row = await store.read((tx) => tx.get("SELECT * FROM t"));
      expect(row).toMatchObject({ name: "å\0b" });
      expect(Number(row?.["id"])).toBe(1);
      expect(Buffer.from(body).equals(Buffer.from(row?.["body"] instanceof Uint8Array ? row["body"] : []))).toBe(true);
    });

    test("a write that throws leaves nothing", async () => {
      const failing = store.write(async (tx) => {
        await tx.run("INSERT INTO t (id) VALUES (?)", [1]);
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      expect(await store.read((tx) => tx.all("SELECT * FROM t"))).toEqual([]);
    });

    test("a statement that fails takes the whole write with it", async () => {
      const failing = store.write(async (tx) => {
        await tx.run("INSERT INTO t (id) VALUES (?)", [1]);
        await tx.run("INSERT INTO t (id) VALUES (?)", [1]);
      });
      await expect(failing).rejects.toMatchObject({ name: "CofferdamError" });
      expect(await store.read((tx) => tx.all("SELECT * FROM t"))).toEqual([]);
      await store.write((tx) => tx.run("INSERT INTO t (id) VALUES (?)", [1]));
    });

    test("a look-up sees every commit, and nothing before it", async () => {
      const lookup = store.lookup("SELECT name FROM t WHERE id = ?");
      expect(await lookup.get([1])).toBeUndefined();
      let during: Promise<unknown> | undefined;
      await store
        .write(async (tx) => {
          await tx.run("INSERT INTO t (id, name) VALUES (1, 'one')");
          during = lookup.get([1]);
          await Promise.race([during, new Promise((resolve) => setImmediate(resolve))]);
          throw new Error("no");
        })
        .catch(() => undefined);
      expect(await during).toBeUndefined();
      await store.write((tx) => tx.run("INSERT INTO t (id, name) VALUES (1, 'one')"));
      expect(await lookup.get([1])).toEqual({ name: "one" });
      lookup.close();
      expect(await lookup.get([1])).toEqual({ name: "one" });
    });

    test("a read sees one moment, and holds no writer up", async () => {
      const count = "SELECT count(*) AS n FROM t";
      const seen: number[] = [];
      await store.write((tx) => tx.run("INSERT INTO t (id) VALUES (?)", [1]));
      await store.read(async (tx) => {
        seen.push(Number((await tx.get(count))?.["n"]));
        await store.write((other) => other.run("INSERT INTO t (id) VALUES (?)", [2]));
        seen.push(Number((await tx.get(count))?.["n"]));
      });
      seen.push(Number((await store.read((tx) => tx.get(count)))?.["n"]));
      expect(seen).toEqual([1, 1, 2]);
    });

    test("changes are counted", async () => {
      const changes = await store.write(async (tx) => {
        for (let id = 0; id < 4; id++) await tx.run("INSERT INTO t (id) VALUES (?)", [id]);
        return [(await tx.run("UPDATE t SET name = 'x' WHERE id < ?", [3])).changes, (await tx.run("DELETE FROM t WHERE id > ?", [9])).changes];
      });
      expect(changes).toEqual([3, 0]);
    });

    test("writes of one process take turns", async () => {
      await Promise.all(
        Array.from({ length: 50 }, () =>
          store.write(async (tx) => {
            const row = await tx.get("SELECT count(*) AS n FROM t");
            await new Promise((resolve) => setImmediate(resolve));
            await tx.run("INSERT INTO t (id) VALUES (?)", [Number(row?.["n"])]);
          }),
        ),
      );
      expect(Number((await store.read((tx) => tx.get("SELECT count(*) AS n FROM t")))?.["n"])).toBe(50);
    });

    test("of writes at the same time one that fails is undone alone, in their order", async () => {
      const insert = (id: number) => store.write((tx) => tx.run("INSERT INTO t (id) VALUES (?)", [id]));
      const failing = store.write(async (tx) => {
        await tx.run("INSERT INTO t (id) VALUES (?)", [2]);
        throw new Error("no");
      });
      const outcomes = await Promise.allSettled([insert(1), failing, insert(1), insert(3), insert(4)]);
      expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected", "fulfilled", "fulfilled"]);
      expect(outcomes[1]).toMatchObject({ reason: { message: "no" } });
      expect((await store.read((tx) => tx.all("SELECT id FROM t ORDER BY id"))).map(({ id }) => Number(id))).toEqual([1, 3, 4]);
    });

    test("iterate gives rows in order, and may be left early", async () => {
      await store.write(async (tx) => {
        for (let id = 0; id < 10; id++) await tx.run("INSERT INTO t (id) VALUES (?)", [id]);
      });
      const seen: number[] = [];
      await store.read(async (tx) => {
        for await (const row of tx.iterate("SELECT id FROM t WHERE id >= ? ORDER BY id", [3])) {
          seen.push(Number(row["id"]));
          if (seen.length === 3) break;
        }
      });
      expect(seen).toEqual([3, 4, 5]);
      await store.write((tx) => tx.run("DELETE FROM t"));
    });

    test("a read is one snapshot, and holds no writer up", async () => {
      const count = async (tx: Transaction): Promise<number> => Number((await tx.get("SELECT count(*) AS n FROM t"))?.["n"]);
      await store.write((tx) => tx.run("INSERT INTO t (id) VALUES (?)", [1]));
      const seen = await store.read(async (tx) => {
        const before = await count(tx);
        await store.write((writing) => writing.run("INSERT INTO t (id) VALUES (?)", [2]));
        return [before, await count(tx)];
      });
      expect(seen).toEqual([1, 1]);
      expect(await store.read(count)).toBe(2);
    });

    test("a long iteration lets other work go on", async () => {
      await store.write(async (tx) => {
        for (let id = 0; id < 3000; id++) await tx.run("INSERT INTO t (id) VALUES (?)", [id]);
      });
      let turns = 0;
      let rows = 0;
      const tick = setInterval(() => (turns += 1), 0);
      await store.read(async (tx) => {
        for await (const _row of tx.iterate("SELECT id FROM t")) rows += 1;
      });
      clearInterval(tick);
      expect(rows).toBe(3000);
      expect(turns).toBeGreaterThan(0);
    });

    test("what a statement does wrong is a CofferdamError, and the store goes on", async () => {
      await expect(store.read((tx) => tx.get("SELECT nothing FROM t"))).rejects.toMatchObject({ code: "INTERNAL" });
      await expect(store.write((tx) => tx.run("INSERT INTO nowhere VALUES (1)"))).rejects.toMatchObject({ code: "INTERNAL" });
      await store.write((tx) => tx.run("INSERT INTO t (id) VALUES (1)"));
    });

    test("migrations run once, in order, and an older program is stopped", async () => {
      const second: Migration = { name: "more", sql: ["ALTER TABLE t ADD COLUMN more TEXT"] };
      await store.migrate("room", [TABLE, second]);
      await store.migrate("room", [TABLE, second]);
      await store.write((tx) => tx.run("INSERT INTO t (id, more) VALUES (1, 'x')"));
      await expect(store.migrate("room", [TABLE])).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
      await expect(store.migrate("other", [])).resolves.toBeUndefined();
    });

    test("a migration that fails leaves the version as it was", async () => {
      await expect(store.migrate("room", [TABLE, { name: "bad", sql: ["CREATE TABLE u (id BIGINT)", "NOT SQL"] }])).rejects.toThrow();
      await store.migrate("room", [TABLE, { name: "good", sql: ["CREATE TABLE u (id BIGINT)"] }]);
    });

    test("facts", async () => {
      const facts = new Facts(store, "ns");
      await facts.initialize();
      await facts.put("k", "1", 5);
      await facts.put("k", "2", 6);
      expect([await facts.get("k"), await facts.get("other"), await new Facts(store, "elsewhere").get("k")]).toEqual(["2", undefined, undefined]);
      expect(await facts.update("k", 7, (before) => ({ after: undefined, result: before }))).toBe("2");
      expect(await facts.get("k")).toBeUndefined();
    });

    test("closed is closed", async () => {
      await store.close();
      await expect(store.read((tx) => tx.get("SELECT 1"))).rejects.toMatchObject({ code: "NOT_INITIALIZED" });
    });
  });
}

import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openSecrets, PLAIN, type SecretFolder, SetClock, secretFolder, versionOf } from "../../../test/world/secret-store.ts";
import { memoryBackend, type SealedBackend } from "./sealed-backend.ts";

const HOUR = 3_600_000;
const CANNOT_OPEN = expect.objectContaining({ code: "INTEGRITY_FAILURE", message: expect.stringContaining("does not open") });
const ROLLED_BACK = expect.objectContaining({ code: "INTEGRITY_FAILURE", hint: expect.stringContaining("secret recover") });

async function text(backend: SealedBackend, id: string, version?: number): Promise<string> {
  const found = await backend.find(id);
  if (found === undefined) throw new Error("not found");
  return Buffer.from(await found.value(version ?? found.info.currentVersion)).toString();
}

/** The rows, as somebody who has the file but not the key may change them. */
function edit(folder: SecretFolder, ...sql: readonly string[]): void {
  const database = new DatabaseSync(folder.database);
  try {
    for (const statement of sql) database.exec(statement);
  } finally {
    database.close();
  }
}

describe.each(["memory", "file"] as const)("backend %s", (kind) => {
  async function within(work: (backend: SealedBackend, clock: SetClock) => Promise<void>): Promise<void> {
    if (kind === "memory") {
      const clock = new SetClock();
      const backend = memoryBackend(clock);
      await backend.initialize();
      return await work(backend, clock);
    }
    using folder = secretFolder();
    await using opened = await folder.open();
    await work(opened.backend, folder.clock);
  }

  test("a secret, its versions, their grace and their end", async () => {
    await within(async (backend, clock) => {
      expect(await backend.find("a/b")).toBeUndefined();
      expect(await backend.add("a/b", versionOf("one"))).toBe(1);
      clock.time += 1000;
      expect(await backend.add("a/b", versionOf("two", { after: 1, grace: HOUR }))).toBe(2);
      const inGrace = await backend.find("a/b");
      expect(inGrace?.info).toMatchObject({ secretId: "a/b", currentVersion: 2, ...PLAIN, deleted: false });
      expect(inGrace?.info.versions.map(({ version, state }) => [version, state])).toEqual([
        [1, "grace"],
        [2, "current"],
      ]);
      expect([await text(backend, "a/b", 1), await text(backend, "a/b")]).toEqual(["one", "two"]);
      clock.time += HOUR;
      expect((await backend.find("a/b"))?.info.versions[0]).toMatchObject({ state: "retired" });
      expect(await backend.add("a/b", versionOf("three", { after: 2, grace: 0 }))).toBe(3);
      expect((await backend.find("a/b"))?.info.versions.map(({ state }) => state)).toEqual(["destroyed", "destroyed", "current"]);
      await expect(text(backend, "a/b", 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(text(backend, "a/b", 9)).rejects.toMatchObject({ code: "NOT_FOUND" });
    });
  });

  test("whoever comes second gets CONFLICT, and nothing of it stays", async () => {
    await within(async (backend) => {
      const adding = await Promise.allSettled(Array.from({ length: 5 }, async (_, i) => await backend.add("a", versionOf(`value ${i}`))));
      expect(adding.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const one of adding) if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "CONFLICT" });
      await expect(backend.add("a", versionOf("x", { after: 2 }))).rejects.toMatchObject({ code: "CONFLICT" });
      expect((await backend.find("a"))?.info.versions).toHaveLength(1);
    });
  });

  test("other words about it end the versions before: none is good under words that it was not sealed with", async () => {
    await within(async (backend) => {
      await backend.add("a", versionOf("one"));
      await backend.add("a", versionOf("two", { after: 1, grace: HOUR, allow: { repositories: ["acme/web"] } }));
      expect((await backend.find("a"))?.info.versions.map(({ state }) => state)).toEqual(["destroyed", "current"]);
    });
  });

  test("deleted: nothing is left but the name and its numbers", async () => {
    await within(async (backend) => {
      await backend.add("a", versionOf("one", { maxReads: 3, expiresAt: 5 }));
      expect(await backend.remove("a")).toBe(true);
      expect(await backend.remove("a")).toBe(false);
      const { info } = (await backend.find("a")) ?? {};
      expect(info).toMatchObject({ deleted: true, currentVersion: 1 });
      expect(info).not.toHaveProperty("maxReads");
      await expect(text(backend, "a")).rejects.toMatchObject({ code: "NOT_FOUND" });
      for (const refused of [backend.countRead("a", "job", 1), backend.claim("a", 1, 1), backend.remove("b")])
        await expect(refused).rejects.toMatchObject({ code: "NOT_FOUND" });
      expect(await backend.add("a", versionOf("again"))).toBe(2);
      expect(await text(backend, "a")).toBe("again");
    });
  });

  test("ids in byte order, page by page, without those that are deleted", async () => {
    await within(async (backend) => {
      const ids = ["b", "a/b", "a-b", "a", "a.b", "a_b", "c"];
      for (const id of ids) await backend.add(id, versionOf("x"));
      await backend.remove("c");
      const all = ["a", "a-b", "a.b", "a/b", "a_b", "b"];
      expect(await backend.list(undefined, 100)).toEqual(all);
      expect(await backend.list("a.b", 2)).toEqual(all.slice(3, 5));
      expect(await backend.list("zzz", 2)).toEqual([]);
    });
  });

  test("property: counted reads are as many as were allowed, for the secret and for each job", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
        fc.option(fc.integer({ min: 1, max: 2 }), { nil: undefined }),
        fc.array(fc.constantFrom("j1", "j2", "j3"), { maxLength: 12 }),
        async (maxReads, perJob, jobs) => {
          await within(async (backend) => {
            await backend.add("a", versionOf("x", { maxReads }));
            const [had, each] = [[] as string[], new Map<string, number>()];
            for (const job of jobs) {
              const allowed = (maxReads === undefined || had.length < maxReads) && (perJob === undefined || (each.get(job) ?? 0) < perJob);
              const counting = backend.countRead("a", job, perJob);
              if (!allowed) await expect(counting).rejects.toMatchObject({ code: "SECRET_EXPIRED" });
              else await counting;
              if (!allowed) continue;
              had.push(job);
              each.set(job, (each.get(job) ?? 0) + 1);
            }
            expect((await backend.find("a"))?.info.reads).toBe(had.length);
          });
        },
      ),
      { numRuns: kind === "memory" ? 60 : 6 },
    );
  });

  test("one rotation at a time; one that was given up, or took too long, is none", async () => {
    await within(async (backend, clock) => {
      await backend.add("a", versionOf("x"));
      await backend.claim("a", 1, clock.time + 1000);
      await expect(backend.claim("a", 1, clock.time + 1000)).rejects.toMatchObject({ code: "CONFLICT" });
      await backend.claim("a", 1, 0);
      await backend.claim("a", 1, clock.time + 1000);
      clock.time += 1000;
      await backend.claim("a", 1, clock.time + 1000);
      await expect(backend.claim("a", 0, clock.time + 9000)).rejects.toMatchObject({ code: "CONFLICT" });
      await expect(backend.add("a", versionOf("y", { after: 1 }))).rejects.toMatchObject({ code: "CONFLICT" });
      expect(await backend.add("a", { ...versionOf("y", { after: 1 }), claimed: true })).toBe(2);
      await backend.claim("a", 2, clock.time + 1000);
    });
  });

  test("under a new master key everything reads as before, whatever was written meanwhile", async () => {
    await within(async (backend) => {
      for (let i = 0; i < 7; i++) await backend.add(`s${i}`, versionOf(`value ${i}`));
      const [report] = await Promise.all([backend.rewrap(), backend.add("late", versionOf("late"))]);
      expect(report.values).toBeGreaterThanOrEqual(7);
      for (let i = 0; i < 7; i++) expect(await text(backend, `s${i}`)).toBe(`value ${i}`);
      expect(await text(backend, "late")).toBe("late");
      const again = await backend.rewrap();
      expect(again.values).toBe(8);
      expect(again.keyId).not.toBe(report.keyId);
    });
  });

  test("too many versions in grace", async () => {
    await within(async (backend) => {
      for (let after = 0; after < 17; after++) await backend.add("a", versionOf(`${after}`, { after, grace: HOUR }));
      await expect(backend.add("a", versionOf("one more", { after: 17, grace: HOUR }))).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    });
  });
});

describe("the file backend", () => {
  test("keeps no value, and no name of one, outside of boxes; what another process reads is the same", async () => {
    using folder = secretFolder();
    {
      await using opened = await folder.open();
      await opened.backend.add("a", versionOf("hunter2-hunter2"));
    }
    for (const path of [folder.database, folder.head, folder.keyFile]) expect(readFileSync(path).includes("hunter2")).toBe(false);
    await using again = await folder.open();
    expect(await text(again.backend, "a")).toBe("hunter2-hunter2");
  });

  test("two processes: one master key change, the other goes on", async () => {
    using folder = secretFolder();
    await using one = await folder.open();
    await using other = await folder.open();
    await one.backend.add("a", versionOf("one"));
    expect(await text(other.backend, "a")).toBe("one");
    await one.backend.rewrap();
    expect(await text(other.backend, "a")).toBe("one");
    await other.backend.add("b", versionOf("two"));
    expect(await text(one.backend, "b")).toBe("two");
  });

  test("values whose grace has ended are gone with the next start", async () => {
    using folder = secretFolder();
    {
      await using opened = await folder.open();
      await opened.backend.add("a", versionOf("one"));
      await opened.backend.add("a", versionOf("two", { after: 1, grace: HOUR }));
    }
    folder.clock.time += HOUR;
    await using again = await folder.open();
    expect((await again.backend.find("a"))?.info.versions.map(({ state }) => state)).toEqual(["destroyed", "current"]);
    expect(await text(again.backend, "a")).toBe("two");
  });

  test("a clock that was set back revives nothing, also after a restart", async () => {
    using folder = secretFolder();
    const set = folder.clock.time;
    {
      await using opened = await folder.open();
      await opened.backend.add("a", versionOf("x"));
      folder.clock.time += HOUR;
      await opened.backend.latestTime();
    }
    folder.clock.time = set;
    await using again = await folder.open();
    expect(await again.backend.latestTime()).toBe(set + HOUR);
  });

  test("yesterday's database is refused, by a new process and by one that has it open; recover accepts it", async () => {
    using folder = secretFolder();
    const yesterday = `${folder.path}/yesterday.db`;
    await using other = await folder.open();
    {
      await using opened = await folder.open();
      await opened.backend.add("a", versionOf("one"));
      edit(folder, `VACUUM INTO '${yesterday}'`);
      await opened.backend.add("a", versionOf("two", { after: 1 }));
      expect(await text(other.backend, "a")).toBe("two");
    }
    await other[Symbol.asyncDispose]();
    for (const suffix of ["-wal", "-shm"]) rmSync(`${folder.database}${suffix}`, { force: true });
    copyFileSync(yesterday, folder.database);
    await expect(folder.open()).rejects.toEqual(ROLLED_BACK);
    await using opened = openSecrets(folder.path, folder.clock);
    expect(await opened.backend.recover()).toBe(1);
    expect(await text(opened.backend, "a")).toBe("one");
    await opened.backend.add("a", versionOf("three", { after: 1 }));
    await using again = await folder.open();
    expect(await text(again.backend, "a")).toBe("three");
  });

  const OLD = "CREATE TABLE old AS SELECT * FROM secrets; CREATE TABLE old_values AS SELECT * FROM secret_values;";
  const PUT_BACK = "DELETE FROM secret_values; DELETE FROM secrets; INSERT INTO secrets SELECT * FROM old; INSERT INTO secret_values SELECT * FROM old_values;";

  test("one secret put back to what it was, with its value: refused", async () => {
    using folder = secretFolder();
    await using opened = await folder.open();
    await opened.backend.add("a", versionOf("one"));
    edit(folder, OLD);
    await opened.backend.add("a", versionOf("two", { after: 1 }));
    edit(folder, PUT_BACK);
    await expect(opened.backend.find("a")).rejects.toEqual(ROLLED_BACK);
    await expect(folder.open()).rejects.toEqual(ROLLED_BACK);
  });

  test("a secret that is not there any more: refused", async () => {
    using folder = secretFolder();
    await using opened = await folder.open();
    await opened.backend.add("a", versionOf("one"));
    edit(folder, "DELETE FROM secret_values; DELETE FROM secrets");
    await expect(opened.backend.find("a")).rejects.toEqual(ROLLED_BACK);
    await expect(folder.open()).rejects.toEqual(ROLLED_BACK);
    edit(folder, "DELETE FROM secret_store");
    await expect(folder.open()).rejects.toEqual(ROLLED_BACK);
  });

  test.each([
    ["a looser allow-list", `UPDATE secrets SET body = replace(body, 'acme/web', 'evil/web')`],
    ["a later expiry", `UPDATE secrets SET body = replace(body, '99999', '99998')`],
    ["swapped names", "UPDATE secrets SET secret_id = 'c' WHERE secret_id = 'a'; UPDATE secrets SET secret_id = 'a' WHERE secret_id = 'b'"],
    ["another tag", "UPDATE secrets SET tag = zeroblob(32)"],
    ["no tag", "UPDATE secrets SET tag = x''"],
    ["a text for a tag", "UPDATE secrets SET tag = 'x'"],
    ["a number for a body", "UPDATE secrets SET body = 7"],
    ["garbage", "UPDATE secrets SET body = '{}'"],
    ["another state", "UPDATE secret_store SET body = replace(body, 'epoch', 'epoch ')"],
    ["garbage for a state", "UPDATE secret_store SET body = '[]'"],
  ])("rows with %s do not open", async (_, sql) => {
    using folder = secretFolder();
    await using opened = await folder.open();
    for (const id of ["a", "b"]) await opened.backend.add(id, versionOf(id, { allow: { repositories: ["acme/web"] }, expiresAt: 99_999 }));
    edit(folder, "PRAGMA foreign_keys = OFF", ...sql.split("; "));
    await expect(opened.backend.find("a")).rejects.toEqual(CANNOT_OPEN);
    await expect(folder.open()).rejects.toEqual(CANNOT_OPEN);
  });

  test.each([
    [
      "swapped values",
      "UPDATE secret_values SET (wrapped, sealed) = (SELECT wrapped, sealed FROM secret_values AS o WHERE o.secret_id <> secret_values.secret_id)",
    ],
    ["a flipped bit", "UPDATE secret_values SET sealed = substr(sealed, 1, length(sealed) - 1) || x'00'"],
    ["another key's name", "UPDATE secret_values SET key_id = 'mk_00000000000000000000000000000000'"],
    ["no value", "DELETE FROM secret_values"],
    ["a number for a value", "UPDATE secret_values SET sealed = 1"],
  ])("values: %s do not open", async (_, sql) => {
    using folder = secretFolder();
    await using opened = await folder.open();
    for (const id of ["a", "b"]) await opened.backend.add(id, versionOf(id));
    edit(folder, sql);
    await expect(text(opened.backend, "a")).rejects.toEqual(CANNOT_OPEN);
  });

  test("a name that was hidden or shown again is refused", async () => {
    using folder = secretFolder();
    await using opened = await folder.open();
    for (const id of ["a", "b"]) await opened.backend.add(id, versionOf(id));
    await opened.backend.remove("b");
    edit(folder, "UPDATE secrets SET deleted = 0 WHERE secret_id = 'b'");
    await expect(opened.backend.list(undefined, 10)).rejects.toEqual(CANNOT_OPEN);
    await expect(folder.open()).rejects.toEqual(CANNOT_OPEN);
    edit(folder, "UPDATE secrets SET deleted = 1");
    await expect(folder.open()).rejects.toEqual(CANNOT_OPEN);
  });

  test("property: a flipped bit in any column of any row is refused; no other value ever comes out", async () => {
    const columns = [
      ...["body", "tag"].map((column) => ["secret_store", column] as const),
      ...["body", "tag", "secret_id"].map((column) => ["secrets", column] as const),
      ...["wrapped", "sealed", "key_id", "secret_id", "version"].map((column) => ["secret_values", column] as const),
    ];
    using folder = secretFolder();
    {
      await using opened = await folder.open();
      for (const id of ["a", "b"]) await opened.backend.add(id, versionOf(`value of ${id}`, { allow: { refs: ["refs/heads/main"] } }));
    }
    edit(folder, "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_mode = DELETE");
    const good = readFileSync(folder.database);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...columns), fc.nat(), async ([table, column], at) => {
        const database = new DatabaseSync(folder.database);
        database.exec("PRAGMA foreign_keys = OFF");
        const row = database
          .prepare(`SELECT rowid AS place, CAST(${column} AS BLOB) AS bytes, typeof(${column}) AS type FROM ${table} ORDER BY rowid LIMIT 1`)
          .get();
        const bytes = Buffer.from(row?.["bytes"] instanceof Uint8Array ? row["bytes"] : []);
        const bit = at % (8 * bytes.length);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const value = row?.["type"] === "blob" ? "?" : `CAST(? AS ${row?.["type"] === "integer" ? "INTEGER" : "TEXT"})`;
        database.prepare(`UPDATE ${table} SET ${column} = ${value} WHERE rowid = ?`).run(bytes, Number(row?.["place"]));
        database.close();
        try {
          const reading = (async () => {
            await using opened = await folder.open();
            for (const id of ["a", "b"]) if ((await text(opened.backend, id)) !== `value of ${id}`) return "another value";
            return "all as before";
          })();
          await expect(reading).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
        } finally {
          for (const suffix of ["-wal", "-shm", "-journal"]) rmSync(`${folder.database}${suffix}`, { force: true });
          writeFileSync(folder.database, good);
        }
      }),
      { numRuns: 60 },
    );
    await using again = await folder.open();
    expect(await text(again.backend, "a")).toBe("value of a");
  });

  test("without its key, or with another one: refused, and nothing is made anew", async () => {
    using folder = secretFolder();
    {
      await using opened = await folder.open();
      await opened.backend.add("a", versionOf("one"));
    }
    const kept = `${folder.keyFile}.kept`;
    copyFileSync(folder.keyFile, kept);
    rmSync(folder.keyFile);
    await expect(folder.open()).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
    expect(existsSync(folder.keyFile)).toBe(false);
    using elsewhere = secretFolder();
    await using _ = await elsewhere.open();
    copyFileSync(elsewhere.keyFile, folder.keyFile);
    await expect(folder.open()).rejects.toEqual(CANNOT_OPEN);
    copyFileSync(kept, folder.keyFile);
    await using again = await folder.open();
    expect(await text(again.backend, "a")).toBe("one");
  });

  test("a database and key that are gone while the head is there: refused, and no new key is made", async () => {
    using folder = secretFolder();
    {
      await using opened = await folder.open();
      await opened.backend.add("a", versionOf("one"));
    }
    for (const path of [folder.keyFile, folder.database, `${folder.database}-wal`, `${folder.database}-shm`]) rmSync(path, { force: true });
    await expect(folder.open()).rejects.toEqual(ROLLED_BACK);
    expect(existsSync(folder.keyFile)).toBe(false);
    await using opened = openSecrets(folder.path, folder.clock);
    expect(await opened.backend.recover()).toBe(1);
    await opened.backend.add("a", versionOf("anew"));
    await using again = await folder.open();
    expect(await text(again.backend, "a")).toBe("anew");
  });

  test("without its head file: nobody can tell whether it is the latest", async () => {
    using folder = secretFolder();
    await using opened = await folder.open();
    await opened.backend.add("a", versionOf("one"));
    rmSync(folder.head);
    await expect(folder.open()).rejects.toEqual(ROLLED_BACK);
    await expect(opened.backend.find("a")).rejects.toEqual(ROLLED_BACK);
  });
});

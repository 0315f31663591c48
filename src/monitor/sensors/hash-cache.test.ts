import { expect, test } from "vitest";
import type { ExecEvent, FileFacts } from "../event.ts";
import { HashCache } from "./hash-cache.ts";

function exec(path: string, more: Partial<FileFacts> = {}): ExecEvent {
  const stdio = [{ to: "closed" }, { to: "closed" }, { to: "closed" }] as const;
  const inside = { pid: 1, tid: 1, ppid: 0 };
  const actor = { key: "1:1", parent: "0:0", pid: 1, tid: 1, ppid: 0, inside, uid: 0, euid: 0, gid: 0, name: "x", pidns: 1, mntns: 2, cgroup: "1" };
  const file = {
    path,
    cut: false,
    id: `1:${path}`,
    type: "file",
    mode: 0o755,
    uid: 0,
    size: 1,
    mtime: 0,
    ctime: 0,
    unlinked: false,
    anonymous: false,
  } as const;
  const what = { kind: "exec", call: "exec", result: 0, asked: path, args: [], argsBytes: 0, argsCut: false, env: undefined, cwd: "/" } as const;
  return {
    ...what,
    time: 1000,
    ns: 0n,
    job: "job",
    container: "box",
    actor,
    program: { ...file, fresh: false, ...more },
    stdio,
    gained: false,
    capabilities: 0n,
  };
}

test("one program is read once, and again when it changed; one that has just changed is not kept", async () => {
  let reads = 0;
  const cache = new HashCache(async () => `hash ${++reads}`);
  expect(await Promise.all([cache.of(exec("/a")), cache.of(exec("/a"))])).toEqual(["hash 1", "hash 1"]);
  expect(await cache.of(exec("/a"))).toBe("hash 1");
  expect(cache.known(exec("/a").program)).toBe("hash 1");
  expect(await cache.of(exec("/a", { size: 2 }))).toBe("hash 2");
  const young = exec("/b", { ctime: 990 });
  expect([await cache.of(young), await cache.of(young)]).toEqual(["hash 3", "hash 4"]);
});

test("one that fails is unknown, and asked again", async () => {
  let fails = true;
  const cache = new HashCache(() => (fails ? Promise.reject(new Error("gone")) : Promise.resolve("hash")));
  expect(await cache.of(exec("/a"))).toBeUndefined();
  fails = false;
  expect(await cache.of(exec("/a"))).toBe("hash");
});

test("four are read at a time, a thousand wait, and of more nothing is known", async () => {
  const reading: (() => void)[] = [];
  const cache = new HashCache(() => new Promise((resolve) => reading.push(() => resolve("hash"))));
  const asked = Array.from({ length: 1005 }, (_, i) => cache.of(exec(`/${i}`)));
  expect(reading).toHaveLength(4);
  expect(await asked.at(-1)).toBeUndefined();
  for (let i = 0; i < 1004; i++) {
    reading[i]?.();
    await asked[i];
  }
  expect(new Set(await Promise.all(asked.slice(0, -1)))).toEqual(new Set(["hash"]));
});

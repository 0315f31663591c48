import { hash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tgz } from "../../../test/world/archives.ts";
import { folderFiles, tarballFiles } from "./files.ts";
import { MAX_FILES, namedFiles } from "./show.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "cofferdam-files-"));
});
afterEach(() => rmSync(base, { recursive: true }));

describe("from a tarball", () => {
  const files = [
    { path: "package/package.json", body: '{"name":"p","version":"1.0.0"}' },
    { path: "package/lib/a.js", body: "a".repeat(5000) },
  ];
  const store = (bytes: Buffer): { path: string; sha512: string } => {
    const path = join(base, "content");
    writeFileSync(path, bytes);
    return { path, sha512: hash("sha512", bytes, "hex") };
  };

  test("the first of several names, and only as much as is asked for", async () => {
    const { path, sha512 } = store(tgz(files));
    const from = tarballFiles(path, sha512);
    expect(await from.first(["none", "lib/a.js", "package.json"], 10)).toEqual({ path: "lib/a.js", text: "a".repeat(10), bytes: 5000, cut: true });
    expect(await from.first(["lib", "none"], 10)).toBeUndefined();
    expect(await from.first(["lib/a.js"], 5000)).toMatchObject({ bytes: 5000, cut: false });
  });

  test("content that is not what its digest says is not shown", async () => {
    const { path } = store(tgz(files));
    await expect(tarballFiles(path, "0".repeat(128)).first(["package.json"], 10)).rejects.toMatchObject({ code: "INTEGRITY_FAILURE" });
  });
});

describe("from a folder", () => {
  test("files inside of it, and nothing that a link or a folder stands for", async () => {
    mkdirSync(join(base, "p/d"), { recursive: true });
    writeFileSync(join(base, "secret"), "s");
    writeFileSync(join(base, "p/f"), "f");
    symlinkSync("../secret", join(base, "p/out"));
    symlinkSync("..", join(base, "p/up"));
    symlinkSync("f", join(base, "p/in"));
    const from = folderFiles(join(base, "p"));
    for (const path of ["out", "up/secret", "../secret", "d", "none", ""]) expect(await from.first([path], 10), path).toBeUndefined();
    expect(await from.first(["in"], 10)).toMatchObject({ text: "f" });
  });
});

test("files that scripts name: by whole words, as Node finds them, so many and no more", async () => {
  for (const name of ["a.js", "b.mjs", "c.cjs", "sh.sh", "d.js"]) writeFileSync(join(base, name), name);
  mkdirSync(join(base, "dir"));
  writeFileSync(join(base, "dir/index.js"), "");
  const of = async (body: string): Promise<string[]> => (await namedFiles([{ event: "install", body }], folderFiles(base))).map(({ path }) => path);
  expect(await of("node a && node ./b.mjs||sh sh.sh;(node c)")).toEqual(["a.js", "b.mjs", "sh.sh", "c.cjs"]);
  expect(await of('X=1 node "./dir" --flag=d.js ../x /etc/passwd -a')).toEqual(["dir/index.js", "d.js"]);
  for (let i = 0; i < 20; i++) writeFileSync(join(base, `f${i}.js`), "");
  expect(await of(Array.from({ length: 20 }, (_, i) => `f${i}.js`).join(" "))).toHaveLength(MAX_FILES);
});

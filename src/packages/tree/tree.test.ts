/** The comparison in its threads: what was read ahead decides what must be there, never what is there. */
import { hash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type InstalledFile, TarballStore } from "../gate/tarball-store.ts";
import { type JudgedTree, TreeChecker } from "./tree.ts";

const FILES = { "index.js": "module.exports = 1;", "lib/other.js": "exports.a = 2;" };

let folder: string;
let root: string;
let state: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cofferdam-tree-"));
  root = join(folder, "project");
  state = join(folder, "state");
  mkdirSync(state);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A stored tarball and its files on disk, for each name. */
function installed(...names: string[]): JudgedTree {
  const store = new TarballStore(state, state);
  const packages = names.map((name) => {
    const bytes = Buffer.from(`tarball of ${name}`);
    const sha512 = hash("sha512", bytes, "hex");
    const files = Object.entries(FILES).map(([path, text]): InstalledFile => [path, text.length, hash("sha256", text, "base64")]);
    const summary = { name, version: "1.0.0", installScripts: [], bundled: [], bin: {}, sha512, bytes: bytes.length, unpackedBytes: 100 };
    store.put({ bytes }, { algorithm: "sha512", hex: sha512 }, summary, files);
    for (const [path, text] of Object.entries(FILES)) {
      mkdirSync(join(root, "node_modules", name, "lib"), { recursive: true });
      writeFileSync(join(root, "node_modules", name, path), text);
    }
    return { path: `node_modules/${name}`, sha512, mayBeAbsent: false };
  });
  return { packages, links: new Map(), fresh: true };
}

describe.each([true, false])("read ahead: %s", (ahead) => {
  test("an installed tree is what was judged", async () => {
    const tree = installed("a", "b", "c");
    await using checker = new TreeChecker(root, state);
    if (ahead) checker.expect(tree);
    expect(await checker.compare(tree)).toMatchObject({ files: 6, packages: 3, differenceCount: 0 });
  });

  test("what changes after that is found", async () => {
    const tree = installed("a", "b", "c");
    await using checker = new TreeChecker(root, state);
    if (ahead) checker.expect(tree);
    writeFileSync(join(root, "node_modules/a/index.js"), "module.exports = 7;");
    writeFileSync(join(root, "node_modules/b/new.js"), "");
    rmSync(join(root, "node_modules/c/index.js"));
    const { differences } = await checker.compare(tree);
    expect(new Map(differences.map(({ path, kind }) => [path, kind]))).toEqual(
      new Map([
        ["node_modules/a/index.js", "changed"],
        ["node_modules/b/new.js", "extra"],
        ["node_modules/c/index.js", "missing"],
      ]),
    );
  });

  test("a tarball without a record fails the comparison", async () => {
    const tree = installed("a");
    rmSync(join(state, "manifests"), { recursive: true });
    await using checker = new TreeChecker(root, state);
    if (ahead) checker.expect(tree);
    await expect(checker.compare(tree)).rejects.toMatchObject({ code: "INTERNAL" });
  });
});

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TestProject } from "../../../test/world/project.ts";
import { packTarball, TestRegistry } from "../../../test/world/registry.ts";
import { DependencyGraph } from "../graph.ts";
import { parseNpmLockfile } from "../lockfiles/npm.ts";
import { type InstalledPackage, readInstalledTree } from "./tree.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cofferdam-tree-"));
  mkdirSync(join(root, "node_modules"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }), 180_000);

const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const manifest = (path: string, name: string, version: string, more: object = {}): void =>
  put(join(path, "package.json"), JSON.stringify({ name, version, ...more }));
const link = (path: string, target: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
};
const signal = new AbortController().signal;
const read = (): ReturnType<typeof readInstalledTree> => readInstalledTree(root, signal);
const said = (packages: readonly InstalledPackage[]): string[] =>
  packages.map(
    ({ kind, path, name, version, target, fault }) =>
      `${kind} ${path} ${name}@${version ?? "?"}${target === undefined ? "" : ` -> ${target}`}${fault === undefined ? "" : `: ${fault}`}`,
  );

describe("layouts", () => {
  test("npm: nested, scoped, bundled, aliased, linked; what is inside a package is none", async () => {
    manifest(".", "app", "1.0.0", { dependencies: { a: "1", nick: "npm:real@^2" } });
    manifest("node_modules/a", "a", "1.0.0", { dependencies: { b: "2" } });
    manifest("node_modules/a/dist/esm", "esm", "9.9.9");
    manifest("node_modules/a/node_modules/b", "b", "2.0.0");
    manifest("node_modules/@s/c", "@s/c", "3.0.0");
    manifest("node_modules/nick", "real", "2.1.0");
    manifest("packages/w", "w", "0.1.0", { devDependencies: { d: "1" } });
    manifest("packages/w/node_modules/d", "d", "1.0.0");
    link("node_modules/w", "../packages/w");
    link("node_modules/w2", "../packages/w");
    link("node_modules/.bin/a", "../a/cli.js");
    put("node_modules/.package-lock.json", "{}");
    put("node_modules/.cache/tool/package.json", "{}");
    mkdirSync(join(root, "node_modules/empty/node_modules"), { recursive: true });
    const tree = await read();
    expect(said(tree.packages)).toEqual([
      "package node_modules/@s/c @s/c@3.0.0",
      "package node_modules/a a@1.0.0",
      "package node_modules/a/node_modules/b b@2.0.0",
      "package node_modules/nick real@2.1.0",
      "link node_modules/w w@? -> packages/w",
      "link node_modules/w2 w2@? -> packages/w",
      "folder packages/w w@0.1.0",
      "package packages/w/node_modules/d d@1.0.0",
    ]);
    const graph = new DependencyGraph(tree);
    expect(graph.wayTo("node_modules/a/node_modules/b")).toEqual(["app", "a@1.0.0", "b@2.0.0"]);
    expect(graph.wayTo("packages/w/node_modules/d")).toEqual(["w@0.1.0", "d@1.0.0"]);
    expect(graph.dependentsOf("node_modules/nick")).toEqual([{ by: "app", path: "", range: "npm:real@^2", direct: true }]);
  });

  test.each([
    ["pnpm", ".pnpm", "@s+b@2.0.0"],
    ["npm's linked strategy", ".store", "@s/b@2.0.0-hash"],
    ["bun", ".bun", "@s+b@2.0.0"],
  ])("%s: each package of the store once", async (_name, store, scoped) => {
    manifest(".", "app", "1.0.0", { dependencies: { a: "1" } });
    manifest(`node_modules/${store}/a@1.0.0/node_modules/a`, "a", "1.0.0", { dependencies: { "@s/b": "^2" } });
    manifest(`node_modules/${store}/${scoped}/node_modules/@s/b`, "@s/b", "2.0.0");
    link("node_modules/a", `${store}/a@1.0.0/node_modules/a`);
    link(`node_modules/${store}/a@1.0.0/node_modules/@s/b`, `../../../${scoped}/node_modules/@s/b`);
    link(`node_modules/${store}/node_modules/@s/b`, `../../${scoped}/node_modules/@s/b`);
    const tree = await read();
    expect(tree.packages.filter(({ kind }) => kind !== "link").map(({ kind, name, version, fault }) => [kind, name, version, fault])).toEqual([
      ["package", "@s/b", "2.0.0", undefined],
      ["package", "a", "1.0.0", undefined],
    ]);
    const place = `node_modules/${store}/${scoped}/node_modules/@s/b`;
    expect(new DependencyGraph(tree).wayTo(place)).toEqual(["app", "a@1.0.0", "@s/b@2.0.0"]);
  });

  test("a store elsewhere in the project, behind a link: what stands beside the package is found, too", async () => {
    manifest("vendor/store/a/node_modules/a", "a", "1.0.0");
    manifest("vendor/store/a/node_modules/b", "b", "1.0.0");
    manifest("vendor/node_modules/c", "c", "1.0.0");
    link("node_modules/a", "../vendor/store/a/node_modules/a");
    expect(said((await read()).packages).sort()).toEqual([
      "link node_modules/a a@? -> vendor/store/a/node_modules/a",
      "package vendor/node_modules/c c@1.0.0",
      "package vendor/store/a/node_modules/a a@1.0.0",
      "package vendor/store/a/node_modules/b b@1.0.0",
    ]);
  });
});

describe("what cannot be known is named", () => {
  const cases: readonly [name: string, make: () => void, expected: readonly string[]][] = [
    ["no version", () => put("node_modules/a/package.json", '{"name":"a"}'), ["package node_modules/a a@?: its package.json has no version"]],
    [
      "a version that is no text",
      () => put("node_modules/a/package.json", '{"name":"a","version":1}'),
      ["package node_modules/a a@?: its package.json has no version"],
    ],
    ["no name", () => put("node_modules/a/package.json", '\ufeff{"version":"1.0.0","dependencies":[]}'), ["package node_modules/a a@1.0.0"]],
    ["not JSON", () => put("node_modules/a/package.json", "{"), ["unknown node_modules/a a@?: its package.json is not JSON"]],
    ["no object", () => put("node_modules/a/package.json", "[]"), ["unknown node_modules/a a@?: its package.json is not JSON"]],
    ["no package.json", () => put("node_modules/a/index.js", ""), ["unknown node_modules/a a@?: no package.json"]],
    ["too large", () => put("node_modules/a/package.json", " ".repeat(4 * 2 ** 20 + 1)), ["unknown node_modules/a a@?: its package.json is larger than 4 MiB"]],
    [
      "a FIFO",
      () => {
        put("node_modules/a/x", "");
        execFileSync("mkfifo", [join(root, "node_modules/a/package.json")]);
      },
      ["unknown node_modules/a a@?: its package.json is no file"],
    ],
    ["a link as package.json", () => link("node_modules/a/package.json", "/etc/hostname"), ["unknown node_modules/a a@?: its package.json is a link"]],
    [
      "a folder as package.json",
      () => mkdirSync(join(root, "node_modules/a/package.json"), { recursive: true }),
      ["unknown node_modules/a a@?: its package.json is no file"],
    ],
    [
      "another name than its folder's",
      () => manifest("node_modules/lodash", "harmless", "99.0.0"),
      ["package node_modules/lodash harmless@99.0.0: its folder is lodash, and nobody asks for it under that name"],
    ],
    ["a link out of the project", () => link("node_modules/a", "/usr"), ["unknown node_modules/a a@?: a link out of the project, not followed"]],
    ["a link to nothing", () => link("node_modules/a", "gone"), ["unknown node_modules/a a@?: a link to nothing"]],
    ["a link to itself", () => link("node_modules/a", "a"), ["unknown node_modules/a a@?: a link that cannot be followed (ELOOP)"]],
    [
      "a link to a file",
      () => {
        put("x.js", "");
        link("node_modules/a", "../x.js");
      },
      ["unknown node_modules/a a@?: a link to what is no folder"],
    ],
    ["a link as a scope", () => link("node_modules/@s", "/usr"), ["unknown node_modules/@s @s@?: a link out of the project, not followed"]],
    [
      "a link as node_modules",
      () => {
        manifest("node_modules/a", "a", "1.0.0");
        link("node_modules/a/node_modules", "/usr");
      },
      ["package node_modules/a a@1.0.0", "unknown node_modules/a/node_modules a/node_modules@?: a link out of the project, not followed"],
    ],
    ["a file that Node would load", () => put("node_modules/a.js", ""), ["unknown node_modules/a.js a.js@?: no folder"]],
    ["a package that hides behind a dot", () => manifest("node_modules/.hidden", ".hidden", "1.0.0"), ["package node_modules/.hidden .hidden@1.0.0"]],
    [
      "a name of object internals",
      () => put("node_modules/__proto__/package.json", '{"name":"__proto__","version":"1.0.0","dependencies":{"__proto__":"1"}}'),
      ["package node_modules/__proto__ __proto__@1.0.0"],
    ],
  ];
  test.each(cases)("%s", async (_name, make, expected) => {
    make();
    expect(said((await read()).packages).sort()).toEqual([...expected].sort());
  });

  test("circles of links end, and each folder counts once", async () => {
    manifest("node_modules/a", "a", "1.0.0");
    link("node_modules/a/node_modules", "..");
    link("node_modules/self", "..");
    link("node_modules/again", "a");
    expect(said((await read()).packages).sort()).toEqual([
      "link node_modules/again again@? -> node_modules/a",
      "link node_modules/self self@? -> ",
      "package node_modules/a a@1.0.0",
    ]);
  });

  test("nesting as deep as a path can be, and an interruption", async () => {
    let path = "";
    const deep = (): string => join(root, path, "node_modules/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    for (; deep().length < 3900; path = deep().slice(root.length + 1)) mkdirSync(deep(), { recursive: true });
    expect((await read()).packages).toEqual([]);
    await expect(readInstalledTree(join(root, "node_modules"), signal)).rejects.toMatchObject({ code: "NOT_FOUND" });
    const controller = new AbortController();
    controller.abort(new Error("interrupted"));
    await expect(readInstalledTree(root, controller.signal)).rejects.toThrow("interrupted");
  });
});

test("as npm left it: what the lockfile says, and the same ways", async () => {
  await using registry = await TestRegistry.start();
  registry.publish({ name: "b", version: "1.0.0" });
  registry.publish({ name: "b", version: "2.0.0" });
  registry.publish({ name: "@s/c", version: "1.0.0", manifest: { dependencies: { b: "1" } } });
  registry.publish({
    name: "a",
    version: "1.0.0",
    manifest: { dependencies: { b: "2", "@s/c": "*", inner: "1" }, bundleDependencies: ["inner"] },
    extra: [["package/node_modules/inner/package.json", '{"name":"inner","version":"1.2.3"}']],
  });
  using project = new TestProject(registry.url, {
    workspaces: ["packages/*"],
    dependencies: { a: "1", nick: "npm:b@1", far: "file:far.tgz" },
    devDependencies: { "@s/c": "1" },
  });
  project.write("packages/w/package.json", JSON.stringify({ name: "w", version: "1.0.0", dependencies: { b: "2" } }));
  writeFileSync(join(project.root, "far.tgz"), packTarball([["package/package.json", '{"name":"far","version":"4.0.0"}']]));
  expect(await project.run("npm", ["install", "--no-audit", "--no-fund"])).toMatchObject({ exit: 0 });
  const lockfile = parseNpmLockfile(project.read("package-lock.json"), "package-lock.json");
  const tree = await readInstalledTree(project.root, signal);
  const facts = (
    packages: readonly { readonly path: string; readonly name: string; readonly version: string | undefined; readonly kind: string }[],
  ): string[] => packages.map(({ path, name, version, kind }) => (kind === "link" ? path : `${path} ${name} ${version}`)).sort();
  expect(facts(tree.packages)).toEqual(facts(lockfile.packages));
  expect(tree.packages.filter(({ fault }) => fault !== undefined)).toEqual([]);
  const [disk, locked] = [new DependencyGraph(tree), new DependencyGraph(lockfile)];
  for (const { path } of lockfile.packages) {
    expect(disk.wayTo(path)).toEqual(locked.wayTo(path));
    expect(
      disk
        .dependentsOf(path)
        .map(({ by, range }) => `${by} ${range}`)
        .sort(),
    ).toEqual(
      locked
        .dependentsOf(path)
        .map(({ by, range }) => `${by} ${range}`)
        .sort(),
    );
  }
}, 60_000);

test("50,000 packages", async () => {
  for (let i = 0; i < 50_000; i++) {
    mkdirSync(join(root, `node_modules/p${i}`));
    writeFileSync(join(root, `node_modules/p${i}/package.json`), `{"name":"p${i}","version":"1.0.0","dependencies":{"p${i + 1}":"^1.0.0"}}`);
  }
  const { packages } = await read();
  expect(packages).toHaveLength(50_000);
}, 120_000);

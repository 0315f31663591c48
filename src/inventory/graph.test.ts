import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DependencyGraph } from "./graph.ts";
import { type NpmLockfile, parseNpmLockfile } from "./lockfiles/npm.ts";

type Entries = Readonly<Record<string, object>>;
const lock = (root: object, packages: Entries): NpmLockfile =>
  parseNpmLockfile(JSON.stringify({ name: "app", lockfileVersion: 3, packages: { "": root, ...packages } }), "package-lock.json");
const graphOf = (root: object, packages: Entries): DependencyGraph => new DependencyGraph(lock(root, packages));
const entry = (dependencies: Readonly<Record<string, string>> = {}, more: object = {}): object => ({ version: "1.0.0", dependencies, ...more });

describe("ways and dependents", () => {
  test("the shortest way, the nearest copy, everybody who asks and what for", () => {
    const graph = graphOf(
      { dependencies: { a: "^1", c: "~1" } },
      {
        "node_modules/a": entry({ b: ">=1 <3" }),
        "node_modules/a/node_modules/b": entry({ d: "*" }, { version: "2.0.0" }),
        "node_modules/b": entry({ d: "^1" }),
        "node_modules/c": entry({ b: "1.x" }),
        "node_modules/d": entry(),
      },
    );
    expect(graph.wayTo("node_modules/a/node_modules/b")).toEqual(["app", "a@1.0.0", "b@2.0.0"]);
    expect(graph.wayTo("node_modules/b")).toEqual(["app", "c@1.0.0", "b@1.0.0"]);
    expect(graph.wayTo("node_modules/d")).toEqual(["app", "a@1.0.0", "b@2.0.0", "d@1.0.0"]);
    expect(graph.dependentsOf("node_modules/d")).toEqual([
      { by: "b@2.0.0", path: "node_modules/a/node_modules/b", range: "*", direct: false },
      { by: "b@1.0.0", path: "node_modules/b", range: "^1", direct: false },
    ]);
    expect(graph.dependentsOf("node_modules/a")).toEqual([{ by: "app", path: "", range: "^1", direct: true }]);
    expect([graph.wayTo("node_modules/none"), graph.dependentsOf("node_modules/none"), graph.isDev("node_modules/none")]).toEqual([[], [], false]);
  });

  test("as in Node, what stands in a package that is called node_modules is not found from beside it", () => {
    const graph = graphOf(
      { dependencies: { a: "1" } },
      { "node_modules/a": entry({ b: "*" }), "node_modules/node_modules": entry(), "node_modules/node_modules/b": entry(), "node_modules/b": entry() },
    );
    expect(graph.dependentsOf("node_modules/node_modules/b")).toEqual([]);
    expect(graph.wayTo("node_modules/b")).toEqual(["app", "a@1.0.0", "b@1.0.0"]);
  });

  test("an alias is asked for by its folder and shown by its own name; peers and optional ones count; what is not there does not", () => {
    const graph = graphOf(
      { dependencies: { nick: "npm:real@^1" }, optionalDependencies: { gone: "1" } },
      {
        "node_modules/nick": { name: "real", version: "1.2.0", peerDependencies: { p: "*" }, optionalDependencies: { o: "1", missing: "2" } },
        "node_modules/p": entry(),
        "node_modules/o": entry(),
      },
    );
    expect(graph.wayTo("node_modules/p")).toEqual(["app", "real@1.2.0", "p@1.0.0"]);
    expect(graph.wayTo("node_modules/o")).toEqual(["app", "real@1.2.0", "o@1.0.0"]);
    expect(graph.dependentsOf("node_modules/nick")[0]?.range).toBe("npm:real@^1");
  });

  test("workspaces begin a way where the project does not lead to them; links stand for their folders", () => {
    const graph = graphOf(
      { dependencies: { lib: "file:lib", far: "file:../far", self: "file:" }, devDependencies: { tool: "*" } },
      {
        lib: entry({ x: "1" }),
        "packages/w": { name: "w", version: "2.0.0", dependencies: { own: "1", v: "*" }, devDependencies: { y: "^3" } },
        "packages/w/node_modules/own": entry(),
        "packages/v": { name: "v", dependencies: { w: "*" } },
        "packages/tool": { name: "tool", version: "1.0.0", dependencies: { z: "1" } },
        "../far": entry({ x: "2" }),
        "node_modules/lib": { resolved: "lib", link: true },
        "node_modules/w": { resolved: "packages/w", link: true },
        "node_modules/v": { resolved: "packages/v", link: true },
        "node_modules/tool": { resolved: "packages/tool", link: true },
        "node_modules/far": { resolved: "../far", link: true },
        "node_modules/self": { resolved: "", link: true },
        "node_modules/out": { resolved: "../nowhere", link: true },
        "node_modules/x": entry(),
        "node_modules/y": entry({}, { version: "3.1.0" }),
        "node_modules/z": entry(),
      },
    );
    expect(graph.wayTo("node_modules/x")).toEqual(["app", "lib@1.0.0", "x@1.0.0"]);
    expect(graph.wayTo("node_modules/lib")).toEqual(graph.wayTo("lib"));
    expect(graph.wayTo("packages/w/node_modules/own")).toEqual(["w@2.0.0", "own@1.0.0"]);
    expect(graph.wayTo("node_modules/v")).toEqual(["v"]);
    expect(graph.wayTo("../far")).toEqual(["app", "far@1.0.0"]);
    expect(graph.dependentsOf("node_modules/y")).toEqual([{ by: "w@2.0.0", path: "packages/w", range: "^3", direct: true }]);
    // What lies beside the project does not look into it.
    expect(graph.dependentsOf("node_modules/x").map(({ by }) => by)).toEqual(["lib@1.0.0"]);
    expect(graph.wayTo("node_modules/out")).toEqual(["out"]);
    expect([graph.isDev("node_modules/y"), graph.isDev("node_modules/z"), graph.isDev("packages/tool"), graph.isDev("node_modules/x")]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  test("development only: by the ways, whatever the lockfile's flags say", () => {
    const graph = graphOf(
      { dependencies: { a: "1" }, devDependencies: { d: "1", tools: "file:tools", both: "1" }, peerDependencies: { both: "1" } },
      {
        "node_modules/a": entry({ shared: "1" }, { dev: true, devDependencies: { never: "1" } }),
        "node_modules/d": entry({ shared: "1", deep: "1" }),
        "node_modules/deep": entry(),
        "node_modules/shared": entry({}, { dev: true }),
        "node_modules/both": entry(),
        "node_modules/never": entry(),
        "node_modules/tools": { resolved: "tools", link: true },
        tools: entry({ t: "1" }),
        "node_modules/t": entry(),
      },
    );
    const dev = (name: string): boolean => graph.isDev(`node_modules/${name}`);
    expect(["a", "shared", "both", "never"].filter(dev)).toEqual([]);
    expect(["d", "deep", "tools", "t"].filter((name) => !dev(name))).toEqual([]);
    // Nobody installs the devDependencies of a dependency.
    expect(graph.dependentsOf("node_modules/never")).toEqual([]);
    expect(graph.wayTo("node_modules/never")).toEqual(["never@1.0.0"]);
  });
});

describe("version 1", () => {
  const text = JSON.stringify({
    name: "app",
    lockfileVersion: 1,
    requires: true,
    dependencies: {
      a: { version: "1.0.0", requires: { b: "^2", c: "*" }, dependencies: { b: { version: "2.0.0", bundled: true, requires: { c: "1" } } } },
      b: { version: "1.0.0" },
      c: { version: "1.0.0", requires: { a: "^1" } },
      d: { version: "1.0.0", dev: true, requires: { "@s/e": "*" } },
      "@s/e": { version: "1.0.0", dev: true },
    },
  });

  test("with package.json", () => {
    const lockfile = parseNpmLockfile(text, "f");
    const requires = new Map([
      ["a", "^1"],
      ["b", "1"],
      ["d", "*"],
    ]);
    const graph = new DependencyGraph({ packages: lockfile.packages, root: { name: "mine", requires, requiresForDev: new Set(["d"]) } });
    expect(graph.wayTo("node_modules/a/node_modules/b")).toEqual(["mine", "a@1.0.0", "b@2.0.0"]);
    expect(graph.dependentsOf("node_modules/c").map(({ by, range }) => [by, range])).toEqual([
      ["a@1.0.0", "*"],
      ["b@2.0.0", "1"],
    ]);
    expect([graph.isDev("node_modules/@s/e"), graph.isDev("node_modules/c")]).toEqual([true, false]);
  });

  test("without: what nobody asks for counts as the project's own; a circle that nobody asks for stands alone", () => {
    const graph = new DependencyGraph(parseNpmLockfile(text, "f"));
    expect(graph.wayTo("node_modules/@s/e")).toEqual(["app", "d@1.0.0", "@s/e@1.0.0"]);
    expect(graph.dependentsOf("node_modules/b")).toEqual([{ by: "app", path: "", range: undefined, direct: true }]);
    expect(graph.wayTo("node_modules/c")).toEqual(["c@1.0.0"]);
    expect(graph.isDev("node_modules/@s/e")).toBe(true);
  });
});

describe("sizes", () => {
  const chain = (length: number): Entries =>
    Object.fromEntries(Array.from({ length }, (_, i) => [`node_modules/p${i}`, entry({ [`p${(i + 1) % length}`]: "*", p0: "1" })]));

  test("a circle of 50,000: no stack is exhausted, a long way keeps its ends", () => {
    const lockfile = lock({ dependencies: { p0: "*" } }, chain(50_000));
    const start = performance.now();
    const graph = new DependencyGraph(lockfile);
    const way = graph.wayTo("node_modules/p49999");
    expect(performance.now() - start).toBeLessThan(5000);
    expect(way).toHaveLength(100);
    expect([way[0], way[1], way[50], way.at(-1)]).toEqual(["app", "p0@1.0.0", "(49902 more)", "p49999@1.0.0"]);
    expect(graph.dependentsOf("node_modules/p0")).toHaveLength(50_001);
  }, 30_000);

  test("a real lockfile: every way begins at the project", (context) => {
    const path = fileURLToPath(new URL("../../../shared/data/lock-1578.json", import.meta.url));
    if (!existsSync(path)) context.skip("optional: no shared data here");
    const lockfile = parseNpmLockfile(readFileSync(path, "utf8"), "lock");
    const graph = new DependencyGraph(lockfile);
    for (const { path: place } of lockfile.packages) expect(graph.wayTo(place)[0]).toBe(lockfile.root.name);
  });
});

/** A tree of a few names, nested up to three deep, whose packages ask for names at random. */
const names = fc.constantFrom("a", "b", "c", "@s/d", "w");
const places = fc.uniqueArray(
  fc.oneof(
    fc.array(names, { minLength: 1, maxLength: 3 }).map((way) => way.map((name) => `node_modules/${name}`).join("/")),
    fc.constantFrom("packages/w", "packages/v", "packages/w/node_modules/a"),
  ),
  { minLength: 1, maxLength: 14 },
);
const asked = fc.uniqueArray(names, { maxLength: 3 });

test("property: as a naive walk has it", () => {
  fc.assert(
    fc.property(
      places.chain((all) => fc.tuple(fc.constant(all), fc.array(asked, { minLength: all.length, maxLength: all.length }))),
      asked,
      asked,
      ([all, needs], own, ownDev) => {
        const tree = new Map(all.map((place, i) => [place, needs[i] ?? []]));
        const packages = Object.fromEntries(all.map((place, i) => [place, { name: `n${i}`, version: "1.0.0", dependencies: fromNames(needs[i] ?? []) }]));
        const graph = graphOf({ name: "app", dependencies: fromNames(own), devDependencies: fromNames(ownDev) }, packages);
        const label = new Map(all.map((place, i) => [place, `n${i}@1.0.0`]));
        const naive = (start: readonly string[]): Map<string, number> => distances(tree, start);
        const fromRoot = naive([...own, ...ownDev].flatMap((name) => resolved(tree, "", name) ?? []));
        const workspaces = all.filter((place) => !place.includes("node_modules/") && !fromRoot.has(place));
        const fromFolders = naive(workspaces);
        const real = naive([...own.flatMap((name) => resolved(tree, "", name) ?? []), ...workspaces]);
        for (const place of all) {
          const way = graph.wayTo(place);
          const distance = fromRoot.get(place);
          expect(way).toHaveLength(distance === undefined ? (fromFolders.get(place) ?? 0) + 1 : distance + 2);
          expect(way[0] === "app").toBe(distance !== undefined);
          expect(way.at(-1)).toBe(label.get(place));
          // Each step is a real one.
          const steps = way.filter((one) => one !== "app").map((one) => all.find((at) => label.get(at) === one) ?? "?");
          for (const [i, step] of steps.entries())
            if (i > 0) expect((tree.get(steps[i - 1] ?? "") ?? []).map((name) => resolved(tree, steps[i - 1] ?? "", name))).toContain(step);
          const by = all.filter((at) => (tree.get(at) ?? []).some((name) => resolved(tree, at, name) === place)).map((at) => label.get(at));
          if ([...own, ...ownDev].some((name) => resolved(tree, "", name) === place)) by.unshift("app");
          expect(graph.dependentsOf(place).map((one) => one.by)).toEqual(by);
          expect(graph.isDev(place)).toBe((fromRoot.has(place) || fromFolders.has(place)) && !real.has(place));
        }
      },
    ),
    { numRuns: 500 },
  );
});

function fromNames(all: readonly string[]): Record<string, string> {
  return Object.fromEntries(all.map((name) => [name, "*"]));
}

/** Node's rule, said the slow way. */
function resolved(tree: ReadonlyMap<string, unknown>, from: string, name: string): string | undefined {
  const parts = from === "" ? [] : from.split("/");
  for (let length = parts.length; length >= 0; length--) {
    if (parts[length - 1] === "node_modules") continue;
    const place = posix.join(...parts.slice(0, length), "node_modules", name);
    if (tree.has(place)) return place;
  }
  return undefined;
}

/** Steps from the nearest start, by going over all edges until nothing gets shorter. */
function distances(tree: ReadonlyMap<string, readonly string[]>, starts: readonly string[]): Map<string, number> {
  const steps = new Map(starts.map((place) => [place, 0]));
  for (let changed = true; changed; ) {
    changed = false;
    for (const [from, needs] of tree) {
      const here = steps.get(from);
      if (here === undefined) continue;
      for (const name of needs) {
        const to = resolved(tree, from, name);
        if (to === undefined || (steps.get(to) ?? Number.POSITIVE_INFINITY) <= here + 1) continue;
        steps.set(to, here + 1);
        changed = true;
      }
    }
  }
  return steps;
}

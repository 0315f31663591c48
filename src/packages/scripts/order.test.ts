import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Places, parseNpmLockfile } from "../../inventory/index.ts";
import { eventsOf, inOrder, projectEvents } from "./order.ts";

type Packages = Readonly<Record<string, object>>;
const lock = (packages: Packages): ReturnType<typeof parseNpmLockfile> =>
  parseNpmLockfile(JSON.stringify({ lockfileVersion: 3, packages: { "": {}, ...packages } }), "package-lock.json");
const orderOf = (packages: Packages): string[] => inOrder(lock(packages), new Set(Object.keys(packages)));
const needs = (...names: string[]): object => ({ version: "1.0.0", dependencies: Object.fromEntries(names.map((name) => [name, "*"])) });

describe("order", () => {
  test("dependencies first, through packages without scripts, by path where nothing else decides", () => {
    const packages = { "node_modules/a": needs("b"), "node_modules/b": needs("z"), "node_modules/c": needs(), "node_modules/z": needs() };
    expect(orderOf(packages)).toEqual(["node_modules/z", "node_modules/b", "node_modules/a", "node_modules/c"]);
    expect(inOrder(lock(packages), new Set(["node_modules/a", "node_modules/z"]))).toEqual(["node_modules/z", "node_modules/a"]);
  });

  test("every kind of dependency counts", () => {
    for (const kind of ["dependencies", "optionalDependencies", "peerDependencies", "devDependencies"])
      expect(orderOf({ "node_modules/a": { version: "1.0.0", [kind]: { z: "*" } }, "node_modules/z": needs() })[0]).toBe("node_modules/z");
  });

  test("a name means the nearest copy", () => {
    const packages = {
      "node_modules/a": needs("b", "@s/c"),
      "node_modules/a/node_modules/b": needs(),
      "node_modules/a/node_modules/@s/c": needs("b"),
      "node_modules/b": needs("a"),
    };
    expect(orderOf(packages)).toEqual(["node_modules/a/node_modules/b", "node_modules/a/node_modules/@s/c", "node_modules/a", "node_modules/b"]);
  });

  test("workspaces and folders beside the project", () => {
    const packages = {
      "node_modules/w": { resolved: "packages/w", link: true },
      "node_modules/x": { resolved: "packages/x", link: true },
      "node_modules/lib": { resolved: "../lib", link: true },
      "packages/w": needs("x", "own", "lib"),
      "packages/w/node_modules/own": needs(),
      "packages/x": needs(),
      "../lib": needs("x", "gone"),
    };
    const order = orderOf(packages);
    for (const before of ["packages/x", "packages/w/node_modules/own", "../lib"]) expect(order.indexOf(before)).toBeLessThan(order.indexOf("packages/w"));
    // What lies beside the project does not look into it.
    const places = new Places(lock(packages));
    expect(places.resolve("../lib", "x")).toBeUndefined();
    expect(places.resolve("packages/w", "lib")?.path).toBe("../lib");
  });

  test("circles end, by path; what one of them needs comes before all of them", () => {
    const packages = { "node_modules/b": needs("a"), "node_modules/a": needs("b", "z"), "node_modules/c": needs("c"), "node_modules/z": needs() };
    expect(orderOf(packages)).toEqual(["node_modules/z", "node_modules/a", "node_modules/b", "node_modules/c"]);
  });

  test("a chain of 50,000 does not exhaust the stack", () => {
    const packages = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`node_modules/p${i}`, needs(`p${i + 1}`)]));
    expect(orderOf(packages).at(-1)).toBe("node_modules/p0");
  });

  test("version 1 lockfiles", () => {
    const text = JSON.stringify({
      lockfileVersion: 1,
      requires: true,
      dependencies: { a: { version: "1.0.0", requires: { z: "^1" } }, z: { version: "1.0.0" } },
    });
    expect(inOrder(parseNpmLockfile(text, "package-lock.json"), new Set(["node_modules/a", "node_modules/z"]))).toEqual(["node_modules/z", "node_modules/a"]);
  });
});

const graphs = fc
  .array(fc.uniqueArray(fc.nat(11), { maxLength: 4 }), { minLength: 1, maxLength: 12 })
  .map((edges) => edges.map((targets, i) => [`node_modules/p${i}`, needs(...targets.map((target) => `p${target}`))] as const));

test("property: each once; whoever is needed and needs not back comes first; the lockfile's own order does not matter", () => {
  fc.assert(
    fc.property(
      graphs.chain((graph) => fc.tuple(fc.constant(graph), fc.shuffledSubarray(graph, { minLength: graph.length }))),
      ([graph, shuffled]) => {
        const packages = Object.fromEntries(graph);
        const order = orderOf(packages);
        expect([...order].sort()).toEqual(Object.keys(packages).sort());
        expect(orderOf(Object.fromEntries(shuffled))).toEqual(order);
        const direct = (path: string): string[] => {
          const { dependencies }: { dependencies?: object } = packages[path] ?? {};
          return Object.keys(dependencies ?? {})
            .map((name) => `node_modules/${name}`)
            .filter((place) => place in packages);
        };
        const reaches = (from: string, to: string): boolean => {
          const seen = new Set<string>();
          const todo = direct(from);
          for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
            if (at === to) return true;
            if (!seen.has(at)) todo.push(...direct(at));
            seen.add(at);
          }
          return false;
        };
        for (const a of order) for (const b of order) if (reaches(a, b) && !reaches(b, a)) expect(order.indexOf(b)).toBeLessThan(order.indexOf(a));
      },
    ),
    { numRuns: 300 },
  );
});

describe("which scripts there are", () => {
  test("of packages, of linked folders, of the project", () => {
    expect(eventsOf("dependency")).toEqual(["preinstall", "install", "postinstall"]);
    expect(eventsOf("own")).toEqual(["preinstall", "prepare", "install", "postinstall"]);
    const all = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"];
    const tree = ["predependencies", "dependencies", "postdependencies"];
    expect(projectEvents("ci", false, "11.19.1")).toEqual({ first: [], last: [...tree, ...all] });
    expect(projectEvents("install", false, "12.2.1")).toEqual({ first: ["preinstall"], last: [...tree, ...all.slice(1)] });
    expect(projectEvents("install", true, "11.19.1")).toEqual({ first: [], last: tree });
    expect(projectEvents("update", false, "11.19.1")).toEqual({ first: [], last: tree });
  });
});

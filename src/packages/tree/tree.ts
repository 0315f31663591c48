/**
 * The last check of an install: the tree on disk must be the judged set and nothing else. Every node_modules folder is
 * listed here; the packages in it are hashed by worker threads, which start while the client still runs.
 */
import { type Dirent, existsSync, readdirSync, readlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import { CofferdamError, messageOf } from "../../foundation/index.ts";
import { outermostFirst, UnitComparer } from "./compare.ts";
import type { Difference, ScriptOutputs, TreePackage, TreeRequest, TreeUnit, UnitResult } from "./unit.ts";

export interface JudgedTree {
  readonly packages: readonly TreePackage[];
  /** Links that the lockfile asks for: place in the tree to target, both from the project's root. */
  readonly links: ReadonlyMap<string, string>;
  /** `npm ci` starts from an empty folder; an install may keep dot-folders that tools made (`node_modules/.cache`). */
  readonly fresh: boolean;
  /** Paths from the project's root that scripts were let to write or remove: they may differ, and nothing else may. */
  readonly touched?: ReadonlySet<string>;
  /** What scripts of earlier installs left, in place of what the tarballs have there. */
  readonly outputs?: readonly ScriptOutputs[];
}

export interface TreeResult {
  readonly files: number;
  readonly bytes: number;
  readonly packages: number;
  readonly absent: readonly string[];
  readonly differences: readonly Difference[];
  readonly differenceCount: number;
  /** Dot-folders of tools that were there before and belong to no package. */
  readonly leftAlone: readonly string[];
}

const THREADS = 2;
const MAX_LISTED = 100;

export class TreeChecker {
  readonly #root: string;
  readonly #workers: readonly Worker[];

  /** Starts the threads at once; {@link close} ends them. @param root the project's real path. */
  constructor(root: string, stateDir: string) {
    this.#root = root;
    const file = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);
    this.#workers = Array.from({ length: THREADS }, () => new Worker(file, { workerData: { stateDir, root }, stdout: false }));
    // An early failure shows when the result is asked for; until then it must not end the process.
    for (const worker of this.#workers) worker.on("error", () => undefined);
  }

  /** Says what is going to be compared, so that the threads read the manifests of it meanwhile. Nothing of the tree is looked at. */
  expect(tree: JudgedTree): void {
    const shares = share(unitsOf(tree.packages), this.#workers.length);
    for (const [i, worker] of this.#workers.entries()) worker.postMessage({ kind: "ahead", units: shares[i] ?? [] } satisfies TreeRequest);
  }

  /** Compares once. Throws INTERNAL when a thread fails: an unfinished comparison is never a passed one. */
  async compare(tree: JudgedTree): Promise<TreeResult> {
    const units = withOutputs(withTouched(unitsOf(tree.packages), tree.touched), tree.outputs ?? []);
    const listing = listModuleFolders(this.#root, units, tree);
    const shares = share(units, this.#workers.length);
    const results = await Promise.all(this.#workers.map((worker, i) => ask(worker, shares[i] ?? [])));
    return sum(results.flat(), listing, tree.packages.length);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function ask(worker: Worker, units: readonly TreeUnit[]): Promise<readonly UnitResult[]> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", (error) => reject(new CofferdamError("INTERNAL", `tree comparison failed: ${messageOf(error)}`, { cause: error })));
    worker.once("exit", () => reject(new CofferdamError("INTERNAL", "tree comparison ended early")));
    worker.postMessage({ kind: "compare", units } satisfies TreeRequest);
  });
}

/** Groups packages by their outermost folder: `node_modules/a` or `packages/x/node_modules/@s/b`. */
export function unitsOf(packages: readonly TreePackage[]): TreeUnit[] {
  const byUnit = new Map<string, TreePackage[]>();
  for (const entry of packages) {
    const match = /^(?:.*?\/)??node_modules\/(?:@[^/]+\/)?[^/]+/.exec(entry.path);
    if (match === null) throw new CofferdamError("INVALID_ARGUMENT", `not a place in a node_modules folder: ${entry.path}`);
    const list = byUnit.get(match[0]);
    if (list === undefined) byUnit.set(match[0], [entry]);
    else list.push(entry);
  }
  return [...byUnit].map(([path, list]) => ({ path, packages: outermostFirst(list) }));
}

/** Each unit with those of the touched paths that lie in it. */
function withTouched(units: readonly TreeUnit[], touched: ReadonlySet<string> | undefined): readonly TreeUnit[] {
  if (touched === undefined || touched.size === 0) return units;
  const byUnit = new Map<string, string[]>(units.map((unit) => [unit.path, []]));
  for (const path of touched) {
    for (let at = path; at.includes("/"); at = dirname(at)) byUnit.get(at)?.push(path);
  }
  return units.map((unit) => ({ ...unit, touched: byUnit.get(unit.path) ?? [] }));
}

function withOutputs(units: readonly TreeUnit[], outputs: readonly ScriptOutputs[]): readonly TreeUnit[] {
  if (outputs.length === 0) return units;
  const [files, links, removed] = [outputs.flatMap((one) => one.files), outputs.flatMap((one) => one.links), outputs.flatMap((one) => one.removed)];
  return units.map((unit) => {
    const inside = (path: string): boolean => path.startsWith(`${unit.path}/`);
    const within = ([path]: readonly [string, ...unknown[]]): boolean => inside(path);
    return { ...unit, outputs: { files: files.filter(within), links: links.filter(within), removed: removed.filter(inside) } };
  });
}

/** True when all that stands there was written by a script that was let to. */
function isTouched(root: string, path: string, entry: Dirent, touched: ReadonlySet<string>): boolean {
  if (!entry.isDirectory()) return touched.has(path);
  return readdirSync(join(root, path), { withFileTypes: true }).every((inner) => isTouched(root, `${path}/${inner.name}`, inner, touched));
}

/** Deals units out like cards, the ones with most packages first, so that the threads end at about the same time. */
function share(units: readonly TreeUnit[], threads: number): TreeUnit[][] {
  const hands: TreeUnit[][] = Array.from({ length: threads }, () => []);
  [...units]
    .sort((a, b) => b.packages.length - a.packages.length)
    .forEach((unit, i) => {
      hands[i % threads]?.push(unit);
    });
  return hands;
}

interface Listing {
  readonly differences: Difference[];
  readonly leftAlone: string[];
}

/** Everything directly in a top-level node_modules folder must be a judged package, a judged link or the client's own. */
function listModuleFolders(root: string, units: readonly TreeUnit[], tree: JudgedTree): Listing {
  const known = new Set(units.map((unit) => unit.path));
  const folders = new Set(["node_modules"]);
  for (const path of [...known, ...tree.links.keys()]) folders.add(path.slice(0, path.indexOf("node_modules/") + "node_modules".length));
  const listing: Listing = { differences: [], leftAlone: [] };
  const links = new UnitComparer(root, () => []);
  for (const folder of folders) {
    if (!existsSync(join(root, folder))) continue;
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (entry.name.startsWith("@") && entry.isDirectory()) {
        for (const scoped of readdirSync(join(root, folder, entry.name), { withFileTypes: true })) check(`${folder}/${entry.name}/${scoped.name}`, scoped);
      } else check(`${folder}/${entry.name}`, entry);
    }
  }
  return listing;

  function check(path: string, entry: Dirent): void {
    if (entry.isDirectory() && known.has(path)) return;
    const target = tree.links.get(path);
    if (target !== undefined && entry.isSymbolicLink() && resolve(root, dirname(path), readlinkSync(join(root, path))) === join(root, target)) return;
    if (entry.name === ".package-lock.json" && entry.isFile()) return;
    if (entry.name === ".bin" && entry.isDirectory()) {
      for (const bin of readdirSync(join(root, path), { withFileTypes: true })) {
        const inner = `${path}/${bin.name}`;
        if (!bin.isSymbolicLink() || !links.isBinLink(inner)) listing.differences.push({ path: inner, kind: bin.isSymbolicLink() ? "link" : "extra" });
      }
      return;
    }
    if (tree.touched !== undefined && isTouched(root, path, entry, tree.touched)) return;
    if (!tree.fresh && entry.name.startsWith(".") && entry.isDirectory()) {
      listing.leftAlone.push(path);
      return;
    }
    listing.differences.push({ path, kind: entry.isSymbolicLink() ? "link" : "extra" });
  }
}

function sum(results: readonly UnitResult[], listing: Listing, packages: number): TreeResult {
  const differences = [...listing.differences, ...results.flatMap((result) => result.differences)];
  const absent = results.flatMap((result) => result.absent);
  return {
    files: results.reduce((total, result) => total + result.files, 0),
    bytes: results.reduce((total, result) => total + result.bytes, 0),
    packages: packages - absent.length,
    absent,
    differences: differences.slice(0, MAX_LISTED),
    differenceCount: listing.differences.length + results.reduce((total, result) => total + result.differenceCount, 0),
    leftAlone: listing.leftAlone,
  };
}

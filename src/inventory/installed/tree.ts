/**
 * A node_modules tree as a list of packages: read from the disk, package.json by package.json, and from nothing that a client
 * wrote about it. Nested folders, scopes, and the stores that pnpm, bun, yarn and npm keep in a dot-folder
 * (`.pnpm/NAME@VERSION/node_modules/NAME`) are walked; links inside the project are followed to their folder, which counts once.
 * A package is a folder in a node_modules, or what a link there leads to. Copies that a package carries elsewhere in its own
 * folder (`dist/vendor/x`) are part of it, and not looked for.
 */
import { type Dirent, lstatSync, opendirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { setImmediate as otherWork } from "node:timers/promises";
import { CofferdamError, errnoOf } from "../../foundation/index.ts";
import type { GraphInput, GraphPackage } from "../graph.ts";
import { folderName, type LockedRoot, MAX_PACKAGES } from "../lockfiles/npm.ts";
import { readInstalledManifest } from "./manifest.ts";

/**
 * - `package`: a folder in a node_modules; `folder`: one elsewhere in the project that a link leads to, a workspace as a rule
 * - `link`: leads to one of those; `unknown`: something that Node may load and nobody can say what it is
 */
export type InstalledKind = "package" | "folder" | "link" | "unknown";

export interface InstalledPackage extends GraphPackage {
  readonly kind: InstalledKind;
  /** What is not as it should be, in words: why the version is not known, or that its folder has another name. */
  readonly fault: string | undefined;
}

export interface InstalledTree extends GraphInput {
  /** By path; nothing is left out, whatever is wrong with it. */
  readonly packages: readonly InstalledPackage[];
}

/** Entries of all folders that are looked at together. */
const MAX_ENTRIES = 2_000_000;
/** What Linux takes as a path. */
const MAX_PATH = 4096;
/** Packages between two turns of other work. */
const AT_ONCE = 500;

/**
 * Reads the tree below a folder. Throws NOT_FOUND when it has no node_modules, PAYLOAD_TOO_LARGE for more than 200,000
 * packages or two million entries, and the signal's reason. @param root the project's folder.
 */
export async function readInstalledTree(root: string, signal: AbortSignal): Promise<InstalledTree> {
  const real = realpathSync(root);
  if (statSync(join(real, "node_modules"), { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new CofferdamError("NOT_FOUND", `no node_modules in ${root}`, { hint: "npm ci" });
  const manifest = readInstalledManifest(join(real, "package.json"));
  const own: LockedRoot = typeof manifest === "object" ? manifest : { name: undefined, requires: undefined, requiresForDev: new Set() };
  const packages = await new TreeWalk(real, signal).walk();
  return { packages: withNames(packages, own), root: own };
}

/** Something to look at. Paths are relative to the root. */
type Task = { readonly kind: "modules" | "store" | "package"; readonly path: string };

class TreeWalk {
  readonly #root: string;
  readonly #signal: AbortSignal;
  readonly #packages: InstalledPackage[] = [];
  readonly #tasks: Task[] = [];
  readonly #seen = new Set<string>();
  #entries = 0;

  constructor(root: string, signal: AbortSignal) {
    this.#root = root;
    this.#signal = signal;
  }

  async walk(): Promise<InstalledPackage[]> {
    this.#add("modules", "node_modules");
    let turns = 0;
    // The list grows while it is walked.
    for (let task = this.#tasks.pop(); task !== undefined; task = this.#tasks.pop()) {
      if (++turns % AT_ONCE === 0) await otherWork();
      this.#signal.throwIfAborted();
      if (task.kind === "package") this.#package(task.path);
      else if (task.kind === "modules") this.#modules(task.path);
      else this.#store(task.path);
    }
    return this.#packages.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #add(kind: Task["kind"], path: string): void {
    const key = `${kind} ${path}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#tasks.push({ kind, path });
  }

  /** @param scope true for the folder of a scope. */
  #modules(path: string, scope = false): void {
    for (const { name, entry } of this.#list(path)) {
      const place = `${path}/${name}`;
      if (entry.isSymbolicLink()) this.#link(place);
      else if (!entry.isDirectory()) {
        // Node finds `x.js` for the name x, too; what clients keep about themselves begins with a dot.
        if (!name.startsWith(".") && (scope || /\.(?:[cm]?js|json|node)$/.test(name) || !entry.isFile())) this.#unknown(place, "no folder");
      } else if (name.startsWith(".")) this.#add("store", place);
      else if (name.startsWith("@") && !scope) this.#modules(place, true);
      else this.#add("package", place);
    }
  }

  /** A dot-folder: a client's store, a tool's cache, or a package that hides. */
  #store(path: string): void {
    const own = readInstalledManifest(join(this.#root, path, "package.json"));
    if (typeof own === "object" && (own.name !== undefined || own.version !== undefined)) this.#add("package", path);
    for (const { name, entry } of this.#list(path)) {
      const place = `${path}/${name}`;
      if (!entry.isDirectory()) continue;
      if (name === "node_modules") this.#add("modules", place);
      else this.#storeEntry(place, name.startsWith("@"));
    }
  }

  #storeEntry(path: string, scope: boolean): void {
    this.#nested(path);
    if (scope) for (const { name, entry } of this.#list(path)) if (entry.isDirectory()) this.#storeEntry(`${path}/${name}`, false);
  }

  #package(path: string): void {
    const manifest = readInstalledManifest(join(this.#root, path, "package.json"));
    this.#nested(path);
    if (typeof manifest === "string") this.#unknown(path, manifest);
    else if (manifest !== undefined) {
      const { name = folderName(path), version, requires, requiresForDev } = manifest;
      const kind = inModules(path) ? "package" : "folder";
      const fault = version === undefined ? "its package.json has no version" : undefined;
      this.#put({ kind, path, name, version, target: undefined, requires, requiresForDev, dev: false, fault });
    }
    // A folder that only makes room for others is none; one with files may be loaded without any package.json.
    else if (this.#list(path).some(({ name }) => name !== "node_modules")) this.#unknown(path, "no package.json");
  }

  /** The node_modules of a folder, which may be a link as well. */
  #nested(folder: string): void {
    const path = `${folder}/node_modules`;
    try {
      const stat = lstatSync(join(this.#root, path), { throwIfNoEntry: false });
      if (stat?.isDirectory() === true) this.#add("modules", path);
      if (stat?.isSymbolicLink() !== true) return;
    } catch (error) {
      this.#unknown(path, `a folder that cannot be read (${errnoOf(error) ?? "error"})`);
      return;
    }
    const found = this.#target(path);
    if (typeof found === "string") this.#unknown(path, found);
    else this.#add("modules", found.place);
  }

  /** What Node finds from a linked folder stands beside it and above it, also where no walk from the top comes by. */
  #around(place: string): void {
    for (let at = dirname(place); at !== "." && !this.#seen.has(`around ${at}`); at = dirname(at)) {
      this.#seen.add(`around ${at}`);
      if (basename(at) === "node_modules") this.#add("modules", at);
      else this.#nested(at);
    }
  }

  #link(path: string): void {
    const found = this.#target(path);
    if (typeof found === "string") this.#unknown(path, found);
    else {
      this.#put({ ...namedAt(path), target: found.place });
      if (found.place === "") return;
      this.#add("package", found.place);
      this.#around(found.place);
    }
  }

  /** The folder of the project that a link leads to; in words why there is none. */
  #target(path: string): { readonly place: string } | string {
    try {
      const target = realpathSync(join(this.#root, path));
      const place = relative(this.#root, target);
      if (place === ".." || place.startsWith(`..${sep}`)) return "a link out of the project, not followed";
      return statSync(target).isDirectory() ? { place } : "a link to what is no folder";
    } catch (error) {
      return errnoOf(error) === "ENOENT" ? "a link to nothing" : `a link that cannot be followed (${errnoOf(error) ?? "error"})`;
    }
  }

  #unknown(path: string, fault: string): void {
    this.#put({ ...namedAt(path), kind: "unknown", fault });
  }

  #put(one: InstalledPackage): void {
    if (this.#packages.length >= MAX_PACKAGES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `more than ${MAX_PACKAGES} packages below ${this.#root}`);
    this.#packages.push(one);
  }

  /** A folder's entries. One that cannot be listed is named. */
  #list(path: string): { readonly name: string; readonly entry: Dirent }[] {
    const found: { readonly name: string; readonly entry: Dirent }[] = [];
    try {
      if (path.length > MAX_PATH) throw new Error("too deep");
      const folder = opendirSync(join(this.#root, path), { bufferSize: 1024 });
      try {
        for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
          if (++this.#entries > MAX_ENTRIES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `more than ${MAX_ENTRIES} entries below ${this.#root}`);
          found.push({ name: entry.name, entry });
        }
      } finally {
        folder.closeSync();
      }
    } catch (error) {
      if (error instanceof CofferdamError) throw error;
      this.#unknown(path, `a folder that cannot be read (${errnoOf(error) ?? "too deep"})`);
    }
    return found;
  }
}

function namedAt(path: string): InstalledPackage {
  const nothing = { version: undefined, target: undefined, requires: new Map(), requiresForDev: new Set<string>(), dev: false, fault: undefined };
  return { kind: "link", path, name: folderName(path), ...nothing };
}

function inModules(path: string): boolean {
  return /(?:^|\/)node_modules\//.test(path);
}

/**
 * A package goes by its own name. Where its folder has another one, somebody must have asked for it so (`npm:real@1`);
 * else it may be there to be taken for the other, and that is said.
 */
function withNames(packages: readonly InstalledPackage[], root: LockedRoot): InstalledPackage[] {
  const aliases = new Set([root.requires, ...packages.map(({ requires }) => requires)].flatMap((requires) => [...(requires ?? [])].flatMap(aliasOf)));
  return packages.map((one) => {
    const folder = folderName(one.path);
    if (one.kind !== "package" || one.fault !== undefined || folder === one.name || aliases.has(`${folder}\0${one.name}`)) return one;
    return { ...one, fault: `its folder is ${folder}, and nobody asks for it under that name` };
  });
}

function aliasOf([folder, range]: readonly [string, string]): string[] {
  const name = /^npm:(@?[^@]+)/.exec(range)?.[1];
  return name === undefined ? [] : [`${folder}\0${name}`];
}

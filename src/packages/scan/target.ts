/** What is scanned: the packages of a lockfile, of a node_modules tree, or one package by its URL. Reads only. */
import { statSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { CofferdamError, errnoOf, readBounded } from "../../foundation/index.ts";
import {
  DependencyGraph,
  dependencyMap,
  devOnly,
  isWord,
  type LockedPackage,
  type LockedRoot,
  linesOf,
  MAX_LOCKFILE_BYTES,
  type NpmLockfile,
  parseNpmLockfile,
  parsePackageUrl,
  readInstalledTree,
  recordOf,
} from "../../inventory/index.ts";
import type { Unjudged } from "../../vulnerability/index.ts";
import type { ScannedPackage } from "./judge.ts";

export interface ScanTarget {
  readonly kind: "lockfile" | "tree" | "package";
  /** As it is named in reports: the file or package URL. */
  readonly name: string;
  /** Real path of the folder that the file stands in. */
  readonly root: string;
  /** `package-lock.json`, `node_modules`; undefined for a package. */
  readonly file: string | undefined;
  /** Name and version of the project, where it has them. */
  readonly project: { readonly name: string; readonly version?: string | undefined } | undefined;
  readonly packages: readonly ScannedPackage[];
  /** What stands there and could not be told what it is. */
  readonly unreadable: readonly Unjudged[];
  readonly graph: DependencyGraph | undefined;
  readonly lineOf: (path: string) => number | undefined;
}

/** npm reads the first that is there. */
const LOCKFILES = ["npm-shrinkwrap.json", "package-lock.json"] as const;

/** Throws NOT_FOUND (nothing to scan), INVALID_ARGUMENT (not a lockfile, not a package URL), PAYLOAD_TOO_LARGE. */
export async function readTarget(target: string | undefined, cwd: string, signal: AbortSignal): Promise<ScanTarget> {
  if (target !== undefined && /^pkg:/i.test(target)) return packageTarget(target, await existing(cwd));
  const path = await existing(resolve(cwd, target ?? "."));
  if (!statSync(path).isDirectory()) return await lockfileTarget(path);
  if (basename(path) === "node_modules") return await treeTarget(dirname(path), signal);
  for (const name of LOCKFILES) {
    const file = join(path, name);
    if (statSync(file, { throwIfNoEntry: false }) !== undefined) return await lockfileTarget(file);
  }
  if (statSync(join(path, "node_modules"), { throwIfNoEntry: false }) !== undefined) return await treeTarget(path, signal);
  throw new CofferdamError("NOT_FOUND", `nothing to scan in ${path}: no package-lock.json and no node_modules`, { hint: "npm install --package-lock-only" });
}

/** As it stands on the disk. A link is told by where it leads; a folder of the project is its own code. */
async function treeTarget(root: string, signal: AbortSignal): Promise<ScanTarget> {
  const tree = await readInstalledTree(root, signal);
  const found = tree.packages.filter(({ kind }) => kind === "package" || kind === "unknown");
  return {
    kind: "tree",
    name: "node_modules",
    root,
    file: "node_modules",
    project: tree.root.name === undefined ? undefined : { name: tree.root.name },
    packages: found.map(({ name, version, path }) => ({ name, version, path })),
    unreadable: found.flatMap(({ kind, name, fault }) => (kind === "unknown" ? [{ package: name, version: "", why: fault ?? "not readable" }] : [])),
    graph: new DependencyGraph(tree),
    lineOf: () => undefined,
  };
}

/** One version, wherever it comes from. */
function packageTarget(url: string, root: string): ScanTarget {
  const { name, version } = parsePackageUrl(url);
  if (version === undefined) throw new CofferdamError("INVALID_ARGUMENT", `which version? ${url.slice(0, 200)}@VERSION`);
  return {
    ...{ kind: "package", name: url, root, file: undefined, project: undefined, unreadable: [], graph: undefined, lineOf: () => undefined },
    packages: [{ name, version, path: "" }],
  };
}

async function existing(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw new CofferdamError("NOT_FOUND", `cannot scan ${path}: ${errnoOf(error) === "ENOENT" ? "it does not exist" : errnoOf(error)}`);
  }
}

async function lockfileTarget(path: string): Promise<ScanTarget> {
  const bytes = await readBounded(path, { maxBytes: MAX_LOCKFILE_BYTES, what: "lockfile" });
  if (bytes === undefined) throw new CofferdamError("NOT_FOUND", `no lockfile ${path}`);
  const text = bytes.toString("utf8");
  const file = basename(path);
  const lockfile = parseNpmLockfile(text, file);
  const root = await rootOf(lockfile, dirname(path));
  return {
    kind: "lockfile",
    name: file,
    root: dirname(path),
    file,
    project: root.name === undefined ? undefined : { name: root.name },
    packages: scannedPackages(lockfile.packages),
    unreadable: [],
    graph: new DependencyGraph({ packages: lockfile.packages, root }),
    lineOf: linesOf(text),
  };
}

/** The packages of a lockfile's text. Throws INVALID_ARGUMENT. */
export function packagesOf(text: string, what: string): ScannedPackage[] {
  return scannedPackages(parseNpmLockfile(text, what).packages);
}

/** What a registry or somebody else published; the project's own folders are nobody's advisory. */
export function scannedPackages(packages: readonly LockedPackage[]): ScannedPackage[] {
  return packages.filter(({ kind }) => kind !== "link" && kind !== "folder").map(({ name, version, path }) => ({ name, version, path }));
}

const word = recordOf(isWord, "version ranges").optional().catch(undefined);
const manifestSchema = z.looseObject({
  name: z.string().optional().catch(undefined),
  dependencies: word,
  devDependencies: word,
  optionalDependencies: word,
  peerDependencies: word,
});
const MAX_MANIFEST: number = 4 * 2 ** 20;

/** Version 1 does not say what the project asks for; its package.json does. */
export async function rootOf({ root }: NpmLockfile, folder: string): Promise<LockedRoot> {
  if (root.requires !== undefined) return root;
  try {
    const bytes = await readBounded(join(folder, "package.json"), { maxBytes: MAX_MANIFEST, what: "package.json" });
    const manifest = manifestSchema.parse(JSON.parse(bytes?.toString("utf8") ?? ""));
    return { name: root.name ?? manifest.name, requires: dependencyMap(manifest), requiresForDev: devOnly(manifest) };
  } catch {
    // Only ways and fixes get worse without it; nothing that is bad is missed.
    return root;
  }
}

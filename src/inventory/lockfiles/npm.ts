/**
 * npm's lockfiles (package-lock.json, npm-shrinkwrap.json; lockfileVersion 1, 2, 3) as one list of packages with their
 * place in the tree. Only reads; whether an entry is acceptable is judged elsewhere.
 * Source: npm's documentation of package-lock.json, and the behaviour of its arborist.
 */
import { hash } from "node:crypto";
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import { packagesOfVersion1 } from "./npm-v1.ts";
import { assertPlace } from "./place.ts";
import { isAnything, isWord, recordOf } from "./record.ts";

/**
 * - `registry`: a tarball of a registry; `resolved` may be missing (npm's omit-lockfile-registry-resolved)
 * - `remote`: a tarball at a URL that a dependency names
 * - `git`: a git repository; `file`: a tarball in the project; `link`: a symbolic link to a folder
 * - `folder`: the folder of a workspace or of a link's target; `bundled`: inside an outer package's tarball
 */
export type LockedKind = "registry" | "remote" | "git" | "file" | "link" | "folder" | "bundled";

export interface LockedPackage {
  /** Place from the project's root: `node_modules/a/node_modules/@s/b`, or a folder for kind `folder`. */
  readonly path: string;
  /** The package's own name; differs from its folder for an alias. */
  readonly name: string;
  readonly version: string | undefined;
  readonly resolved: string | undefined;
  readonly integrity: string | undefined;
  readonly kind: LockedKind;
  /** Target of a link, from the project's root. */
  readonly target: string | undefined;
  readonly dev: boolean;
  readonly optional: boolean;
  readonly devOptional: boolean;
  readonly peer: boolean;
  /** In the lockfile, but nothing needs it: the client does not install it. */
  readonly extraneous: boolean;
  readonly hasInstallScript: boolean;
  readonly os: readonly string[];
  readonly cpu: readonly string[];
  readonly libc: readonly string[];
  /** What it depends on, in any way that the lockfile records for it: name and the range that it asks for. */
  readonly requires: ReadonlyMap<string, string>;
  /** Names in {@link requires} that it needs for its own development only. */
  readonly requiresForDev: ReadonlySet<string>;
}

/** What the lockfile says of the project itself. */
export interface LockedRoot {
  readonly name: string | undefined;
  /** Undefined in version 1, which does not say it: package.json has to. */
  readonly requires: ReadonlyMap<string, string> | undefined;
  readonly requiresForDev: ReadonlySet<string>;
}

export interface NpmLockfile {
  readonly version: 1 | 2 | 3;
  readonly packages: readonly LockedPackage[];
  readonly root: LockedRoot;
  /** What the lockfile believes package.json says; empty for version 1. */
  readonly rootDependencies: ReadonlyMap<string, string>;
  /** SHA-256 of the file, hex. */
  readonly sha256: string;
}

export const MAX_LOCKFILE_BYTES: number = 64 * 2 ** 20;
export const MAX_PACKAGES = 200_000;

/** As package.json and the lockfile both have them. */
export interface DependencySections {
  dependencies?: Record<string, string> | undefined;
  devDependencies?: Record<string, string> | undefined;
  optionalDependencies?: Record<string, string> | undefined;
  peerDependencies?: Record<string, string> | undefined;
}

/** One entry of `packages`; what npm adds later passes through. */
export interface LockEntry extends DependencySections {
  name?: string | undefined;
  version?: string | undefined;
  resolved?: string | boolean | undefined;
  integrity?: string | undefined;
  link?: boolean | undefined;
  inBundle?: boolean | undefined;
  dev?: boolean | undefined;
  optional?: boolean | undefined;
  devOptional?: boolean | undefined;
  peer?: boolean | undefined;
  extraneous?: boolean | undefined;
  hasInstallScript?: boolean | undefined;
  os?: string | string[] | undefined;
  cpu?: string | string[] | undefined;
  libc?: string | string[] | undefined;
}

const word = z.string().max(8192);
const words = z.union([word, z.array(word).max(100)]);
const dependencies = recordOf(isWord, "version ranges");
export const lockEntrySchema: z.ZodType<LockEntry> = z.looseObject({
  name: word.optional(),
  version: word.optional(),
  resolved: z.union([word, z.boolean()]).optional(),
  integrity: word.optional(),
  link: z.boolean().optional(),
  inBundle: z.boolean().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  devOptional: z.boolean().optional(),
  peer: z.boolean().optional(),
  extraneous: z.boolean().optional(),
  hasInstallScript: z.boolean().optional(),
  os: words.optional(),
  cpu: words.optional(),
  libc: words.optional(),
  dependencies: dependencies.optional(),
  devDependencies: dependencies.optional(),
  optionalDependencies: dependencies.optional(),
  peerDependencies: dependencies.optional(),
});
const headSchema = z.looseObject({
  lockfileVersion: z.union([z.literal(1), z.literal(2), z.literal(3)]),
  name: z.unknown().optional(),
  packages: recordOf(isAnything, "packages").optional(),
});

/**
 * Reads a lockfile's text. Throws INVALID_ARGUMENT for what is not one (with the entry's place), PAYLOAD_TOO_LARGE for more
 * than {@link MAX_PACKAGES} packages. @param what the file's name, for messages.
 */
export function parseNpmLockfile(text: string, what: string): NpmLockfile {
  const json = parseJson(text, what);
  const head = headSchema.safeParse(json);
  if (!head.success)
    throw new CofferdamError("INVALID_ARGUMENT", `${what}: not an npm lockfile of version 1, 2 or 3`, { hint: "run: npm install --package-lock-only" });
  const { lockfileVersion: version, packages } = head.data;
  const name = isWord(head.data.name) && head.data.name !== "" ? head.data.name : undefined;
  const sha256 = hash("sha256", text, "hex");
  if (packages === undefined || version === 1) {
    const root = { name, requires: undefined, requiresForDev: new Set<string>() };
    return { version, packages: bounded(packagesOfVersion1(json, what), what), root, rootDependencies: new Map(), sha256 };
  }
  const entries = bounded(Object.entries(packages), what).map(([path, raw]): [string, LockEntry] => [path, parseEntry(raw, path, what)]);
  const urls = namedUrls(entries);
  const root = entries.find(([path]) => path === "")?.[1] ?? {};
  const rootDependencies = dependencyMap(root);
  return {
    version,
    packages: entries.filter(([path]) => path !== "").map(([path, entry]) => lockedPackage(path, entry, urls, what)),
    root: { name: root.name ?? name, requires: rootDependencies, requiresForDev: devOnly(root) },
    rootDependencies,
    sha256,
  };
}

/** All dependency specs of an entry by name; what npm compares package.json with. */
export function dependencyMap(entry: DependencySections): Map<string, string> {
  const map = new Map<string, string>();
  for (const part of [entry.peerDependencies, entry.dependencies, entry.devDependencies, entry.optionalDependencies]) {
    if (part !== undefined) for (const [name, range] of Object.entries(part)) map.set(name, range);
  }
  return map;
}

/** Names that an entry has among its devDependencies and nowhere else. */
export function devOnly(entry: DependencySections): Set<string> {
  if (entry.devDependencies === undefined) return new Set();
  const others = new Set([entry.peerDependencies, entry.dependencies, entry.optionalDependencies].flatMap((part) => Object.keys(part ?? {})));
  return new Set(Object.keys(entry.devDependencies ?? {}).filter((name) => !others.has(name)));
}

function lockedPackage(path: string, entry: LockEntry, urls: ReadonlySet<string>, what: string): LockedPackage {
  // A linked folder beside the project has keys such as `../lib`; whether that is acceptable is judged, not parsed.
  assertPlace(path, what, "outside");
  const resolved = typeof entry.resolved === "string" ? entry.resolved : undefined;
  const kind = kindOf(path, entry, resolved, urls);
  if (kind === "link") assertPlace(resolved ?? "", what, "outside");
  return {
    path,
    name: entry.name || folderName(path),
    version: entry.version,
    resolved,
    integrity: entry.integrity,
    kind,
    target: kind === "link" ? resolved : undefined,
    dev: entry.dev === true,
    optional: entry.optional === true,
    devOptional: entry.devOptional === true,
    peer: entry.peer === true,
    extraneous: entry.extraneous === true,
    hasInstallScript: entry.hasInstallScript === true,
    os: list(entry.os),
    cpu: list(entry.cpu),
    libc: list(entry.libc),
    requires: dependencyMap(entry),
    requiresForDev: devOnly(entry),
  };
}

function kindOf(path: string, entry: LockEntry, resolved: string | undefined, urls: ReadonlySet<string>): LockedKind {
  if (entry.link === true) return "link";
  if (!/(?:^|\/)node_modules\//.test(path)) return "folder";
  if (entry.inBundle === true) return "bundled";
  if (resolved === undefined) return "registry";
  if (/^git(?:\+|:)/.test(resolved)) return "git";
  if (resolved.startsWith("file:")) return "file";
  return urls.has(resolved) ? "remote" : "registry";
}

/** URLs that some dependency names as such: those are remote tarballs and not a registry's. */
function namedUrls(entries: readonly [string, LockEntry][]): Set<string> {
  const urls = new Set<string>();
  for (const [, entry] of entries) {
    for (const spec of dependencyMap(entry).values()) if (/^https?:\/\//.test(spec)) urls.add(spec);
  }
  return urls;
}

export function folderName(path: string): string {
  const at = path.lastIndexOf("node_modules/");
  return at < 0 ? path.slice(path.lastIndexOf("/") + 1) : path.slice(at + "node_modules/".length);
}

function list(value: string | string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === "string" ? [value] : value;
}

function parseEntry(raw: unknown, path: string, what: string): LockEntry {
  const parsed = lockEntrySchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CofferdamError("INVALID_ARGUMENT", `${what}: ${JSON.stringify(path.slice(0, 200))}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "invalid"}`);
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CofferdamError("INVALID_ARGUMENT", `${what} is not JSON: ${error instanceof Error ? error.message : ""}`, {
      hint: "restore it from version control",
    });
  }
}

function bounded<T>(items: T[], what: string): T[] {
  if (items.length > MAX_PACKAGES) throw new CofferdamError("PAYLOAD_TOO_LARGE", `${what} names more than ${MAX_PACKAGES} packages`);
  return items;
}

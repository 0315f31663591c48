/** The manifest of a package tarball, gathered entry by entry, and how npm lays its files out. */
import { createHash, type Hash, hash } from "node:crypto";
import { refuse, type TarEntry, type TarHandler } from "../archive/index.ts";
import { CofferdamError } from "../foundation/index.ts";
import { type BundledPackage, type PackageFacts, readPackageFacts } from "./package-facts.ts";
import { packagePath } from "./package-path.ts";

export interface TarballLimits {
  readonly maxUnpackedBytes: number;
  readonly maxEntries: number;
}

export interface TarballFile {
  /** In the archive, without its first folder, as npm strips it. */
  readonly path: string;
  readonly size: number;
  /** SHA-256, base64. */
  readonly sha256: string;
}

/** Plain data: it survives JSON and a message to another thread. */
export interface TarballManifest {
  readonly files: readonly TarballFile[];
  readonly entries: number;
  readonly unpackedBytes: number;
  readonly package: PackageFacts;
  /** What it brings along in its own node_modules, by what the bytes say. */
  readonly bundled: readonly BundledPackage[];
}

const MAX_PACKAGE_JSON: number = 2 * 2 ** 20;
/** All names together. Names are what a manifest keeps in memory; those of the largest honest packages take 1% of this. */
const MAX_NAMES: number = 256 * 2 ** 20;
const EMPTY = Buffer.alloc(0);
/** package.json of a package that the tarball bundles; one deeper in a test folder is nobody's dependency. */
const BUNDLED_MANIFEST = /^((?:node_modules\/(?:@[^/]+\/)?[^/]+\/)+)package\.json$/;
const MAX_BUNDLED = 2000;

/** Gathers entries, and refuses what tar itself allows but a package must not have. */
export class ManifestCollector implements TarHandler {
  readonly #limits: TarballLimits;
  readonly #files: TarballFile[] = [];
  readonly #seen = new Map<string, string>();
  readonly #folders = new Set<string>();
  /** Folder of an ignore file to the folder as the archive writes it. */
  readonly #ignoreFolders = new Map<string, string>();
  #entries = 0;
  #bytes = 0;
  #names = 0;
  #current: TarEntry | undefined;
  #path = "";
  #received = 0;
  #whole: Buffer | undefined;
  #hash: Hash | undefined;
  /** Contents of package.json files by path, those that {@link manifest} reads. */
  readonly #manifests = new Map<string, Buffer[]>();
  #currentManifest: Buffer[] | undefined;

  constructor(limits: TarballLimits) {
    this.#limits = limits;
  }

  entry(entry: TarEntry): void {
    this.#entries += 1;
    this.#names += entry.path.length;
    if (this.#entries > this.#limits.maxEntries || this.#names > MAX_NAMES) throw this.#tooMany("entries");
    this.#bytes += entry.size;
    if (this.#bytes > this.#limits.maxUnpackedBytes) throw tooLarge(this.#limits);
    this.#current = entry;
    this.#path = packagePath(entry.path, entry.type);
    this.#received = 0;
    if (entry.type === "directory") return;
    if ((entry.mode & 0o6000) !== 0) throw refuse("setuid", "a set-user-id or set-group-id file", entry.path);
    if (this.#path === "package.json" || (this.#path.endsWith("/package.json") && BUNDLED_MANIFEST.test(this.#path))) {
      if (entry.size > MAX_PACKAGE_JSON) throw refuse("package-json", `a package.json of ${entry.size} bytes`);
      if (this.#manifests.size > MAX_BUNDLED) throw this.#tooMany("entries");
      this.#currentManifest = [];
      this.#manifests.set(this.#path, this.#currentManifest);
    }
  }

  data(piece: Buffer): void {
    this.#currentManifest?.push(Buffer.from(piece));
    // The usual case, a file in one piece, is hashed in one call; only a split one needs a running hash.
    if (this.#received === 0 && piece.length === this.#current?.size) this.#whole = piece;
    else {
      this.#hash ??= createHash("sha256");
      this.#hash.update(piece);
    }
    this.#received += piece.length;
  }

  end(): void {
    const entry = this.#current;
    if (entry === undefined) return;
    if (entry.type === "directory") this.#directory(this.#path);
    else this.#file(entry, this.#hash === undefined ? hash("sha256", this.#whole ?? EMPTY, "base64") : this.#hash.digest("base64"));
    this.#hash = undefined;
    this.#whole = undefined;
    this.#currentManifest = undefined;
    this.#current = undefined;
  }

  /** What was found. Throws INTEGRITY_FAILURE when there is no sound package.json. */
  manifest(): TarballManifest {
    const own = this.#manifests.get("package.json");
    if (own === undefined) throw refuse("package-json", "no package.json");
    const facts = readPackageFacts(Buffer.concat(own), this.#seen.has("binding.gyp"));
    return { files: this.#files, entries: this.#entries, unpackedBytes: this.#bytes, package: facts, bundled: this.#bundled() };
  }

  #bundled(): BundledPackage[] {
    const bundled: BundledPackage[] = [];
    for (const [path, pieces] of this.#manifests) {
      const folder = BUNDLED_MANIFEST.exec(path)?.[1];
      if (folder === undefined) continue;
      const { name, version, installScripts } = readPackageFacts(Buffer.concat(pieces), this.#seen.has(`${folder}binding.gyp`));
      bundled.push({ path: folder.slice(0, -1), name, version, installScripts });
    }
    return bundled;
  }

  #file(entry: TarEntry, sha256: string): void {
    const path = this.#path;
    const before = this.#seen.get(path);
    if (before !== undefined && before !== sha256) throw refuse("duplicate", "the same name twice with different content", entry.path);
    if (this.#folders.has(path)) throw refuse("duplicate", "a name that is both a file and a folder", entry.path);
    this.#addFolders(path, entry.path);
    if (path.endsWith("ignore")) this.#assertOneIgnoreFolder(path, entry.path);
    if (before !== undefined) return;
    this.#seen.set(path, sha256);
    this.#files.push({ path, size: entry.size, sha256 });
  }

  /** npm matches `.gitignore` with `.npmignore` by the folder as it is written, before it strips and folds anything. */
  #assertOneIgnoreFolder(path: string, raw: string): void {
    if (!/(?:^|\/)\.(?:git|npm)ignore$/.test(path)) return;
    const folder = path.slice(0, path.lastIndexOf("/") + 1);
    const written = raw.slice(0, raw.lastIndexOf("/") + 1);
    const before = this.#ignoreFolders.get(folder);
    if (before !== undefined && before !== written) throw refuse("duplicate", "ignore files whose folder is written in two ways", raw);
    this.#ignoreFolders.set(folder, written);
  }

  #directory(path: string): void {
    if (path === "") return;
    if (this.#seen.has(path)) throw refuse("duplicate", "a name that is both a file and a folder", path);
    this.#addFolders(`${path}/x`, path);
  }

  #addFolders(path: string, shown: string): void {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const folder = path.slice(0, at);
      if (this.#folders.has(folder)) return;
      if (this.#seen.has(folder)) throw refuse("duplicate", "a name that is both a file and a folder", shown);
      this.#folders.add(folder);
      // A path names every folder above it: a few deep entries are enough for millions.
      if (this.#folders.size > this.#limits.maxEntries) throw this.#tooMany("folders");
    }
  }

  #tooMany(what: "entries" | "folders"): CofferdamError {
    const { maxEntries } = this.#limits;
    return new CofferdamError("PAYLOAD_TOO_LARGE", `the archive has more than ${maxEntries} ${what}, or too long names`, {
      details: { kind: "too-many-entries", maxEntries },
    });
  }
}

/**
 * The files as npm lays them out: the order of entries matters, because npm turns `.gitignore` into `.npmignore` unless it
 * has seen an `.npmignore` in the same folder before, and a later entry overwrites an earlier one.
 */
export function installedFiles(manifest: TarballManifest): Map<string, TarballFile> {
  const installed = new Map<string, TarballFile>();
  const ignores = new Set<string>();
  for (const file of manifest.files) {
    let path = file.path;
    if (/(?:^|\/)\.npmignore$/.test(path)) ignores.add(path);
    else if (/(?:^|\/)\.gitignore$/.test(path)) {
      path = path.replace(/\.gitignore$/, ".npmignore");
      if (ignores.has(path)) continue;
    }
    installed.set(path, file);
  }
  return installed;
}

export function tooLarge(limits: TarballLimits): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `the archive unpacks to more than ${limits.maxUnpackedBytes} bytes`, {
    details: { kind: "too-large", maxUnpackedBytes: limits.maxUnpackedBytes },
  });
}

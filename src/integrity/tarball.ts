/**
 * The structure check of an npm package tarball, and what it found: who the package says it is, the scripts an install
 * would run, and every file with its SHA-256. Works on bytes in memory (one pass, no copies) and on files of any size.
 */
import { createHash, type Hash, hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, gunzipSync } from "node:zlib";
import { CofferdamError, errnoOf } from "../foundation/index.ts";
import { type PackageFacts, readPackageFacts } from "./package-facts.ts";
import { refuse, type TarEntry, TarReader } from "./tar-reader.ts";

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

export interface TarballManifest {
  readonly files: readonly TarballFile[];
  readonly entries: number;
  readonly unpackedBytes: number;
  readonly package: PackageFacts;
}

const MAX_PACKAGE_JSON: number = 2 * 2 ** 20;

/** Checks a tarball in memory. Throws INTEGRITY_FAILURE with `details.kind`, PAYLOAD_TOO_LARGE past a limit. */
export function inspectBytes(packed: Uint8Array, limits: TarballLimits): TarballManifest {
  assertGzip(packed);
  const collector = new Collector(limits);
  const reader = new TarReader(collector);
  reader.push(gunzip(packed, limits));
  reader.finish();
  return collector.manifest();
}

/** Checks a tarball in a file, in constant memory but for the list of files. Throws like {@link inspectBytes}. */
export async function inspectFile(path: string, limits: TarballLimits, signal?: AbortSignal): Promise<TarballManifest> {
  const collector = new Collector(limits);
  const reader = new TarReader(collector);
  let first = true;
  let unpacked = 0;
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        unpacked += chunk.length;
        // Headers and padding count too: a bomb may consist of them.
        if (unpacked > unpackedCeiling(limits)) throw tooLarge(limits);
        reader.push(chunk);
        done();
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    },
  });
  const magic = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      if (first) assertGzip(chunk);
      first = false;
      yield chunk;
    }
  };
  try {
    await pipeline(
      createReadStream(path, { highWaterMark: 256 * 1024 }),
      magic,
      createGunzip({ chunkSize: 256 * 1024 }),
      sink,
      ...(signal === undefined ? [] : [{ signal }]),
    );
  } catch (error) {
    throw gzipError(error, limits);
  }
  if (first) throw refuse("not-gzip", "nothing");
  reader.finish();
  return collector.manifest();
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

/** Gathers entries, and refuses what tar itself allows but a package must not have. */
class Collector {
  readonly #limits: TarballLimits;
  readonly #files: TarballFile[] = [];
  readonly #seen = new Map<string, string>();
  readonly #folders = new Set<string>();
  #entries = 0;
  #bytes = 0;
  #current: TarEntry | undefined;
  #path = "";
  #received = 0;
  #whole: Buffer | undefined;
  #hash: Hash | undefined;
  #packageJson: Buffer[] | undefined;
  #facts: PackageFacts | undefined;

  constructor(limits: TarballLimits) {
    this.#limits = limits;
  }

  entry(entry: TarEntry): void {
    this.#entries += 1;
    if (this.#entries > this.#limits.maxEntries) {
      throw new CofferdamError("PAYLOAD_TOO_LARGE", `the archive has more than ${this.#limits.maxEntries} entries`, {
        details: { kind: "too-many-entries", maxEntries: this.#limits.maxEntries },
      });
    }
    this.#bytes += entry.size;
    if (this.#bytes > this.#limits.maxUnpackedBytes) throw tooLarge(this.#limits);
    this.#current = entry;
    this.#path = innerPath(entry);
    this.#received = 0;
    if (entry.type === "directory") return;
    if ((entry.mode & 0o6000) !== 0) throw refuse("setuid", "a set-user-id or set-group-id file", entry.path);
    if (this.#path === "package.json") {
      if (entry.size > MAX_PACKAGE_JSON) throw refuse("package-json", `a package.json of ${entry.size} bytes`);
      this.#packageJson = [];
    }
  }

  data(piece: Buffer): void {
    const size = this.#current?.size ?? 0;
    this.#packageJson?.push(Buffer.from(piece));
    // The usual case, a file in one piece, is hashed in one call; only a split one needs a running hash.
    if (this.#received === 0 && piece.length === size) this.#whole = piece;
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
    this.#current = undefined;
  }

  manifest(): TarballManifest {
    if (this.#facts === undefined) throw refuse("package-json", "no package.json");
    return { files: this.#files, entries: this.#entries, unpackedBytes: this.#bytes, package: this.#facts };
  }

  #file(entry: TarEntry, sha256: string): void {
    const path = this.#path;
    const before = this.#seen.get(path);
    if (before !== undefined && before !== sha256) throw refuse("duplicate", "the same name twice with different content", entry.path);
    if (this.#folders.has(path)) throw refuse("duplicate", "a name that is both a file and a folder", entry.path);
    this.#addFolders(path, entry.path);
    if (this.#packageJson !== undefined) {
      this.#facts = readPackageFacts(Buffer.concat(this.#packageJson), this.#seen.has("binding.gyp"));
      this.#packageJson = undefined;
    } else if (path === "binding.gyp" && this.#facts !== undefined) this.#facts = this.#facts.withBindingGyp();
    if (before !== undefined) return;
    this.#seen.set(path, sha256);
    this.#files.push({ path, size: entry.size, sha256 });
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
    }
  }
}

const EMPTY = Buffer.alloc(0);

/** Path without its first folder, and without the `.` and empty components that an extractor folds away. */
function innerPath(entry: TarEntry): string {
  const slash = entry.path.indexOf("/");
  if (slash < 0) {
    if (entry.type === "directory") return "";
    throw refuse("no-folder", "a file outside of its top folder", entry.path);
  }
  const inner = entry.path
    .slice(slash + 1)
    .split("/")
    .filter((component) => component !== "" && component !== ".")
    .join("/");
  if (inner === "" && entry.type === "file") throw refuse("no-folder", "a file outside of its top folder", entry.path);
  return inner;
}

function gunzip(packed: Uint8Array, limits: TarballLimits): Buffer {
  try {
    return gunzipSync(packed, { maxOutputLength: unpackedCeiling(limits) });
  } catch (error) {
    throw gzipError(error, limits);
  }
}

/** Content plus what tar adds to it; a package of empty files is nearly all headers. */
function unpackedCeiling(limits: TarballLimits): number {
  return Math.min(limits.maxUnpackedBytes + (limits.maxEntries + 2) * 3 * 512, 2 ** 33);
}

function assertGzip(packed: Uint8Array): void {
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) throw refuse("not-gzip", "something other than gzip");
}

function gzipError(error: unknown, limits: TarballLimits): Error {
  if (error instanceof CofferdamError) return error;
  if (error instanceof RangeError || errnoOf(error) === "ERR_BUFFER_TOO_LARGE") return tooLarge(limits);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ABORT_ERR") return new CofferdamError("CANCELLED", "interrupted");
  if (code.startsWith("Z_")) return refuse("gzip", `damaged gzip (${code})`);
  return error instanceof Error ? error : new Error(String(error));
}

function tooLarge(limits: TarballLimits): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `the archive unpacks to more than ${limits.maxUnpackedBytes} bytes`, {
    details: { kind: "too-large", maxUnpackedBytes: limits.maxUnpackedBytes },
  });
}

/**
 * The store of verified tarballs: content by digest, and beside each the facts that the check found (who it is, which
 * scripts, every file with its hash). A tarball is in the store only after its hash and its structure were checked.
 *
 * Layout under the state directory, content as npm's own cache lays it out so that a box can read it in place:
 *     tarballs/<algorithm>/<aa>/<bb>/<rest of the hex digest>
 *     manifests/<aa>/<bb>/<rest of the sha512>      line 1: sha256 of the rest; line 2: summary; line 3: files
 */
import { createHash, hash } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CofferdamError, errnoOf, newId } from "../../foundation/index.ts";
import type { BundledPackage } from "../../integrity/index.ts";
import type { StrongDigest } from "./digest.ts";

/** What the check found out about a tarball, apart from its files. */
export interface TarballSummary {
  readonly name: string;
  readonly version: string;
  /** Names of lifecycle scripts that an install would run; `install` also for an implicit node-gyp build. */
  readonly installScripts: readonly string[];
  /** Packages in its own node_modules, as their package.json in the tarball says. */
  readonly bundled: readonly BundledPackage[];
  /** Executables: command name to file. */
  readonly bin: Readonly<Record<string, string>>;
  /** SHA-512 of the tarball, lower-case hex. */
  readonly sha512: string;
  readonly bytes: number;
  readonly unpackedBytes: number;
}

/** Installed path (as the client lays it out), size in bytes, SHA-256 in base64. */
export type InstalledFile = readonly [path: string, size: number, sha256: string];

/**
 * Records are ours and carry a checksum; these guards only give them a type. (A schema library would be loaded, and take
 * longer than the comparison itself, in every worker thread.)
 */
function isSummary(value: unknown): value is TarballSummary {
  if (typeof value !== "object" || value === null) return false;
  const one: Partial<Record<keyof TarballSummary, unknown>> = value;
  const texts = [one.name, one.version, one.sha512].every((text) => typeof text === "string");
  const numbers = [one.bytes, one.unpackedBytes].every((number) => Number.isSafeInteger(number));
  return texts && numbers && Array.isArray(one.installScripts) && Array.isArray(one.bundled) && typeof one.bin === "object" && one.bin !== null;
}

function isFiles(value: unknown): value is InstalledFile[] {
  return (
    Array.isArray(value) && value.every((one) => Array.isArray(one) && typeof one[0] === "string" && typeof one[1] === "number" && typeof one[2] === "string")
  );
}

const DAY = 86_400_000;

export class TarballStore {
  readonly #root: string;
  readonly #incoming: string;

  /** @param root the state directory. @param incoming folder on the same file system for bytes that are not verified yet. */
  constructor(root: string, incoming: string) {
    this.#root = root;
    this.#incoming = incoming;
  }

  /** Directory that a box gets read-only: verified content and nothing else. */
  get contentRoot(): string {
    return join(this.#root, "tarballs");
  }

  /** A fresh path for bytes that are not verified yet. */
  incomingPath(): string {
    return join(this.#incoming, newId("in"));
  }

  contentPath(digest: StrongDigest): string {
    return join(this.contentRoot, relativeContentPath(digest));
  }

  /** The summary of a tarball with this digest, or undefined when it is not in the store (or its record is damaged). */
  find(digest: StrongDigest): TarballSummary | undefined {
    const sha512 = this.#sha512Of(digest);
    const record = sha512 === undefined ? undefined : this.#record(sha512);
    return record !== undefined && this.#inUse(this.contentPath(digest)) ? record.summary : undefined;
  }

  /**
   * Removes what no run has asked for in so many ms. A run that asks at this very moment fetches again.
   * @returns tarballs removed and their bytes.
   */
  prune(unusedMs: number, now: number): { removed: number; bytes: number } {
    const pruned = { removed: 0, bytes: 0 };
    for (const algorithm of listing(this.contentRoot)) {
      const root = join(this.contentRoot, algorithm);
      for (const first of listing(root)) {
        for (const second of listing(join(root, first))) {
          for (const rest of listing(join(root, first, second))) {
            const path = join(root, first, second, rest);
            const { mtimeMs, size } = statSync(path);
            if (now - mtimeMs <= unusedMs) continue;
            const hex = first + second + rest;
            // The record first: content without one is not in the store, a record without content would say that it is.
            rmSync(algorithm === "sha512" ? this.#manifestPath(hex) : join(this.#root, "manifests", algorithm, segments(hex)), { force: true });
            rmSync(path, { force: true });
            if (algorithm === "sha512") {
              pruned.removed += 1;
              pruned.bytes += size;
            }
          }
          removeEmpty(join(root, first, second));
        }
        removeEmpty(join(root, first));
      }
    }
    return pruned;
  }

  /** Files of a stored tarball. Throws when it is not there; ask {@link find} first. */
  files(sha512: string): InstalledFile[] {
    const record = this.#record(sha512);
    if (record === undefined) throw new Error(`no manifest of sha512 ${sha512.slice(0, 16)}`);
    const files: unknown = JSON.parse(record.files);
    if (!isFiles(files))
      throw new CofferdamError("INTEGRITY_FAILURE", `the record of tarball ${sha512.slice(0, 16)} is damaged`, {
        hint: "delete the state directory's manifests folder; it is made again",
      });
    return files;
  }

  /** Takes verified bytes in. `wanted` is the digest that the lockfile names; it becomes a second name when it is not sha512. */
  put(
    content: { readonly bytes: Uint8Array } | { readonly path: string },
    wanted: StrongDigest,
    summary: TarballSummary,
    files: readonly InstalledFile[],
  ): void {
    const own: StrongDigest = { algorithm: "sha512", hex: summary.sha512 };
    const target = this.contentPath(own);
    mkdirSync(dirname(target), { recursive: true });
    const incoming = "path" in content ? content.path : this.incomingPath();
    if ("bytes" in content) writeFileSync(incoming, content.bytes, { mode: 0o444, flag: "wx" });
    renameSync(incoming, target);
    if (wanted.algorithm !== "sha512") this.#alias(target, wanted, summary.sha512);
    this.#writeRecord(this.#manifestPath(summary.sha512), `${JSON.stringify(summary)}\n${JSON.stringify(files)}`);
  }

  /** Forgets a tarball whose content turned out to be damaged. */
  drop(digest: StrongDigest): void {
    const sha512 = this.#sha512Of(digest);
    if (sha512 !== undefined) {
      rmSync(this.#manifestPath(sha512), { force: true });
      rmSync(this.contentPath({ algorithm: "sha512", hex: sha512 }), { force: true });
    }
    rmSync(this.contentPath(digest), { force: true });
  }

  /** False when there is no such content. Its time of change is when it was last asked for, to the day. */
  #inUse(path: string): boolean {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    const now = Date.now();
    if (now - stat.mtimeMs > DAY) utimesSync(path, stat.atimeMs / 1000, now / 1000);
    return true;
  }

  #alias(target: string, wanted: StrongDigest, sha512: string): void {
    const second = this.contentPath(wanted);
    mkdirSync(dirname(second), { recursive: true });
    rmSync(second, { force: true });
    linkSync(target, second);
    this.#writeRecord(this.#aliasPath(wanted), sha512);
  }

  /** A record with a checksum in its first line: a torn write after a crash reads as "not there". */
  #writeRecord(path: string, text: string): void {
    mkdirSync(dirname(path), { recursive: true });
    const incoming = this.incomingPath();
    writeFileSync(incoming, `${checksum(text)}\n${text}`, { mode: 0o600, flag: "wx" });
    renameSync(incoming, path);
  }

  #readRecord(path: string): string | undefined {
    let whole: string;
    try {
      whole = readFileSync(path, "utf8");
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
    const end = whole.indexOf("\n");
    const text = whole.slice(end + 1);
    return end > 0 && whole.slice(0, end) === checksum(text) ? text : undefined;
  }

  #record(sha512: string): { summary: TarballSummary; files: string } | undefined {
    const text = this.#readRecord(this.#manifestPath(sha512));
    if (text === undefined) return undefined;
    const end = text.indexOf("\n");
    const summary: unknown = JSON.parse(text.slice(0, end));
    // A record of an older layout is as good as none: the tarball is checked again.
    return isSummary(summary) ? { summary, files: text.slice(end + 1) } : undefined;
  }

  #sha512Of(digest: StrongDigest): string | undefined {
    return digest.algorithm === "sha512" ? digest.hex : this.#readRecord(this.#aliasPath(digest));
  }

  #manifestPath(sha512: string): string {
    return join(this.#root, "manifests", segments(sha512));
  }

  #aliasPath(digest: StrongDigest): string {
    return join(this.#root, "manifests", digest.algorithm, segments(digest.hex));
  }
}

/** `sha512/ab/cd/ef...`, the same in the store and in a client's cache. */
export function relativeContentPath(digest: StrongDigest): string {
  return join(digest.algorithm, segments(digest.hex));
}

function listing(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Something is in it, or came just now.
  }
}

function segments(hex: string): string {
  return join(hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
}

function checksum(text: string): string {
  return text.length < 1 << 20 ? hash("sha256", text, "hex") : createHash("sha256").update(text).digest("hex");
}

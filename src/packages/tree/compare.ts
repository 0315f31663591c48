/**
 * Compares one installed unit (a top-level package folder with everything nested in it) with the verified tarballs:
 * every file must be one of theirs with the same SHA-256, and every one of theirs must be there. Synchronous, for a worker.
 */
import { createHash, hash } from "node:crypto";
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { errnoOf } from "../../foundation/index.ts";
import type { InstalledFile } from "../gate/tarball-store.ts";
import type { Difference, TreePackage, TreeUnit, UnitResult } from "./unit.ts";

/** Files up to this size are read in one go into a buffer that is used again and again. */
const ONE_READ: number = 4 * 2 ** 20;
/** Differences listed; the rest are counted. */
const MAX_LISTED = 50;
const MAX_DEPTH = 64;

/** Paths from the project's root: files with size and hash, links with where they lead. */
interface Expected {
  readonly files: Map<string, InstalledFile>;
  readonly links: ReadonlyMap<string, string>;
}

export class UnitComparer {
  readonly #root: string;
  readonly #filesOf: (sha512: string) => readonly InstalledFile[];
  readonly #buffer: Buffer = Buffer.allocUnsafe(ONE_READ + 1);

  /** @param root the project's real path. @param filesOf files of a verified tarball by its SHA-512. */
  constructor(root: string, filesOf: (sha512: string) => readonly InstalledFile[]) {
    this.#root = root;
    this.#filesOf = filesOf;
  }

  compare(unit: TreeUnit): UnitResult {
    const found = new Findings(new Set(unit.touched));
    const expected = this.#expected(unit, found);
    const links = new Map(unit.outputs?.links);
    // A link in place of a file of the tarball.
    for (const path of links.keys()) expected.delete(path);
    if (existsSync(join(this.#root, unit.path))) this.#walk(unit.path, { files: expected, links }, found, 0);
    for (const path of expected.keys()) found.differs(path, "missing");
    return found.result();
  }

  /** Path (from the project's root) to size and hash, of everything that may and must be there. */
  #expected(unit: TreeUnit, found: Findings): Map<string, InstalledFile> {
    const expected = new Map<string, InstalledFile>();
    let bundles = false;
    for (const entry of unit.packages) {
      if (!existsSync(join(this.#root, entry.path))) {
        if (!entry.mayBeAbsent) found.differs(entry.path, "missing");
        else found.absent.push(entry.path);
        continue;
      }
      if (entry.sha512 === undefined) continue;
      // What an outer tarball bundles at this place was replaced by the package itself.
      if (bundles) dropBelow(expected, `${entry.path}/`);
      for (const file of this.#filesOf(entry.sha512)) {
        expected.set(`${entry.path}/${file[0]}`, file);
        bundles ||= file[0].includes("node_modules/");
      }
    }
    for (const file of unit.outputs?.files ?? []) expected.set(file[0], file);
    for (const path of unit.outputs?.removed ?? []) expected.delete(path);
    return expected;
  }

  #walk(path: string, expected: Expected, found: Findings, depth: number): void {
    if (depth > MAX_DEPTH) {
      found.differs(path, "too-deep");
      return;
    }
    for (const entry of readdirSync(join(this.#root, path), { withFileTypes: true })) {
      const child = `${path}/${entry.name}`;
      if (entry.isDirectory()) this.#walk(child, expected, found, depth + 1);
      else if (entry.isFile()) this.#file(child, expected.files, found);
      else if (entry.isSymbolicLink() && path.endsWith("node_modules/.bin") && this.isBinLink(child)) found.links += 1;
      else if (entry.isSymbolicLink() && readlinkSync(join(this.#root, child)) === expected.links.get(child)) found.links += 1;
      else found.differs(child, entry.isSymbolicLink() ? "link" : "special");
    }
  }

  #file(path: string, expected: Map<string, InstalledFile>, found: Findings): void {
    const want = expected.get(path);
    if (want === undefined) {
      found.differs(path, "extra");
      return;
    }
    expected.delete(path);
    found.files += 1;
    found.bytes += want[1];
    const difference = this.#differs(join(this.#root, path), want);
    if (difference !== undefined) found.differs(path, difference);
  }

  #differs(path: string, [, size, sha256]: InstalledFile): Difference["kind"] | undefined {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      return errnoOf(error) === "ELOOP" ? "link" : "unreadable";
    }
    try {
      if (size > ONE_READ) return fstatSync(fd).size === size && hashLarge(fd, this.#buffer) === sha256 ? undefined : "changed";
      // One byte more than expected, so that a longer file shows without asking for its size.
      const length = readSync(fd, this.#buffer, 0, size + 1, 0);
      const bytes = this.#buffer.subarray(0, length);
      if (length === size && hash("sha256", bytes, "base64") === sha256) return undefined;
      return length === size - 1 && withCarriageReturn(bytes, sha256) ? undefined : "changed";
    } finally {
      closeSync(fd);
    }
  }

  /** A command link must be relative and stay inside the project. */
  isBinLink(path: string): boolean {
    const target = readlinkSync(join(this.#root, path));
    return !target.startsWith("/") && resolve(this.#root, dirname(path), target).startsWith(`${this.#root}/`);
  }
}

/** npm turns `#!...\r\n` of an executable into `#!...\n`: with the carriage return put back the hash must be right. */
function withCarriageReturn(bytes: Buffer, sha256: string): boolean {
  const end = bytes.indexOf(0x0a);
  if (end < 2 || bytes[0] !== 0x23 || bytes[1] !== 0x21) return false;
  const original = Buffer.concat([bytes.subarray(0, end), Buffer.from("\r"), bytes.subarray(end)]);
  return hash("sha256", original, "base64") === sha256;
}

function hashLarge(fd: number, buffer: Buffer): string {
  const digest = createHash("sha256");
  for (let position = 0; ; ) {
    const length = readSync(fd, buffer, 0, buffer.length, position);
    if (length === 0) return digest.digest("base64");
    digest.update(buffer.subarray(0, length));
    position += length;
  }
}

function dropBelow(expected: Map<string, InstalledFile>, prefix: string): void {
  for (const path of expected.keys()) if (path.startsWith(prefix)) expected.delete(path);
}

class Findings {
  readonly absent: string[] = [];
  files = 0;
  bytes = 0;
  links = 0;
  #count = 0;
  readonly #listed: Difference[] = [];
  readonly #touched: ReadonlySet<string>;

  /** @param touched paths where a difference is none. */
  constructor(touched: ReadonlySet<string>) {
    this.#touched = touched;
  }

  differs(path: string, kind: Difference["kind"]): void {
    if (this.#touched.has(path)) return;
    this.#count += 1;
    if (this.#listed.length < MAX_LISTED) this.#listed.push({ path, kind });
  }

  result(): UnitResult {
    return { files: this.files, bytes: this.bytes, absent: this.absent, differences: this.#listed, differenceCount: this.#count };
  }
}

/** Packages of a unit, outermost first, so that a nested package replaces what an outer one bundles. */
export function outermostFirst(packages: readonly TreePackage[]): TreePackage[] {
  return [...packages].sort((a, b) => a.path.length - b.path.length || (a.path < b.path ? -1 : 1));
}

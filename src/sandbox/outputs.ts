/**
 * Takes over what a jail wrote on its stage. Nothing runs there any more, but every name and every byte is still hostile:
 * only files, folders and links that stay inside come back, each new file replaces the old one by name (so that a hard link
 * into a package store is broken, never written through), and nothing is followed.
 */
import {
  closeSync,
  constants,
  type Dirent,
  fchmodSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CofferdamError, errnoOf } from "../foundation/index.ts";
import type { TreeOutput, WritableTree } from "./jail-types.ts";

const PIECE = 1 << 20;
const MAX_DEPTH = 128;
const MAX_REFUSED = 200;
/** A name of ours while a file is written; it is never left behind. */
const TEMPORARY = ".cofferdam-output";

/** @param place the staged copy as we see it. Throws INTERNAL when the host's tree cannot be written. */
export function takeOver(tree: WritableTree, place: string): TreeOutput {
  const owner = lstatSync(tree.path);
  return new Taking(tree, place, owner).run();
}

class Taking {
  readonly #tree: WritableTree;
  readonly #place: string;
  readonly #owner: Stats;
  readonly #except: ReadonlySet<string>;
  readonly #written: string[] = [];
  readonly #removed: string[] = [];
  readonly #refused: { path: string; why: string }[] = [];
  readonly #buffer: Buffer = Buffer.allocUnsafe(PIECE);

  constructor(tree: WritableTree, place: string, owner: Stats) {
    this.#tree = tree;
    this.#place = place;
    this.#owner = owner;
    this.#except = new Set(tree.except);
  }

  run(): TreeOutput {
    this.#folder("", 0);
    return { path: this.#tree.path, written: this.#written, removed: this.#removed, refused: this.#refused };
  }

  #folder(path: string, depth: number): void {
    if (depth > MAX_DEPTH) {
      this.#refuse(path, "too deep");
      return;
    }
    const staged = readdirSync(join(this.#place, path), { withFileTypes: true });
    const names = new Set(staged.map((entry) => entry.name));
    for (const { name } of readdirSync(join(this.#tree.path, path), { withFileTypes: true })) {
      const gone = path === "" ? name : `${path}/${name}`;
      if (names.has(name) || this.#except.has(gone) || this.#leadsToException(gone) || !this.#wasStaged(gone)) continue;
      if (this.#changedMeanwhile(gone) || this.#isSpecial(gone)) continue;
      rmSync(join(this.#tree.path, gone), { recursive: true, force: true });
      this.#removed.push(gone);
    }
    for (const entry of staged) {
      const child = path === "" ? entry.name : `${path}/${entry.name}`;
      try {
        this.#entry(child, entry, depth);
      } catch (error) {
        // A name that is not UTF-8, a path that is too long, a folder that its owner closed: the script's loss and nobody else's.
        if (!this.#isOfStage(error)) throw error;
        this.#refuse(child, `cannot be read (${errnoOf(error) ?? "unknown"})`);
      }
    }
  }

  /** True for what the system said about a path on the stage, or its length; about the host's own files it is our failure. */
  #isOfStage(error: unknown): boolean {
    if (errnoOf(error) === "ENAMETOOLONG") return true;
    return error instanceof Error && "path" in error && typeof error.path === "string" && error.path.startsWith(`${this.#place}/`);
  }

  #leadsToException(path: string): boolean {
    for (const except of this.#except) if (except.startsWith(`${path}/`)) return true;
    return false;
  }

  /** A socket, FIFO or device of the host: never copied, so neither removed nor replaced by anything that was. */
  #isSpecial(path: string): boolean {
    const stat = lstatSync(join(this.#tree.path, path), { throwIfNoEntry: false });
    return stat !== undefined && !stat.isFile() && !stat.isDirectory() && !stat.isSymbolicLink();
  }

  /** What was never copied cannot have been removed. */
  #wasStaged(path: string): boolean {
    const { only } = this.#tree;
    return only === undefined || only.some((one) => path === one || path.startsWith(`${one}/`));
  }

  #entry(path: string, entry: Dirent, depth: number): void {
    if (entry.name === TEMPORARY) {
      this.#refuse(path, "a name of ours");
      return;
    }
    if (this.#except.has(path)) {
      if (lstatSync(join(this.#tree.path, path), { throwIfNoEntry: false }) === undefined) this.#refuse(path, "may not be made here");
      return;
    }
    if (this.#isSpecial(path)) {
      this.#refuse(path, "a socket, FIFO or device of yours is there");
      return;
    }
    // Whoever runs git there later would run what stands in it.
    if (entry.name.toLowerCase() === ".git" && lstatSync(join(this.#tree.path, path), { throwIfNoEntry: false }) === undefined) {
      this.#refuse(path, "a planted git folder");
      return;
    }
    const before = lstatSync(join(this.#tree.path, path), { throwIfNoEntry: false });
    if (before !== undefined && !(before.isDirectory() && entry.isDirectory()) && this.#changedMeanwhile(path)) {
      // The copy is older: only a file that the jail wrote as well is worth a word.
      if (lstatSync(join(this.#place, path)).mtimeMs > (this.#tree.since ?? 0)) this.#refuse(path, "it was changed outside meanwhile");
      return;
    }
    if (entry.isDirectory()) {
      if (before?.isDirectory() !== true) this.#makeFolder(path, before);
      this.#folder(path, depth + 1);
    } else if (entry.isFile()) this.#file(path, before);
    else if (entry.isSymbolicLink()) this.#link(path, before);
    else this.#refuse(path, "not a file, folder or link");
  }

  /** Anything in it counts. */
  #changedMeanwhile(path: string): boolean {
    const { since } = this.#tree;
    if (since === undefined) return false;
    const open = [join(this.#tree.path, path)];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const stat = lstatSync(at, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (stat.ctimeMs > since) return true;
      if (stat.isDirectory()) for (const name of readdirSync(at)) open.push(join(at, name));
    }
    return false;
  }

  #makeFolder(path: string, before: Stats | undefined): void {
    const target = join(this.#tree.path, path);
    if (before !== undefined) rmSync(target);
    mkdirSync(target, { mode: lstatSync(join(this.#place, path)).mode & 0o777 });
    this.#own(target);
    this.#written.push(`${path}/`);
  }

  #file(path: string, before: Stats | undefined): void {
    const from = openSync(join(this.#place, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const now = fstatSync(from);
      if (!now.isFile()) {
        this.#refuse(path, "not a file");
        return;
      }
      if ((now.mode & 0o6000) !== 0) {
        this.#refuse(path, "a set-user-id or set-group-id bit");
        return;
      }
      if (before?.isFile() === true && before.size === now.size && before.mtimeMs === now.mtimeMs && (before.mode & 0o777) === (now.mode & 0o777)) return;
      const objection = this.#tree.accept?.({ path, read: () => readSmall(from, now.size) });
      if (objection !== undefined) {
        this.#refuse(path, objection);
        return;
      }
      const target = join(this.#tree.path, path);
      if (before?.isDirectory() === true) rmSync(target, { recursive: true });
      const temporary = join(dirname(target), TEMPORARY);
      rmSync(temporary, { force: true });
      const to = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
      try {
        this.#copy(from, to, now.size);
        fchmodSync(to, now.mode & 0o777);
      } finally {
        closeSync(to);
      }
      this.#own(temporary, before);
      renameSync(temporary, target);
      this.#written.push(path);
    } finally {
      closeSync(from);
    }
  }

  #copy(from: number, to: number, size: number): void {
    for (let done = 0; done < size; ) {
      const length = readSync(from, this.#buffer, 0, PIECE, done);
      if (length === 0) return;
      // On a full disk a write comes back short, without an error.
      if (writeSync(to, this.#buffer, 0, length, done) !== length)
        throw new CofferdamError("RESOURCE_EXHAUSTED", `no space for the outputs in ${this.#tree.path}`);
      done += length;
    }
  }

  #link(path: string, before: Stats | undefined): void {
    const target = join(this.#tree.path, path);
    const leadsTo = readlinkSync(join(this.#place, path));
    if (!staysInside(this.#tree.path, dirname(target), leadsTo)) {
      // A link that was there before is the host's own and stays.
      if (before?.isSymbolicLink() === true && readlinkSync(target) === leadsTo) return;
      this.#refuse(path, "a link out of the tree");
      return;
    }
    if (before?.isSymbolicLink() === true && readlinkSync(target) === leadsTo) return;
    const objection = this.#tree.accept?.({ path, read: () => Buffer.from(leadsTo) });
    if (objection !== undefined) {
      this.#refuse(path, objection);
      return;
    }
    if (before !== undefined) rmSync(target, { recursive: true });
    symlinkSync(leadsTo, target);
    this.#own(target);
    this.#written.push(path);
  }

  /** Only root writes for somebody else; everybody else's files are their own. */
  #own(path: string, { uid, gid }: Pick<Stats, "uid" | "gid"> = this.#owner): void {
    if (process.geteuid?.() === 0) lchownSync(path, uid, gid);
  }

  #refuse(path: string, why: string): void {
    if (this.#refused.length < MAX_REFUSED) this.#refused.push({ path, why });
  }
}

/**
 * True when a link in `folder` cannot lead out of `root`. `..` may only stand in front: after a name it would mean the parent
 * of wherever that name leads, which text does not tell.
 */
function staysInside(root: string, folder: string, leadsTo: string): boolean {
  const parts = leadsTo.split("/").filter((part) => part !== "" && part !== ".");
  const names = parts.findIndex((part) => part !== "..");
  if (names >= 0 && parts.lastIndexOf("..") > names) return false;
  const resolved = resolve(folder, leadsTo);
  return resolved === root || resolved.startsWith(`${root}/`);
}

const MAX_SMALL: number = 1 << 20;

function readSmall(fd: number, size: number): Buffer {
  if (size > MAX_SMALL) throw new CofferdamError("RESOURCE_EXHAUSTED", `a file of ${size} bytes where a small one is expected`);
  const bytes = Buffer.alloc(size);
  return bytes.subarray(0, readSync(fd, bytes, 0, size, 0));
}

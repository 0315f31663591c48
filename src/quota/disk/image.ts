/**
 * A workspace of limited size: a sparse file with an ext4 of our making, mounted nosuid and nodev. The kernel holds the limit,
 * for bytes and for files. Where it cannot be had, a plain folder, whose size is watched instead.
 */
import { chownSync, closeSync, existsSync, ftruncateSync, lstatSync, mkdirSync, openSync, rmdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { CofferdamError, errnoOf, makeFolder, messageOf, programPath, runCommand, wrapError } from "../../foundation/index.ts";
import { mountsAt } from "./mounted.ts";

/** `noinit_itable`: nothing writes the unused inode tables in the background. */
const MOUNT_OPTIONS = "loop,nosuid,nodev,noatime,noinit_itable";
/** For a watched one of millions of files, ms. */
const REMOVE_TIMEOUT = 600_000;
const LOOP_CONTROL = "/dev/loop-control";

export interface WorkspaceOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface MadeWorkspace {
  /** The folder to hand to the job. */
  readonly path: string;
  /** `enforced` by the kernel, or `watched` because of `why`. */
  readonly enforcement: "enforced" | "watched";
  readonly why?: string | undefined;
}

/** Places of one job inside the folder of all of them. */
export interface WorkspacePlaces {
  readonly folder: string;
  readonly image: string;
  readonly root: string;
}

export function placesOf(folder: string, jobId: string): WorkspacePlaces {
  const own = join(folder, jobId);
  return { folder: own, image: join(own, "image"), root: join(own, "root") };
}

/** Makes the folder of all workspaces, and refuses one that others could reach into. Throws FAILED_PRECONDITION, ENVIRONMENT_UNFIT. */
export function prepareFolder(folder: string): void {
  try {
    makeFolder(folder, 0o700);
  } catch (error) {
    throw wrapError(error, "ENVIRONMENT_UNFIT", "the folder of workspaces cannot be made");
  }
  const stat = lstatSync(folder);
  if (!stat.isDirectory() || stat.uid !== process.geteuid?.() || (stat.mode & 0o077) !== 0)
    throw new CofferdamError("FAILED_PRECONDITION", `the folder of workspaces must be ours alone (mode 0700): ${folder}`, { hint: `chmod 0700 ${folder}` });
}

/** What a limit of the kernel's lacks here, or undefined. */
export function whyWatched(): string | undefined {
  if (process.geteuid?.() !== 0) return "only root may mount";
  if (!existsSync(LOOP_CONTROL)) return "there are no loop devices";
  const missing = ["mkfs.ext4", "mount", "umount"].find((name) => programPath(name) === undefined);
  return missing === undefined ? undefined : `${missing} is not installed`;
}

/** Throws CONFLICT when it is there already; RESOURCE_EXHAUSTED on a full disk. What was made is taken away again on failure. */
export async function makeWorkspace(places: WorkspacePlaces, bytes: number, owner: WorkspaceOwner): Promise<MadeWorkspace> {
  try {
    mkdirSync(places.folder, { mode: 0o700 });
    mkdirSync(places.root, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === "EEXIST") throw new CofferdamError("CONFLICT", `there is a workspace already: ${places.folder}`);
    throw wrapError(error, "INTERNAL", "a workspace cannot be made");
  }
  const why = whyWatched() ?? (await mountImage(places, bytes, owner));
  if (why === undefined) return { path: places.root, enforcement: "enforced" };
  if (process.geteuid?.() === 0) chownSync(places.root, owner.uid, owner.gid);
  return { path: places.root, enforcement: "watched", why };
}

/** @returns why it did not work, or undefined. */
async function mountImage({ image, root }: WorkspacePlaces, bytes: number, { uid, gid }: WorkspaceOwner): Promise<string | undefined> {
  try {
    const file = openSync(image, "wx", 0o600);
    try {
      ftruncateSync(file, bytes);
    } finally {
      closeSync(file);
    }
    // No journal: after a crash the workspace is thrown away. nodiscard: the file is sparse already.
    const extended = `lazy_itable_init=1,nodiscard,root_owner=${uid}:${gid}`;
    await runCommand("mkfs.ext4", ["-q", "-F", "-m", "0", "-O", "^has_journal", "-E", extended, image]);
    await runCommand("mount", ["-t", "ext4", "-o", MOUNT_OPTIONS, image, root]);
    rmdirSync(join(root, "lost+found"));
    return undefined;
  } catch (error) {
    // A limit that cannot be enforced here is watched, and said to be; a full disk is nothing that watching helps.
    if (mountsAt(root).length > 0) await runCommand("umount", ["--lazy", root]);
    rmSync(image, { force: true });
    const full = isFull(error);
    if (full !== undefined) throw full;
    return messageOf(error).slice(0, 300);
  }
}

function isFull(error: unknown): CofferdamError | undefined {
  const wrapped = wrapError(error, "INTERNAL", "a workspace cannot be made");
  if (wrapped.code === "RESOURCE_EXHAUSTED") return wrapped;
  if (!/No space left|quota exceeded/i.test(String(wrapped.details["stderr"]))) return undefined;
  return new CofferdamError("RESOURCE_EXHAUSTED", "a workspace cannot be made: the disk is full", { cause: error });
}

/**
 * Takes a workspace away, with everything in it. Idempotent. @returns `lingering` when something still uses it: it is out of
 * reach, and its space comes back when that ends.
 */
export async function removeWorkspace({ folder, image, root }: WorkspacePlaces): Promise<{ readonly lingering: boolean }> {
  let lingering = false;
  for (let mounts = mountsAt(root).length; mounts > 0; mounts--) {
    try {
      await runCommand("umount", [root]);
    } catch {
      lingering = true;
      await runCommand("umount", ["--lazy", root]);
    }
  }
  rmSync(image, { force: true });
  // A watched one is a tree of the job's, which may still change it: rm goes by descriptors and cannot be led elsewhere.
  await runCommand("rm", ["-rf", "--one-file-system", "--", folder], { timeout: REMOVE_TIMEOUT });
  return { lingering };
}

export interface WorkspaceUsage {
  readonly used: number;
  readonly size: number;
}

/** Of an enforced one, from its file system: nothing is walked. Undefined when nothing is mounted. */
export function enforcedUsage({ root }: WorkspacePlaces): WorkspaceUsage | undefined {
  if (mountsAt(root).length === 0) return undefined;
  const { blocks, bfree, bavail, bsize } = statfsSync(root);
  const used = (blocks - bfree) * bsize;
  // ext4 keeps some free blocks to itself: nobody can write them, so they are not part of the size.
  return { used, size: used + bavail * bsize };
}

/** Bytes that an image takes of the host's disk now. */
export function bytesOnHost({ image }: WorkspacePlaces): number {
  return (statSync(image, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}

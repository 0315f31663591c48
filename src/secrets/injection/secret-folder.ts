/**
 * The secrets of one job: files in a file system in memory, mounted in a folder that nobody but root can enter. Its container
 * sees that folder read-only, so that files can still come and go while it runs. Nothing of it is ever on a disk: the file
 * system is without swap, and it is mounted from outside, so that no layer, commit or export of the container has it.
 */
import { closeSync, constants, fchownSync, fstatSync, mkdirSync, openSync, readdirSync, unlinkSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CofferdamError, errnoOf, messageOf } from "../../foundation/index.ts";
import { MAX_VALUE } from "../inputs.ts";

/** What mounts for us; it has the rights to. */
export interface MemoryMounts {
  /** An empty file system in memory on a folder. `noSwap`: the kernel promises that its pages stay in memory (Linux 6.4). */
  mount(target: string, size: { readonly bytes: number; readonly inodes: number }): Promise<{ readonly noSwap: boolean }>;
  /** Nothing mounted there is fine. */
  release(target: string): Promise<void>;
}

/** As this host counts them. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Files of one job. */
export const MOST_SECRETS = 64;
/** Each file takes whole pages; the folder takes an inode too. */
const SIZE = { bytes: (MOST_SECRETS + 1) * MAX_VALUE, inodes: MOST_SECRETS + 8 };
const ZEROS: Uint8Array = new Uint8Array(MAX_VALUE);

/** A file's name in the job: no path, nothing hidden. */
export const secretFileName: z.ZodType<string> = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, "a secret's name in the job is letters, digits, _ . -, at most 128, and begins with none of . -");

export class SecretFolder {
  /** On the host. */
  readonly path: string;
  /** False: its pages may come to lie in swap, should this host get any. */
  readonly noSwap: boolean;
  readonly #mounts: MemoryMounts;
  readonly #names = new Set<string>();
  #owner: Owner | undefined;
  #open = true;

  private constructor(path: string, noSwap: boolean, mounts: MemoryMounts) {
    this.path = path;
    this.noSwap = noSwap;
    this.#mounts = mounts;
  }

  /**
   * @param path which must not exist; its parent is root's alone (0700).
   * @param mayBeSwapped accepts a kernel that cannot keep memory out of swap. Without it ENVIRONMENT_UNFIT, unless there is none.
   * @param swaps the kernel's list of its swap.
   */
  static async open(path: string, mounts: MemoryMounts, mayBeSwapped: boolean, swaps = "/proc/swaps"): Promise<SecretFolder> {
    mkdirSync(path, { mode: 0o755 });
    const { noSwap } = await mounts.mount(path, SIZE);
    const folder = new SecretFolder(path, noSwap, mounts);
    if (noSwap || mayBeSwapped || !(await hasSwap(swaps))) return folder;
    await folder.close();
    throw new CofferdamError("ENVIRONMENT_UNFIT", "secrets could come to lie in swap: this host has swap, and its kernel has no memory without (Linux 6.4)", {
      hint: "swapoff -a, or a newer kernel",
    });
  }

  /** Names of what is there. */
  get names(): readonly string[] {
    return [...this.#names];
  }

  /** Readable by root alone until {@link giveTo}. Throws CONFLICT for a name that is there, PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED. */
  put(name: string, value: Uint8Array): void {
    if (!this.#open) throw new CofferdamError("FAILED_PRECONDITION", "the secrets of this job were taken away already");
    if (!secretFileName.safeParse(name).success) throw new CofferdamError("INVALID_ARGUMENT", `not a name of a file: ${JSON.stringify(name.slice(0, 80))}`);
    if (value.length > MAX_VALUE) throw new CofferdamError("PAYLOAD_TOO_LARGE", `secret ${name} has ${value.length} bytes; at most ${MAX_VALUE}`);
    if (this.#names.size >= MOST_SECRETS) throw new CofferdamError("RESOURCE_EXHAUSTED", `a job has at most ${MOST_SECRETS} secrets`);
    try {
      const file = openSync(join(this.path, name), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o400);
      this.#names.add(name);
      try {
        for (let done = 0; done < value.length; ) done += writeSync(file, value, done);
        if (this.#owner !== undefined) fchownSync(file, this.#owner.uid, this.#owner.gid);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw new CofferdamError("CONFLICT", `the job has a secret named ${name} already`, { cause: error });
      throw new CofferdamError("INTERNAL", `secret ${name} cannot be written: ${messageOf(error)}`, { cause: error });
    }
  }

  /** From now on who may read them: what is there, and what comes. */
  giveTo(owner: Owner): void {
    this.#owner = owner;
    for (const name of this.#names) {
      const file = openSync(join(this.path, name), constants.O_WRONLY | constants.O_NOFOLLOW);
      try {
        fchownSync(file, owner.uid, owner.gid);
      } finally {
        closeSync(file);
      }
    }
  }

  /** Overwritten and gone. @returns false when it was not there. */
  take(name: string): boolean {
    if (!this.#names.delete(name)) return false;
    wipe(join(this.path, name));
    return true;
  }

  /** All of it; idempotent. The container may still stand: it then sees an empty folder. */
  async close(): Promise<void> {
    if (!this.#open) return;
    wipeFolder(this.path);
    await this.#mounts.release(this.path);
    this.#open = false;
    this.#names.clear();
  }
}

/** Overwrites and removes the files of such a folder, also of one whose process was killed. No folder is fine. */
export function wipeFolder(path: string): void {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isFile()) wipe(join(path, entry.name));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

function wipe(path: string): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    const { size } = fstatSync(file);
    for (let at = 0; at < size; ) at += writeSync(file, ZEROS, 0, Math.min(size - at, ZEROS.length), at);
  } finally {
    closeSync(file);
  }
  unlinkSync(path);
}

async function hasSwap(list: string): Promise<boolean> {
  // The first line is its head.
  return (await readFile(list, "utf8")).trimEnd().split("\n").length > 1;
}

/**
 * How much a tree takes on the disk. The tree belongs to somebody who may change it meanwhile, so every folder is entered by
 * its descriptor: no link is followed and no path gets too long. Bounded in entries, depth and time; a count that was cut
 * says so and is then a lower bound.
 */
import { closeSync, constants, type Dir, lstatSync, opendirSync, openSync } from "node:fs";
import { setImmediate as otherWork } from "node:timers/promises";

export interface TreeSize {
  readonly bytes: number;
  readonly entries: number;
  /** False when a bound was met or a folder could not be read: there may be more. */
  readonly complete: boolean;
}

export interface WalkLimits {
  readonly entries: number;
  readonly depth: number;
  /** Milliseconds. */
  readonly time: number;
}

const DEFAULTS: WalkLimits = { entries: 2_000_000, depth: 256, time: 10_000 };
/** Entries between two pauses for the event loop. */
const AT_ONCE = 200;

/** Bytes in blocks of a tree (or of one file; of none, nothing), files with several names once. Never throws: what cannot be read makes it incomplete. */
export async function sizeOfTree(root: string, limits: Partial<WalkLimits> = {}): Promise<TreeSize> {
  return await new Walk({ ...DEFAULTS, ...limits }).run(root);
}

class Walk {
  readonly #limits: WalkLimits;
  readonly #started = performance.now();
  /** Files with several names, by device and inode. */
  readonly #linked = new Set<string>();
  #bytes = 0;
  #entries = 0;
  #complete = true;

  constructor(limits: WalkLimits) {
    this.#limits = limits;
  }

  async run(root: string): Promise<TreeSize> {
    const stat = lstatSync(root, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) await this.#folder(root, 0);
    else this.#bytes = (stat?.blocks ?? 0) * 512;
    return { bytes: this.#bytes, entries: this.#entries, complete: this.#complete };
  }

  async #folder(path: string, depth: number): Promise<void> {
    const opened = depth > this.#limits.depth ? undefined : open(path);
    if (opened === undefined) {
      this.#complete = false;
      return;
    }
    const { descriptor, folder, base } = opened;
    try {
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        if (this.#entries >= this.#limits.entries || performance.now() - this.#started > this.#limits.time) {
          this.#complete = false;
          return;
        }
        if (++this.#entries % AT_ONCE === 0) await otherWork();
        const child = `${base}/${entry.name}`;
        if (this.#add(child)) await this.#folder(child, depth + 1);
      }
    } catch {
      this.#complete = false;
    } finally {
      folder.closeSync();
      closeSync(descriptor);
    }
  }

  /** @returns true for a folder. */
  #add(path: string): boolean {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    const key = `${stat.dev}:${stat.ino}`;
    if (!stat.isDirectory() && stat.nlink > 1) {
      if (this.#linked.has(key)) return false;
      this.#linked.add(key);
    }
    this.#bytes += stat.blocks * 512;
    return stat.isDirectory();
  }
}

function open(path: string): { readonly descriptor: number; readonly folder: Dir; readonly base: string } | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const base = `/proc/self/fd/${descriptor}`;
    return { descriptor, folder: opendirSync(base), base };
  } catch {
    if (descriptor !== undefined) closeSync(descriptor);
    return undefined;
  }
}

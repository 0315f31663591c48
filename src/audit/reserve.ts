/**
 * Space kept back on the disk of the log. When the disk is full it is given up, so that refusals, and the fact that the
 * disk was full, can still be recorded; what would have gone on is refused meanwhile.
 */
import { closeSync, constants, fsyncSync, openSync, renameSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder, newId } from "../foundation/index.ts";

/** Room for a thousand refusals and more. */
export const RESERVE_BYTES: number = 2 * 2 ** 20;

export class Reserve {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Sees to it that the space is kept. Without room for it: "given up" when some process needed it and the disk is full
   * still, "none" when it never was there.
   */
  hold(): "held" | "given up" | "none" {
    const size = statSync(this.#path, { throwIfNoEntry: false })?.size;
    if (size === RESERVE_BYTES || this.#make()) return "held";
    return size === undefined ? "none" : "given up";
  }

  /** Gives the space back. @returns false when none was kept. */
  release(): boolean {
    try {
      const kept = statSync(this.#path, { throwIfNoEntry: false })?.size === RESERVE_BYTES;
      // The empty file stays, so that every process knows.
      if (kept) truncateSync(this.#path, 0);
      return kept;
    } catch {
      return false;
    }
  }

  #make(): boolean {
    const fresh = `${this.#path}.${newId("new")}`;
    try {
      makeFolder(dirname(this.#path), 0o700);
      const fd = openSync(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
      try {
        // Written, not only made long: a file of holes keeps nothing.
        const zeros = Buffer.alloc(64 * 1024);
        for (let written = 0; written < RESERVE_BYTES; ) {
          const step = writeSync(fd, zeros, 0, Math.min(zeros.length, RESERVE_BYTES - written));
          if (step === 0) return false;
          written += step;
        }
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(fresh, this.#path);
      return true;
    } catch {
      // A full disk, or one that cannot be written: the next commit says so in its own words.
      return false;
    } finally {
      rmSync(fresh, { force: true });
    }
  }
}

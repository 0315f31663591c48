/**
 * The last acknowledged head, kept outside of the database: a database that lost rows, was rolled back to an old copy or
 * was replaced does not agree with it. Two fixed slots; the older one is written, so that a torn write leaves the newer whole.
 */
import { hash } from "node:crypto";
import { closeSync, constants, fdatasyncSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { CofferdamError, type ErrorCode, errnoOf, makeFolder, newId, syncFolder, wrapError } from "../foundation/index.ts";

export interface Head {
  /** Of the log, or whatever else the head is of. */
  readonly logId: string;
  /** Number of events; 0 for an empty log. */
  readonly seq: number;
  /** Chain hash of the last event, hex. */
  readonly hash: string;
}

/** What the file says: a head, that there is no file, or why no head can be read from it. */
export type HeadState = { readonly head: Head } | { readonly absent: true } | { readonly damaged: string };

const SLOT = 512;
const recordSchema: z.ZodType<Head> = z.strictObject({ logId: z.string(), seq: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/) });

export class HeadFile {
  readonly #path: string;
  readonly #unavailable: ErrorCode;
  /** The slots as they were read or written last, and what they say: most commits find them unchanged. */
  readonly #known: [KnownSlot, KnownSlot] = [NOTHING, NOTHING];

  /** @param unavailable code of the error when the system does not let us read or write it. */
  constructor(path: string, unavailable: ErrorCode) {
    this.#path = path;
    this.#unavailable = unavailable;
  }

  /** Throws the code for that when the file is there and the system does not let us read it now. */
  read(): HeadState {
    let fd: number;
    try {
      fd = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT") return { absent: true };
      if (errno === "ELOOP" || errno === "ENOTDIR") return { damaged: "it is not a regular file" };
      throw wrapError(error, this.#unavailable, `the head file cannot be read: ${this.#path}`);
    }
    try {
      const { head } = newest(this.#slots(fd));
      return head === undefined ? { damaged: "neither of its records is whole" } : { head };
    } catch (error) {
      if (errnoOf(error) === "EISDIR") return { damaged: "it is not a regular file" };
      throw wrapError(error, this.#unavailable, `the head file cannot be read: ${this.#path}`);
    } finally {
      closeSync(fd);
    }
  }

  /** Makes the file with a first head, durably and in one step, in place of any other. */
  create(head: Head): void {
    const folder = dirname(this.#path);
    makeFolder(folder, 0o700);
    syncFolder(dirname(folder));
    const fresh = `${this.#path}.${newId("new")}`;
    try {
      const fd = openSync(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
      try {
        this.#writeWhole(fd, Buffer.concat([slotOf(head), Buffer.alloc(SLOT, 0x20)]), 0);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(fresh, this.#path);
    } finally {
      rmSync(fresh, { force: true });
    }
    syncFolder(folder);
  }

  /**
   * Moves the head forward, durably; the caller holds the database's write turn. A head that is there already is left
   * alone: whoever wrote it waited for the disk.
   * Throws INTEGRITY_FAILURE when the file is further than `head`, and the code for that when it is gone or cannot be written.
   */
  advance(head: Head): void {
    let fd: number;
    try {
      fd = openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      throw wrapError(error, this.#unavailable, `the head file cannot be written: ${this.#path}`);
    }
    try {
      const { head: known, slot } = newest(this.#slots(fd));
      if (known?.seq === head.seq && known.hash === head.hash) return;
      if (known !== undefined && known.seq >= head.seq) throw new CofferdamError("INTEGRITY_FAILURE", "the database is behind its acknowledged head");
      const other = slot === 0 ? 1 : 0;
      const bytes = slotOf(head);
      this.#writeWhole(fd, bytes, other * SLOT);
      fdatasyncSync(fd);
      this.#known[other] = { bytes, head };
    } finally {
      closeSync(fd);
    }
  }

  /** What the file says now; only bytes that are not known yet are looked into. */
  #slots(fd: number): (Head | undefined)[] {
    const bytes = Buffer.alloc(2 * SLOT);
    readSync(fd, bytes, 0, bytes.length, 0);
    for (const slot of [0, 1] as const) {
      const found = bytes.subarray(slot * SLOT, (slot + 1) * SLOT);
      if (!found.equals(this.#known[slot].bytes)) this.#known[slot] = { bytes: found, head: parseSlot(found) };
    }
    return this.#known.map(({ head }) => head);
  }

  #writeWhole(fd: number, bytes: Buffer, position: number): void {
    // A full disk makes a short write without an error: the length has to be looked at.
    if (writeSync(fd, bytes, 0, bytes.length, position) !== bytes.length)
      throw new CofferdamError(this.#unavailable, "the head file could not be written whole: is the disk full?");
  }
}

interface KnownSlot {
  readonly bytes: Buffer;
  readonly head: Head | undefined;
}

const NOTHING: KnownSlot = { bytes: Buffer.alloc(0), head: undefined };

function newest([first, second]: readonly (Head | undefined)[]): { head: Head | undefined; slot: 0 | 1 } {
  return second !== undefined && (first === undefined || second.seq > first.seq) ? { head: second, slot: 1 } : { head: first, slot: 0 };
}

function slotOf(head: Head): Buffer {
  const slot = Buffer.alloc(SLOT, 0x20);
  const text = JSON.stringify(head);
  slot.write(`${hash("sha256", text, "hex")} ${text}\n`);
  return slot;
}

function parseSlot(slot: Buffer): Head | undefined {
  const match = /^([0-9a-f]{64}) (\{[^\n]*\})\n/.exec(slot.toString("utf8"));
  if (match?.[1] === undefined || match[2] === undefined || hash("sha256", match[2], "hex") !== match[1]) return undefined;
  try {
    const parsed = recordSchema.safeParse(JSON.parse(match[2]));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

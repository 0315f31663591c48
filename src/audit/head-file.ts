/**
 * The last acknowledged head, kept outside of the database: a database that lost rows, was rolled back to an old copy or
 * was replaced is behind it. Two fixed slots are written in turn, so that a torn write leaves the other one whole.
 */
import { hash } from "node:crypto";
import { closeSync, constants, fdatasyncSync, fsyncSync, lstatSync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { CofferdamError, errnoOf } from "../foundation/index.ts";

export interface Head {
  readonly logId: string;
  /** Number of events; 0 for an empty log. */
  readonly seq: number;
  /** Chain hash of the last event, hex. */
  readonly hash: string;
}

const SLOT = 512;
const recordSchema: z.ZodType<Head> = z.strictObject({ logId: z.string(), seq: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/) });

export class HeadFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** The newest head in the file, or undefined when there is no file. Throws INTEGRITY_FAILURE when both slots are damaged. */
  read(): Head | undefined {
    let fd: number;
    try {
      fd = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw new CofferdamError("INTEGRITY_FAILURE", `the audit head file cannot be read: ${this.#path}`, { cause: error });
    }
    try {
      const bytes = Buffer.alloc(2 * SLOT);
      const length = readSync(fd, bytes, 0, bytes.length, 0);
      const heads = [bytes.subarray(0, SLOT), bytes.subarray(SLOT)].map(parseSlot).filter((head) => head !== undefined);
      if (heads.length === 0) {
        // A new file that was cut off before its first slot was whole has acknowledged nothing.
        if (length < SLOT) return undefined;
        throw new CofferdamError("INTEGRITY_FAILURE", `the audit head file is damaged: ${this.#path}`);
      }
      return heads.reduce((newest, head) => (head.seq > newest.seq ? head : newest));
    } finally {
      closeSync(fd);
    }
  }

  /** Records a head, durably. The caller holds the database's write turn, so heads only ever grow. */
  write(head: Head): void {
    const fresh = lstatSync(this.#path, { throwIfNoEntry: false }) === undefined;
    if (fresh) mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const fd = openSync(this.#path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      const slot = Buffer.alloc(SLOT, 0x20);
      const text = JSON.stringify(head);
      slot.write(`${hash("sha256", text, "hex")} ${text}\n`);
      const position = (head.seq % 2) * SLOT;
      // A full disk makes a short write without an error: the length has to be looked at.
      if (writeSync(fd, slot, 0, SLOT, position) !== SLOT)
        throw new CofferdamError("AUDIT_UNAVAILABLE", "the audit head could not be written whole: is the disk full?");
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (fresh) syncFolder(dirname(this.#path));
  }
}

function parseSlot(slot: Buffer): Head | undefined {
  const match = /^([0-9a-f]{64}) (\{[^\n]*\})\n/.exec(slot.toString("utf8"));
  if (match?.[1] === undefined || match[2] === undefined || hash("sha256", match[2], "hex") !== match[1]) return undefined;
  const parsed = recordSchema.safeParse(JSON.parse(match[2]));
  return parsed.success ? parsed.data : undefined;
}

function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

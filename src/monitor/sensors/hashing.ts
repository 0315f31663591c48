/**
 * SHA-256 of a program that a process runs or ran, in the thread that reads, which hears of it first. What is hashed is held
 * against what the kernel told (size and times): another file under the same name gives no hash.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type { FileFacts } from "../event.ts";
import { millisecondsOf } from "../reader/kernel-values.ts";

/** Larger programs are not hashed, bytes. */
const MAX_SIZE: number = 1 << 30;
const O_PATH = 0o10000000;
const CHUNK: number = 256 << 10;

export interface HashRequest {
  /** Who runs it, and somebody who lives in the same mount namespace, on the host. */
  readonly pid: number;
  readonly neighbour: number;
  readonly file: Pick<FileFacts, "path" | "size" | "mtime" | "ctime" | "anonymous">;
}

/** Hexadecimal; undefined when it cannot be had, or is not the same file any more. */
export async function hashProgram({ pid, neighbour, file }: HashRequest): Promise<string | undefined> {
  if (file.size > MAX_SIZE) return undefined;
  const places = [`/proc/${pid}/exe`, ...(file.anonymous || file.path.startsWith(".../") ? [] : [`/proc/${neighbour}/root${file.path}`])];
  for (const place of places) {
    try {
      // A job can lead the way to anything, a device of the host too: found without opening, and opened once it is the file.
      await using found = await open(place, O_PATH);
      if (!(await isSame(found, file))) continue;
      await using handle = await open(`/proc/self/fd/${found.fd}`, "r");
      const hash = await hashOf(handle);
      // Changed while it was read: then it is neither.
      if (await isSame(handle, file)) return hash;
    } catch {
      // Gone, or never there by that name.
    }
  }
  return undefined;
}

async function isSame(handle: FileHandle, file: HashRequest["file"]): Promise<boolean> {
  const stat = await handle.stat({ bigint: true });
  if (!stat.isFile() || Number(stat.size) !== file.size) return false;
  return millisecondsOf(stat.mtimeNs) === file.mtime && millisecondsOf(stat.ctimeNs) === file.ctime;
}

async function hashOf(handle: FileHandle): Promise<string> {
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK);
    if (bytesRead === 0) return hash.digest("hex");
    hash.update(buffer.subarray(0, bytesRead));
  }
}

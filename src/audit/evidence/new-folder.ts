/**
 * A folder that is there as a whole or not at all: it is written beside its name, with every file new and private, and renamed
 * when all of it is on the disk. Nothing that exists is overwritten.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CofferdamError, errnoOf, newId, syncFolder, wrapError } from "../../foundation/index.ts";

/** Digests of all files, as `sha256sum` writes and checks them. */
export const SUMS = "SHA256SUMS";
/** Text that is gathered before it is written. */
const CHUNK = 256 * 1024;

export class NewFolder {
  readonly #target: string;
  readonly #work: string;
  readonly #sums = new Map<string, string>();
  readonly #folders = new Set<string>();

  private constructor(target: string, work: string) {
    this.#target = target;
    this.#work = work;
  }

  /** Throws FAILED_PRECONDITION when something has that name, or it cannot be made. */
  static async create(target: string): Promise<NewFolder> {
    const taken = await lstat(target).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${target}`);
    });
    if (taken !== undefined) throw exists(target);
    const work = join(dirname(target), `.${basename(target)}.${newId("new")}`);
    try {
      await mkdir(work, { mode: 0o700 });
    } catch (error) {
      throw wrapError(error, "FAILED_PRECONDITION", `cannot make ${target}`);
    }
    return new NewFolder(target, work);
  }

  /** @param name within the folder, at most one folder deep. Throws what the disk says, RESOURCE_EXHAUSTED when it is full. */
  async write(name: string, pieces: AsyncIterable<string> | Iterable<string>): Promise<void> {
    try {
      const folder = dirname(name);
      if (folder !== "." && !this.#folders.has(folder)) {
        await mkdir(join(this.#work, folder), { mode: 0o700 });
        this.#folders.add(folder);
      }
      const file = await open(join(this.#work, name), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
      const digest = createHash("sha256");
      try {
        for await (const chunk of gathered(pieces)) {
          digest.update(chunk);
          await file.writeFile(chunk);
        }
        await file.sync();
      } finally {
        await file.close();
      }
      this.#sums.set(name, digest.digest("hex"));
    } catch (error) {
      throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${join(this.#target, name)}`);
    }
  }

  /** Adds the digests and puts the folder in its place. @returns the digest of the digests. */
  async finish(): Promise<{ readonly files: number; readonly sums: string }> {
    const lines = [...this.#sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, sum]) => `${sum}  ${name}\n`);
    const files = this.#sums.size;
    await this.write(SUMS, lines);
    try {
      for (const folder of this.#folders) syncFolder(join(this.#work, folder));
      syncFolder(this.#work);
      // An empty folder that somebody made meanwhile is replaced; anything else makes this fail.
      await rename(this.#work, this.#target);
      syncFolder(dirname(this.#target));
    } catch (error) {
      if (["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(errnoOf(error) ?? "")) throw exists(this.#target);
      throw wrapError(error, "FAILED_PRECONDITION", `cannot write ${this.#target}`);
    }
    return { files, sums: this.#sums.get(SUMS) ?? "" };
  }

  /** Takes away what was written. */
  async discard(): Promise<void> {
    await rm(this.#work, { recursive: true, force: true });
  }
}

async function* gathered(pieces: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  let text: string[] = [];
  let length = 0;
  for await (const piece of pieces) {
    text.push(piece);
    length += piece.length;
    if (length < CHUNK) continue;
    yield text.join("");
    text = [];
    length = 0;
  }
  if (length > 0) yield text.join("");
}

function exists(target: string): CofferdamError {
  return new CofferdamError("FAILED_PRECONDITION", `${target} exists`, { hint: "choose a new name; nothing is overwritten" });
}

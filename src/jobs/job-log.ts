/** The output of a job as it is kept: a file of ours, bounded. What came beyond is counted. */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder } from "../foundation/index.ts";

export class JobLog {
  readonly #file: number;
  readonly #most: number;
  #bytes = 0;
  #kept = 0;
  #open = true;

  /** @param most bytes that are kept, the first ones. Throws the system's error. */
  constructor(path: string, most: number) {
    makeFolder(dirname(path), 0o700);
    this.#file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
    this.#most = most;
  }

  write(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    const room = this.#open ? Math.min(bytes.length, this.#most - this.#kept) : 0;
    try {
      for (let done = 0; done < room; ) done += writeSync(this.#file, bytes, done, room - done);
      this.#kept += room;
    } catch {
      // A full disk ends what is kept and not the job; the report says that it is not all.
      this.#kept = this.#open ? fstatSync(this.#file).size : this.#kept;
      this.close();
    }
  }

  get facts(): { readonly bytes: number; readonly kept: number; readonly truncated: boolean } {
    return { bytes: this.#bytes, kept: this.#kept, truncated: this.#kept < this.#bytes };
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#file);
  }
}

/** A folder, usually of another host or disk. It has to be there: a mount that is missing is not replaced by a local folder. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { CofferdamError, readBounded, writeDurably } from "../../foundation/index.ts";
import { MAX_NOTE_BYTES } from "../note.ts";
import type { CheckpointCopy } from "./copy.ts";

export class DirectoryCopy implements CheckpointCopy {
  readonly name: string;

  constructor(folder: string) {
    this.name = folder;
  }

  async read(logId: string): Promise<string | undefined> {
    this.#assertThere();
    const bytes = await readBounded(join(this.name, logId, "checkpoint"), { maxBytes: MAX_NOTE_BYTES, what: "copied checkpoint" });
    return bytes?.toString("utf8");
  }

  async write(logId: string, size: number, note: string): Promise<void> {
    this.#assertThere();
    writeDurably(join(this.name, logId, String(size)), note, 0o644);
    writeDurably(join(this.name, logId, "checkpoint"), note, 0o644);
  }

  #assertThere(): void {
    if (statSync(this.name, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${this.name}: the folder for copies of checkpoints is not there`);
  }
}

/** A place outside of the state directory that checkpoints are copied to. Its address says what it is. */
import { join } from "node:path";
import { DirectoryCopy } from "./directory.ts";
import { GitCopy } from "./git.ts";
import { HttpCopy } from "./http.ts";
import { placeKind } from "./place.ts";

export interface CheckpointCopy {
  /** Its address without credentials, for messages. */
  readonly name: string;
  /** The latest checkpoint there, or undefined when there is none. Throws when that cannot be told. */
  read(logId: string): Promise<string | undefined>;
  /** Writes a checkpoint under its size and as the latest. */
  write(logId: string, size: number, note: string): Promise<void>;
}

/** The copy at an address of {@link placeKind}. @param work folder for what a copy keeps here. Throws INVALID_ARGUMENT. */
export function copyAt(address: string, work: string): CheckpointCopy {
  switch (placeKind(address)) {
    case "git":
      return new GitCopy(address, join(work, "copies"));
    case "https":
      return new HttpCopy(address);
    case "folder":
      return new DirectoryCopy(address);
  }
}

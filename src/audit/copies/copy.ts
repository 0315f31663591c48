/** A place outside of the state directory that checkpoints are copied to. Its address says what it is. */
import { join } from "node:path";
import { CofferdamError } from "../../foundation/index.ts";
import { DirectoryCopy } from "./directory.ts";
import { GitCopy, isGitAddress } from "./git.ts";
import { HttpCopy } from "./http.ts";

export interface CheckpointCopy {
  /** Its address without credentials, for messages. */
  readonly name: string;
  /** The latest checkpoint there, or undefined when there is none. Throws when that cannot be told. */
  read(logId: string): Promise<string | undefined>;
  /** Writes a checkpoint under its size and as the latest. */
  write(logId: string, size: number, note: string): Promise<void>;
}

/**
 * The copy at an address: an absolute folder, `https://host/path` (PUT), or a git repository (`git@host:path.git`,
 * `ssh://`, or anything that ends in `.git`).
 * @param work folder for what a copy keeps here. Throws INVALID_ARGUMENT.
 */
export function copyAt(address: string, work: string): CheckpointCopy {
  if (isGitAddress(address)) return new GitCopy(address, join(work, "copies"));
  if (/^https?:\/\//.test(address) && URL.canParse(address)) return new HttpCopy(address);
  if (address.startsWith("/")) return new DirectoryCopy(address);
  throw new CofferdamError("INVALID_ARGUMENT", `not a place for copies of checkpoints: ${address.slice(0, 200)}`, {
    hint: "an absolute folder, an https:// address, or a git repository (ends in .git)",
  });
}

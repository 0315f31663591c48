/** A new name in a folder is on the disk only when the folder is. */
import { closeSync, constants, fsyncSync, openSync } from "node:fs";

export function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The files of a log that are not its database. */
import { join } from "node:path";

export interface LogPaths {
  readonly key: string;
  readonly head: string;
  readonly latest: string;
  readonly reserve: string;
  /** Folder for what copies need. */
  readonly work: string;
}

/** @param directory the state directory. @param file a database of its own instead. Undefined for a log in memory. */
export function pathsOf(directory: string | undefined, file: string | undefined): LogPaths | undefined {
  if (directory !== undefined) return inDirectory(directory);
  return file === undefined ? undefined : besideFile(file);
}

function inDirectory(directory: string): LogPaths {
  const work = join(directory, "checkpoints");
  return { key: join(directory, "keys", "audit.pem"), head: join(work, "head"), latest: join(work, "latest"), reserve: join(work, "reserve"), work };
}

function besideFile(file: string): LogPaths {
  return { key: `${file}.key.pem`, head: `${file}.head`, latest: `${file}.checkpoint`, reserve: `${file}.reserve`, work: `${file}.copies` };
}

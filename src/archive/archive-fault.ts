/** Why an archive must not be unpacked, as one closed list and one error. */
import { CofferdamError } from "../foundation/index.ts";

/** What an archive was refused for; in `details.kind` of the error. */
export type ArchiveFault =
  | "truncated"
  | "checksum"
  | "header"
  | "size"
  | "path"
  | "absolute"
  | "traversal"
  | "name-encoding"
  | "control-character"
  | "link"
  | "device"
  | "fifo"
  | "type"
  | "pax"
  | "sparse"
  | "after-end"
  | "too-many-entries"
  | "too-large"
  | "duplicate"
  | "setuid"
  | "not-gzip"
  | "gzip"
  | "zstd"
  | "zip"
  | "overlap"
  | "no-folder"
  | "package-json";

/** The error for an archive that must not be unpacked. */
export function refuse(kind: ArchiveFault, why: string, entry?: string): CofferdamError {
  const shown = entry === undefined ? "" : ` (${JSON.stringify(entry.slice(0, 200))})`;
  return new CofferdamError("INTEGRITY_FAILURE", `the archive holds ${why.startsWith("it ") ? "no sound end: " : ""}${why}${shown}`, {
    details: { kind, ...(entry === undefined ? {} : { entry: entry.slice(0, 500) }) },
  });
}

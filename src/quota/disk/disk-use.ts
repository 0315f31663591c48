/** What a job's files take of the disk, and how sure that is. */
export interface DiskUse {
  readonly used: number;
  readonly limit: number;
  /** `enforced` by a file system of its own, or `watched`: found by counting, after it was written. */
  readonly enforcement: "enforced" | "watched";
  /** False when a watched tree could not be counted to the end: `used` is then a lower bound. */
  readonly complete: boolean;
}

/** Who takes something out of the log. */
import { userInfo } from "node:os";

export interface ExportedBy {
  readonly user: string;
  readonly uid?: number | undefined;
}

/** The user that this process runs as, by the system's own word. A uid that has no name is its own name. */
export function processUser(): ExportedBy {
  const uid = process.getuid?.();
  try {
    return { user: userInfo().username, uid };
  } catch {
    return { user: `uid ${uid ?? "unknown"}`, uid };
  }
}

/** The empty folder that a jail mounts its stage on, in a mount namespace of its own: one for all jails of a user. */
import { lstatSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CofferdamError, errnoOf } from "../foundation/index.ts";

/** Throws ENVIRONMENT_UNFIT when the place is not ours. */
export function stageFolder(): string {
  const uid = process.geteuid?.() ?? 0;
  // Only root writes /run; elsewhere somebody else may have been there first.
  const path = uid === 0 ? "/run/cofferdam-stage" : join(tmpdir(), `cofferdam-stage-${uid}`);
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw new CofferdamError("ENVIRONMENT_UNFIT", `${path} cannot be made: ${errnoOf(error) ?? "unknown"}`);
  }
  const stat = lstatSync(path);
  if (!stat.isDirectory() || stat.uid !== uid || (stat.mode & 0o022) !== 0)
    throw new CofferdamError("ENVIRONMENT_UNFIT", `${path} is not a folder of ours`, { hint: `look at it, then remove it` });
  return path;
}

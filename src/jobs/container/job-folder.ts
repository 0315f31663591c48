/**
 * The folder of one job on the host: 0700 and root's, so that nobody can swap what lies in it. Everything that a container
 * gets of the host comes from here: the gate, and workspaces that were mounted or copied in (workspace.ts). What is left of a
 * job whose process was killed is this folder, and {@link releaseJobFolder} takes it away.
 */
import { lstatSync, mkdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { CofferdamError, errnoOf, makeFolder } from "../../foundation/index.ts";
import { wipeFolder } from "../../secrets/index.ts";
import { releaseMount } from "./place.ts";
import { parseMountinfo } from "./proof/mountinfo.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/**
 * Makes `<base>/<name>`. The base is made too; it and all above it must be writable by nobody but root and us.
 * @param base on a file system that lets programs run (a /run that is mounted noexec will not do).
 * Throws ENVIRONMENT_UNFIT for a base that others can change, CONFLICT when the job has a folder already.
 */
export function makeJobFolder(base: string, name: string): string {
  if (!NAME.test(name)) throw new CofferdamError("INVALID_ARGUMENT", `not a name of a job: ${JSON.stringify(name.slice(0, 80))}`);
  makeFolder(base, 0o700);
  refuseOthers(base);
  const folder = join(base, name);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
    throw new CofferdamError("CONFLICT", `job ${name} has a folder already`, { details: { folder } });
  }
  return folder;
}

/** Below a job's folder: its secrets, in memory (job-secrets.ts). */
export const SECRETS = "secrets";

/** Unmounts and removes all of it, secrets overwritten first. Idempotent. Throws ENVIRONMENT_UNFIT for a mount that stays: then nothing is removed. */
export async function releaseJobFolder(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  wipeFolder(join(path, SECRETS));
  // As the kernel names it in its list of mounts.
  const folder = realpathSync(path);
  // The inner ones first.
  for (const target of mountsBelow(folder).toReversed()) await releaseMount(target);
  const [left] = mountsBelow(folder);
  // What is mounted is somebody's own folder: to remove this one would remove that.
  if (left !== undefined) throw new CofferdamError("ENVIRONMENT_UNFIT", `something is still mounted on ${left}`);
  rmSync(folder, { recursive: true, force: true });
}

function mountsBelow(folder: string): string[] {
  return parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8")).flatMap(({ target }) => (target.startsWith(`${folder}/`) ? [target] : []));
}

/** A folder that somebody else can write, anywhere above, is a name that somebody else can change. */
function refuseOthers(base: string): void {
  const own = process.geteuid?.() ?? 0;
  for (let at = base; ; at = dirname(at)) {
    const stat = lstatSync(at);
    const sticky = (stat.mode & 0o1000) !== 0;
    if (!stat.isDirectory() || (stat.uid !== 0 && stat.uid !== own) || ((stat.mode & 0o022) !== 0 && !(sticky && at !== base)))
      throw new CofferdamError("ENVIRONMENT_UNFIT", `${at} is no place for jobs: others can change it`, { hint: "choose a folder that only root can write" });
    if (dirname(at) === at) return;
  }
}

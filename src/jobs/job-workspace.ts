/** The workspace of one job: which way it is brought in, where a copy is bounded, and what the report says of both. */
import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { CofferdamError, errnoOf, runCommand } from "../foundation/index.ts";
import type { Allocation, ResourceQuotaManager } from "../quota/index.ts";
import type { Who } from "./container/place.ts";
import type { ContainerProfile } from "./container/profile.ts";
import { Workspace } from "./container/workspace.ts";
import type { JobSpec } from "./job-spec.ts";
import type { JobWorkspace } from "./report/schema.ts";

export const WORKSPACE_TARGET = "/workspace";
const MAX_ENTRIES = 1_000_000;
/** Of a copy that has no limit of its own. */
const MAX_BYTES: number = 10 * 2 ** 30;
const COLLECT_TIMEOUT = 600_000;

export interface JobWorkspaceRequest {
  readonly jobId: string;
  readonly asked: NonNullable<JobSpec["workspace"]>;
  readonly profile: ContainerProfile;
  readonly who: Who;
  readonly allocation: Allocation;
  readonly quota: ResourceQuotaManager;
  /** The job's own. */
  readonly folder: string;
}

export interface PreparedWorkspace {
  readonly workspace: Workspace;
  readonly path: string;
  readonly mode: "copy" | "bind";
}

/**
 * A copy, unless the folder itself is asked for and the level allows it. Throws NOT_FOUND for a folder that is not there,
 * SECURITY_VIOLATION for one that may not be bound, and what {@link Workspace.prepare} throws.
 */
export async function prepareJobWorkspace(request: JobWorkspaceRequest, signal: AbortSignal): Promise<PreparedWorkspace> {
  const { jobId, asked, profile, who, allocation, quota, folder } = request;
  const path = realFolder(asked.path);
  const mode = asked.mode ?? "copy";
  if (mode === "bind" && profile.workspace === "copy")
    throw new CofferdamError("SECURITY_VIOLATION", `level ${profile.level} mounts no folder of the host: a job works on a copy`, {
      details: { control: "workspace" },
    });
  const { disk } = allocation.limits;
  let into: string | undefined;
  if (mode === "copy" && disk !== undefined) {
    const bounded = await quota.createWorkspace(jobId, who);
    // Every mount of a container comes from the job's own folder.
    into = join(folder, "copy");
    mkdirSync(into, { mode: 0o700 });
    await runCommand("mount", ["--bind", bounded.path, into]);
  }
  const workspace = await Workspace.prepare(
    {
      ...{ mode, place: { root: "/", path: path.slice(1) || "." }, target: asked.target ?? WORKSPACE_TARGET, readOnly: asked.readOnly === true, who, folder },
      ...{ into, bounds: { bytes: disk ?? MAX_BYTES, entries: MAX_ENTRIES } },
    },
    signal,
  );
  return { workspace, path, mode };
}

export interface CollectedWorkspace {
  readonly outcome: JobWorkspace;
  /** What came over from a copy, by name: at most 1,000. */
  readonly written: readonly string[];
}

/** What came of it, taken over. Once, when nothing runs in it any more. Throws what {@link Workspace.collect} throws. */
export async function collectJobWorkspace({ workspace, path, mode }: PreparedWorkspace): Promise<CollectedWorkspace> {
  const { written, refused, planted, more } = await workspace.collect(AbortSignal.timeout(COLLECT_TIMEOUT));
  // What did not come over is no danger to whoever goes on.
  const stayed = new Set(refused.map(({ path: one }) => one));
  const outcome = {
    mode,
    path,
    planted: planted.filter((one) => !stayed.has(one)),
    leftOut: refused,
    ...(mode === "copy" ? { copiedOut: { files: written.length + more } } : {}),
  };
  return { outcome, written };
}

/** Links in the name are followed here, once; from then on none is. */
function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== "ENOENT" && errno !== "ENOTDIR") throw error;
    throw new CofferdamError("NOT_FOUND", `there is no folder ${path.slice(0, 500)}`, { cause: error });
  }
}

/**
 * `prepareSecureContainer` of the public API: a container that somebody else made gets what its level asks, or is refused. An
 * engine cannot change capabilities, filter, user, root or namespaces of a container that exists. One that was never started
 * is therefore made anew from the same configuration, and the original is gone before the new id is known to anybody. One that
 * has started ran before anything was proven: at medium and above nothing can make that good.
 */
import type { ContainerEngine, ContainerInspect } from "../../engine/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { type ForeignRefusal, judgeConfiguration } from "./foreign.ts";
import { HardenedContainer } from "./hardened.ts";
import { releaseJobFolder } from "./job-folder.ts";
import type { ContainerProfile } from "./profile.ts";
import type { JobLimits, JobMount } from "./spec.ts";

export interface PrepareRequest {
  readonly containerId: string;
  readonly jobId: string;
  readonly profile: ContainerProfile;
  readonly limits: JobLimits;
  readonly mounts: readonly JobMount[];
  /** From makeJobFolder. */
  readonly folder: string;
  readonly nameServer?: string | undefined;
}

export interface SecuredContainer {
  readonly secured: true;
  /** The new one's, where it was made anew. */
  readonly containerId: string;
  /** Controls that it lacked and has now. */
  readonly applied: readonly string[];
  /** Always empty: what is refused is thrown. */
  readonly refused: readonly ForeignRefusal[];
  /** Created and not started; start it here, and the proof comes before the workload. Absent for one that runs (level low). */
  readonly container: HardenedContainer | undefined;
}

/**
 * Throws SECURITY_VIOLATION with `details.refused` when it is refused: it was removed, or at level low disconnected from every
 * network. Throws NOT_FOUND for an id that nobody has.
 */
export async function prepareSecureContainer(engine: ContainerEngine, request: PrepareRequest, signal: AbortSignal): Promise<SecuredContainer> {
  const { containerId, jobId, profile, folder, nameServer } = request;
  try {
    const found = await engine.containers.inspect(containerId, { signal });
    const { request: asked, applied, refused } = judgeConfiguration(found.Config, found.HostConfig, profile);
    const started = hasStarted(found);
    const reasons =
      started && profile.level !== "low" ? [...refused, { control: "proven-before-start", why: "it has started: what ran in it was never proven" }] : refused;
    if (reasons.length > 0) return await refuse(engine, found, profile, reasons);
    if (started) return { secured: true, containerId: found.Id, applied: [], refused: [], container: undefined };
    const container = await HardenedContainer.create(
      engine,
      { container: { jobId, imageId: found.Image, ...asked, limits: request.limits, mounts: request.mounts }, profile, folder, nameServer },
      signal,
    );
    await replace(engine, found, container);
    return { secured: true, containerId: container.id, applied, refused: [], container };
  } catch (error) {
    await releaseJobFolder(folder);
    throw error;
  }
}

/** The original goes first; if it stays, so does nothing of ours. */
async function replace(engine: ContainerEngine, found: ContainerInspect, container: HardenedContainer): Promise<void> {
  try {
    await engine.containers.remove(found.Id, { force: true, volumes: true });
    await engine.containers.rename(container.id, found.Name.replace(/^\//, ""));
  } catch (error) {
    await container.remove();
    throw error;
  }
}

async function refuse(engine: ContainerEngine, found: ContainerInspect, profile: ContainerProfile, refused: readonly ForeignRefusal[]): Promise<never> {
  const [first] = refused;
  if (profile.level === "low") {
    for (const name of Object.keys(found.NetworkSettings.Networks))
      if (name !== "none" && name !== "host") await engine.networks.disconnect(name, found.Id, { force: true });
  } else {
    await engine.containers.remove(found.Id, { force: true, volumes: true });
  }
  throw new CofferdamError(
    "SECURITY_VIOLATION",
    `container refused and ${profile.level === "low" ? "disconnected" : "removed"}: ${first?.control}: ${first?.why}${refused.length > 1 ? ` (and ${refused.length - 1} more)` : ""}`,
    { details: { control: first?.control, refused } },
  );
}

/** Go's zero time is year 1. */
function hasStarted({ State }: ContainerInspect): boolean {
  return State.Running || State.Pid > 0 || !State.StartedAt.startsWith("0001-");
}

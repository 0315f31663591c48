/**
 * A job's workspace: a folder of the caller, brought to the container without trusting its path (place.ts), and brought back
 * without trusting its content.
 *
 * - `bind`: the caller's own folder, as a mapped mount. What the job makes is the caller's from the start, and what others in
 *   the container make is nobody's until it is settled afterwards.
 * - `copy`: the job works on a copy; what it changed is taken over by name, without following links, within bounds.
 *
 * Either way what was planted where a later command of the caller would run it (git's hooks and configuration, workflows) is
 * reported; git's own does not come back from a copy.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import {
  attachFolder,
  type Bounds,
  bindFolder,
  copyFolder,
  type Delivered,
  deliverFolder,
  type Opened,
  type Place,
  type Settled,
  settleFolder,
  type Who,
} from "./place.ts";
import { PlantedFiles } from "./planted.ts";
import type { JobMount } from "./spec.ts";

export interface WorkspaceRequest {
  readonly mode: "bind" | "copy";
  readonly place: Place;
  /** Where it is in the container. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Who the job runs as. */
  readonly who: Who;
  /** The job's folder, see job-folder.ts. */
  readonly folder: string;
  /** `copy`: where the copy goes, an empty folder of ours (a size-limited one, for instance). Absent: into the job's folder. */
  readonly into?: string | undefined;
  /** Of a copy, each way; `entries` also of what is settled in a bound folder. */
  readonly bounds: Bounds;
}

/** What came of a workspace. */
export interface WorkspaceOutcome extends Delivered {
  /** Files that a later command may run, and that the job made or changed. */
  readonly planted: readonly string[];
  /** Of a bound folder. */
  readonly settled: Settled | undefined;
}

export class Workspace {
  /** For {@link JobContainer.mounts}. */
  readonly mount: JobMount;
  /** What was opened; `uid` is whose the results are. */
  readonly opened: Opened;
  readonly #request: WorkspaceRequest;
  readonly #before: PlantedFiles;

  private constructor(request: WorkspaceRequest, source: string, opened: Opened) {
    this.#request = request;
    this.mount = { source, target: request.target, readOnly: request.readOnly };
    this.opened = opened;
    this.#before = PlantedFiles.in(source);
  }

  /** Throws SECURITY_VIOLATION for a path with a link in it, FAILED_PRECONDITION for a folder of root that would be bound. */
  static async prepare(request: WorkspaceRequest, signal: AbortSignal): Promise<Workspace> {
    const { mode, place, who, folder, into, bounds } = request;
    const source = mkdtempSync(join(folder, `${mode}-`));
    if (mode === "bind") return new Workspace(request, source, await bindFolder(place, source, who, request.readOnly, signal));
    const opened = await copyFolder(place, into ?? source, who, bounds, signal);
    // What a container gets comes from the job's folder, whatever lies behind it.
    if (into !== undefined) await attachFolder(into, source, signal);
    return new Workspace(request, source, opened);
  }

  /**
   * After the container is gone: nothing runs there any more. Once. Throws PAYLOAD_TOO_LARGE when it grew beyond its bounds (then
   * nothing came over), SECURITY_VIOLATION when the path leads to another folder by now.
   */
  async collect(signal: AbortSignal): Promise<WorkspaceOutcome> {
    const { mode, place, readOnly, bounds } = this.#request;
    const nothing: WorkspaceOutcome = { written: [], removed: [], refused: [], more: 0, planted: [], settled: undefined };
    if (readOnly) return nothing;
    const planted = PlantedFiles.in(this.mount.source).changedSince(this.#before);
    if (mode === "bind") return { ...nothing, planted, settled: await settleFolder(place, this.opened, bounds.entries, signal) };
    return { ...nothing, planted, ...(await deliverFolder({ from: this.mount.source, place, opened: this.opened, bounds }, signal)) };
  }
}

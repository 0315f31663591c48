/**
 * Limits of a running container: set through the engine where it can, in the kernel's files where it cannot, and then proven
 * from those files, because an engine answers 200 to what it ignores.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerCalls, ContainerInspect } from "../engine/index.ts";
import { CofferdamError, messageOf, startOf } from "../foundation/index.ts";
import type { Allocation } from "./allocation.ts";
import { readerOf } from "./cgroup/counters.ts";
import { type BlockDevice, blockDeviceOf } from "./cgroup/devices.ts";
import type { CgroupFolders } from "./cgroup/mounts.ts";
import { IO_LIMITS, ioWrites, proveLimits } from "./cgroup/proof.ts";
import { createLimits } from "./container-limits.ts";
import type { Workspaces } from "./disk/workspaces.ts";
import type { AppliedLimits } from "./events.ts";
import type { LimitName } from "./limits.ts";
import { type ShapedInterface, shape } from "./network/shaper.ts";
import { ownCgroup, type WatchTarget } from "./usage/target.ts";

/** What of a container engine is used; {@link ContainerEngine} has it. */
export interface QuotaEngine {
  readonly containers: Pick<ContainerCalls, "inspect" | "update" | "kill">;
}

export interface LiveContainer {
  readonly target: WatchTarget;
  readonly place: CgroupFolders;
  /** What it can fill besides its workspace: nothing, folders of its caller alone (no limit counts them), or its trees. */
  readonly fills: "nothing" | "folders" | "trees";
}

type Missing = AppliedLimits["missing"][number];

/** A tolerance for what tc rounds a rate to. */
const RATE_SLACK = 0.01;

/** Throws NOT_FOUND, FAILED_PRECONDITION when it does not run, ENVIRONMENT_UNFIT when its cgroup cannot be seen from here. */
export async function liveContainer(engine: QuotaEngine, containerId: string, known?: ContainerInspect): Promise<LiveContainer> {
  const facts = known ?? (await engine.containers.inspect(containerId));
  const { Running: running, Pid: pid } = facts.State;
  const started = running && pid > 0 ? startOf(pid) : undefined;
  if (started === undefined)
    throw new CofferdamError("FAILED_PRECONDITION", `container ${containerId} does not run`, {
      hint: "limits of one that is not started belong into its create (createLimits)",
      details: { containerId },
    });
  const place = ownCgroup(pid, started);
  if (place === undefined)
    throw new CofferdamError("ENVIRONMENT_UNFIT", `the cgroup of container ${containerId} cannot be seen from here`, {
      hint: "run where the engine runs, in its pid and cgroup namespaces",
      details: { containerId },
    });
  const sealed = facts.HostConfig["ReadonlyRootfs"] === true;
  const trees = treesOf(facts);
  const folders = facts.Mounts.some(({ Type: type, RW: writable }) => type === "bind" && writable);
  return { place, target: { pid, started, trees, sealed }, fills: trees.length > 0 || !sealed ? "trees" : folders ? "folders" : "nothing" };
}

interface ApplyRequest {
  readonly engine: QuotaEngine;
  readonly containerId: string;
  readonly allocation: Allocation;
  readonly container: LiveContainer;
  readonly workspaces: Workspaces | undefined;
  readonly hostNetwork: string | undefined;
  /** It was created with its limits: they are proven, and not set once more. */
  readonly created: boolean;
}

export async function applyLimits(request: ApplyRequest): Promise<AppliedLimits> {
  const { engine, containerId, allocation, container } = request;
  const { limits, enforcement, jobId } = allocation;
  // Not for a live container: ulimits are its processes', the storage option its layer's, io is set below.
  const { Ulimits: _ulimits, StorageOpt: _storage, ...update } = createLimits(allocation);
  if (!request.created) await engine.containers.update(containerId, update);
  const devices = IO_LIMITS.some((name) => limits[name] !== undefined) ? devicesOf(container.target.trees) : [];
  const failed = writeIo(container.place, allocation, devices);
  const numbers = devices.map(({ number }) => number);
  const proof = proveLimits(container.place.version, readerOf(container.place), { limits, enforcement, devices: numbers });
  const network = await applyRates(request);
  const disk = await diskProof(request);
  return {
    jobId,
    containerId,
    applied: [...proof.applied, ...network.applied, ...(disk === "enforced" ? (["disk"] as const) : [])],
    watched: disk === "watched" ? ["disk"] : [],
    missing: [...proof.missing.map((one) => withReason(one, failed)), ...network.missing, ...(disk === undefined ? [NOT_MEASURED] : [])],
  };
}

const NOT_MEASURED: Missing = { limit: "disk", wanted: "a limit", found: "no workspace, and no layer that could be measured" };

function treesOf({ GraphDriver: graph, LogPath: log, HostConfig: host, Mounts: mounts }: ContainerInspect): readonly string[] {
  const layer = graph?.Data["UpperDir"];
  const volumes = mounts.flatMap(({ Type: type, Source: source }) => (type === "volume" && source !== undefined ? [source] : []));
  return [...(typeof layer === "string" && host["ReadonlyRootfs"] !== true ? [layer] : []), ...(log === undefined || log === "" ? [] : [log]), ...volumes];
}

function devicesOf(trees: readonly string[]): readonly BlockDevice[] {
  const found = new Map<string, BlockDevice>();
  for (const tree of trees) {
    try {
      const device = blockDeviceOf(tree);
      if (device !== undefined) found.set(device.number, device);
    } catch {
      // Gone, or not readable: what is missing for it is found by the proof.
    }
  }
  return [...found.values()];
}

/** @returns what the kernel said where it refused. */
function writeIo({ version, folders }: CgroupFolders, { limits }: Allocation, devices: readonly BlockDevice[]): string | undefined {
  const folder = folders.blkio;
  if (folder === undefined) return undefined;
  let failed: string | undefined;
  for (const { file, text } of ioWrites(
    version,
    limits,
    devices.map(({ number }) => number),
  )) {
    try {
      writeFileSync(join(folder, file), text);
    } catch (error) {
      failed ??= messageOf(error).slice(0, 200);
    }
  }
  return failed;
}

function withReason(missing: Missing, failed: string | undefined): Missing {
  return failed !== undefined && IO_LIMITS.some((name) => name === missing.limit) ? { ...missing, found: `${missing.found}: ${failed}` } : missing;
}

async function applyRates({ allocation, container, hostNetwork }: ApplyRequest): Promise<Pick<AppliedLimits, "applied" | "missing">> {
  const { download, upload } = allocation.limits;
  if (download === undefined && upload === undefined) return { applied: [], missing: [] };
  const wanted = (["download", "upload"] as const).filter((name) => allocation.limits[name] !== undefined);
  let found: readonly ShapedInterface[];
  try {
    const { pid, started } = container.target;
    found = await shape({ pid, started, host: hostNetwork }, { download, upload });
  } catch (error) {
    return { applied: [], missing: wanted.map((limit) => ({ limit, wanted: String(allocation.limits[limit]), found: messageOf(error).slice(0, 200) })) };
  }
  const applied: LimitName[] = [];
  const missing: Missing[] = [];
  for (const limit of wanted) {
    const rate = allocation.limits[limit] ?? 0;
    const other = found.find((one) => Math.abs((one[limit] ?? 0) - rate) > rate * RATE_SLACK);
    if (other === undefined) applied.push(limit);
    else missing.push({ limit, wanted: String(rate), found: `${other[limit] ?? "none"} on ${other.name}` });
  }
  return { applied, missing };
}

/** Undefined when a limit was asked for and nothing can tell how much is used. */
async function diskProof({ allocation, container, workspaces }: ApplyRequest): Promise<"enforced" | "watched" | "none" | undefined> {
  if (allocation.limits.disk === undefined) return "none";
  const workspace = await workspaces?.usage(allocation.jobId);
  if (workspace?.enforcement === "enforced" && container.target.sealed) return "enforced";
  if (workspace === undefined && container.fills !== "trees") return container.fills === "nothing" ? "enforced" : "none";
  return workspace !== undefined || container.target.trees.length > 0 ? "watched" : undefined;
}

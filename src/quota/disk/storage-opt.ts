/**
 * Can the engine limit a container's own layer (`--storage-opt size=`)? overlay2 can on xfs with project quotas; on anything
 * else the engine refuses the create. Source: docs.docker.com, "docker run", storage driver options.
 */
import { readFileSync } from "node:fs";
import { mountOf } from "./mounted.ts";

export interface StorageFacts {
  /** `Driver` of the engine's info. */
  readonly driver: string;
  /** `DockerRootDir`. */
  readonly root: string | undefined;
}

export interface StorageSupport {
  readonly supported: boolean;
  readonly why: string;
}

/** @param mountinfo of the engine's mount namespace; ours unless told. */
export function storageOptSupport({ driver, root }: StorageFacts, mountinfo: string = readFileSync("/proc/self/mountinfo", "utf8")): StorageSupport {
  if (driver === "btrfs" || driver === "zfs") return { supported: true, why: `${driver} limits its subvolumes` };
  if (driver !== "overlay2") return { supported: false, why: `the storage driver ${driver} cannot` };
  const mount = root === undefined ? undefined : mountOf(root, mountinfo);
  if (mount === undefined) return { supported: false, why: "where the engine keeps its layers is not known" };
  if (mount.type !== "xfs") return { supported: false, why: `overlay2 can on xfs, and this is ${mount.type}` };
  if (!mount.options.some((option) => option === "prjquota" || option === "pquota")) return { supported: false, why: "xfs is mounted without pquota" };
  return { supported: true, why: "overlay2 on xfs with project quotas" };
}

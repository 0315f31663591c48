/** Which block device a path lies on: io limits are for whole disks, by number. Source: Documentation/ABI/testing/sysfs-block. */
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface BlockDevice {
  /** `254:0`. */
  readonly number: string;
  /** `/dev/vda`. */
  readonly path: string;
}

/** Undefined for what is on no block device of its own (tmpfs, overlay, network). Throws the system's error for a path that is not there. */
export function blockDeviceOf(path: string): BlockDevice | undefined {
  const { dev } = statSync(path);
  const [major, minor] = numbersOf(dev);
  if (major === 0) return undefined;
  try {
    const node = realpathSync(`/sys/dev/block/${major}:${minor}`);
    // A partition's folder is inside its disk's.
    const disk = existsSync(join(node, "partition")) ? dirname(node) : node;
    return { number: readFileSync(join(disk, "dev"), "utf8").trim(), path: `/dev/${basename(disk).replaceAll("!", "/")}` };
  } catch {
    return undefined;
  }
}

/** Linux's encoding of a device number in user space (sysmacros.h). */
function numbersOf(dev: number): readonly [number, number] {
  const value = BigInt(dev);
  const major = Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & ~0xfffn));
  const minor = Number((value & 0xffn) | ((value >> 12n) & ~0xffn));
  return [major, minor];
}

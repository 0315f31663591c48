/** Which uid a jail has. Root never runs one as root: another uid is taken that owns nothing and that nobody logs in as. */
import { readFileSync } from "node:fs";

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** True when the caller is root, and becomes this uid first. */
  readonly dropped: boolean;
}

/** Above every range that systems hand out (systemd ends at 2^31 - 2^16 with its containers, users at 60,000). */
const BASE = 0x7a00_0000;
const NOBODY = 65534;

export function jailIdentity(): Identity {
  const uid = process.geteuid?.() ?? NOBODY;
  if (uid !== 0) return { uid, gid: process.getegid?.() ?? NOBODY, dropped: false };
  // One uid for each process of ours, so that two of them cannot reach into each other's jails by it.
  const own = BASE + process.pid;
  const usable = isMapped("/proc/self/uid_map", own) && isMapped("/proc/self/gid_map", own) ? own : NOBODY;
  return { uid: usable, gid: usable, dropped: true };
}

/** In a container with a user namespace only some ids exist; see user_namespaces(7). */
function isMapped(map: string, id: number): boolean {
  return readFileSync(map, "utf8")
    .split("\n")
    .some((line) => {
      const [inside, , count] = line.trim().split(/\s+/).map(Number);
      return inside !== undefined && count !== undefined && id >= inside && id < inside + count;
    });
}

/** /proc/PID/mountinfo. Source: proc_pid_mountinfo(5). */
import { CofferdamError } from "../../../foundation/index.ts";

export interface MountEntry {
  /** Device number of the file system, `254:0`. */
  readonly device: string;
  /** Which folder or file of it is mounted. */
  readonly root: string;
  readonly target: string;
  /** Of the mount and of the file system: `ro`, `nosuid`, `size=65536k`. */
  readonly flags: ReadonlySet<string>;
  readonly superFlags: ReadonlySet<string>;
  readonly type: string;
}

const MAX_MOUNTS = 4096;
const LINE = /^\d+ \d+ (\d+:\d+) (\S+) (\S+) (\S+) (?:\S+ )*?- (\S+) (?:\S*) ?(\S*)$/;

/** In the order of mounting. Throws SECURITY_VIOLATION for a line that cannot be read: what it mounts would go unseen. */
export function parseMountinfo(text: string): readonly MountEntry[] {
  const lines = text.split("\n").filter((line) => line !== "");
  if (lines.length > MAX_MOUNTS) throw new CofferdamError("SECURITY_VIOLATION", `${lines.length} mounts in the container`);
  return lines.map((line) => {
    const [, device, root, target, flags, type, superFlags] = LINE.exec(line) ?? [];
    if (device === undefined || root === undefined || target === undefined || flags === undefined || type === undefined)
      throw new CofferdamError("SECURITY_VIOLATION", "a mount of the container cannot be read");
    return {
      device,
      root: plain(root),
      target: plain(target),
      flags: new Set(flags.split(",")),
      superFlags: new Set((superFlags ?? "").split(",")),
      type,
    };
  });
}

/** The kernel writes space, tab, newline and backslash as octal bytes. */
function plain(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

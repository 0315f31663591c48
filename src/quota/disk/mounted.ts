/** Is something mounted at a path? Source: proc_pid_mountinfo(5). */
import { readFileSync } from "node:fs";

export interface MountEntry {
  readonly path: string;
  readonly type: string;
  /** Options of the mount and of the file system. */
  readonly options: readonly string[];
}

/** Mounts at exactly this path, the uppermost last. */
export function mountsAt(path: string, mountinfo: string = readFileSync("/proc/self/mountinfo", "utf8")): readonly MountEntry[] {
  return parseMountinfo(mountinfo).filter((entry) => entry.path === path);
}

/** The mount that a path lies on. */
export function mountOf(path: string, mountinfo: string): MountEntry | undefined {
  const above = (entry: MountEntry): boolean => entry.path === "/" || path === entry.path || path.startsWith(`${entry.path}/`);
  return parseMountinfo(mountinfo)
    .filter(above)
    .reduce<MountEntry | undefined>((best, entry) => (best === undefined || entry.path.length >= best.path.length ? entry : best), undefined);
}

function parseMountinfo(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => {
    const [, path, options, type, more] = /^\d+ \d+ \S+ \S+ (\S+) (\S+) .*?- (\S+) \S+ (\S+)$/.exec(line) ?? [];
    if (path === undefined || type === undefined) return [];
    return [{ path: unescaped(path), type, options: [...(options ?? "").split(","), ...(more ?? "").split(",")] }];
  });
}

/** Space, tab, line feed and backslash are written as octal numbers. */
function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** What the box sees of the host's file system: system directories read-only, nothing of anybody's home. */
import { lstatSync, readlinkSync } from "node:fs";

/** Directories that a merged-/usr system links and an older one has. */
const SYSTEM_ROOTS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] as const;

/** bubblewrap arguments for the fixed part: /usr, its links, /proc, /dev, private /tmp and home. */
export function systemMounts(): string[] {
  const args = ["--ro-bind", "/usr", "/usr"];
  for (const path of SYSTEM_ROOTS) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() === true) args.push("--symlink", readlinkSync(path), path);
    else if (stat?.isDirectory() === true) args.push("--ro-bind", path, path);
  }
  // The dynamic linker's cache: without it a Node in an unusual place does not find its libraries.
  if (lstatSync("/etc/ld.so.cache", { throwIfNoEntry: false })?.isFile() === true) args.push("--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache");
  // A root-owned process could write /proc/sys/kernel/core_pattern through its uid alone, without any capability.
  args.push("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", "--tmpfs", "/tmp", "--perms", "0700", "--dir", "/tmp/home");
  return args;
}

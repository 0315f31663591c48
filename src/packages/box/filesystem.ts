/** What the box sees of the host's file system: system directories read-only, nothing of anybody's home. */
import { lstatSync } from "node:fs";
import { systemBinds } from "../../sandbox/index.ts";

/** bubblewrap arguments for the fixed part: /usr, its links, /proc, /dev, private /tmp and home. */
export function systemMounts(): string[] {
  const args = systemBinds();
  // The dynamic linker's cache: without it a Node in an unusual place does not find its libraries.
  if (lstatSync("/etc/ld.so.cache", { throwIfNoEntry: false })?.isFile() === true) args.push("--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache");
  // A root-owned process could write /proc/sys/kernel/core_pattern through its uid alone, without any capability.
  args.push("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", "--tmpfs", "/tmp", "--perms", "0700", "--dir", "/tmp/home");
  return args;
}

/**
 * The mounts of a container against what it was given: every mount must be one that is expected, and every one that is
 * expected must be there, with its flags. Nothing else may be mounted, and nothing twice.
 */
import { statSync } from "node:fs";
import type { Expected } from "../create-body.ts";
import type { Scratch } from "../profile.ts";
import type { Controls } from "./control.ts";
import { type MountEntry, parseMountinfo } from "./mountinfo.ts";
import type { ProcessView } from "./process-view.ts";

/** What every container has, by place: type of the file system and flags that must be there. */
const USUAL: Readonly<Record<string, { readonly types: readonly string[]; readonly flags: readonly string[] }>> = {
  "/proc": { types: ["proc"], flags: ["nosuid", "nodev", "noexec"] },
  "/dev": { types: ["tmpfs"], flags: ["nosuid"] },
  "/dev/pts": { types: ["devpts"], flags: ["nosuid", "noexec"] },
  "/dev/mqueue": { types: ["mqueue"], flags: ["nosuid", "nodev", "noexec"] },
  "/dev/shm": { types: ["tmpfs"], flags: ["nosuid", "nodev", "noexec"] },
  "/sys": { types: ["sysfs"], flags: ["ro", "nosuid", "nodev", "noexec"] },
};
/** A read-only one of v1 for each controller, in a tmpfs; one of v2. */
const CGROUPS = "/sys/fs/cgroup";
const KIB = 1024;

export function proveMounts(controls: Controls, view: ProcessView, expected: Expected): void {
  const entries = parseMountinfo(view.text("mountinfo"));
  const seen = new Map<string, MountEntry>();
  for (const entry of entries) {
    if (seen.has(entry.target)) controls.check("mounts", entry.target, "one mount", "mounted twice", false);
    seen.set(entry.target, entry);
  }
  const left = new Set(seen.keys());
  const take = (target: string): MountEntry | undefined => {
    left.delete(target);
    return seen.get(target);
  };
  proveRoot(controls, take("/"), expected);
  for (const [target, { types, flags }] of Object.entries(USUAL)) {
    const entry = take(target);
    controls.check(
      "mounts",
      target,
      `${types.join("|")} ${flags.join(",")}`,
      describe(entry),
      entry !== undefined && types.includes(entry.type) && hasAll(entry, flags),
    );
  }
  const shm = seen.get("/dev/shm");
  controls.check("mounts", "size of /dev/shm", kilobytes(expected.profile.shmBytes), sizeOf(shm), sizeOf(shm) === kilobytes(expected.profile.shmBytes));
  if (expected.tty) controls.equal("mounts", "/dev/console", "devpts", take("/dev/console")?.type ?? "not mounted");
  proveCgroups(
    controls,
    [...left].filter((target) => target === CGROUPS || target.startsWith(`${CGROUPS}/`)).flatMap((target) => take(target) ?? []),
  );
  for (const mount of expected.mounts) proveBind(controls, view, take(mount.target), mount);
  for (const scratch of expected.scratch) proveScratch(controls, take(scratch.path), scratch);
  proveMasks(controls, view, expected, take, seen.get("/dev"));
  for (const target of left) controls.check("mounts", target, "not mounted", describe(seen.get(target)), false);
  controls.holds("mounts", true);
}

function proveRoot(controls: Controls, entry: MountEntry | undefined, { profile }: Expected): void {
  const readOnly = entry?.flags.has("ro") === true;
  controls.check("read-only-root", "/", profile.readOnlyRoot ? "read-only" : "any", readOnly ? "read-only" : "writable", readOnly || !profile.readOnlyRoot);
  controls.holds("read-only-root", readOnly);
}

function proveCgroups(controls: Controls, entries: readonly MountEntry[]): void {
  for (const entry of entries) {
    const ok =
      entry.type === "tmpfs"
        ? entry.target === CGROUPS && hasAll(entry, ["nosuid", "nodev", "noexec"])
        : /^cgroup2?$/.test(entry.type) && hasAll(entry, ["ro", "nosuid", "nodev", "noexec"]);
    controls.check("mounts", entry.target, "cgroup ro,nosuid,nodev,noexec", describe(entry), ok);
  }
}

/** The same inode on both sides: a path that was swapped, or an engine that sees other mounts than we do, shows here. */
function proveBind(controls: Controls, view: ProcessView, entry: MountEntry | undefined, { source, target, readOnly }: Expected["mounts"][number]): void {
  const inside = view.inside(target);
  const outside = statSync(source, { bigint: true, throwIfNoEntry: false });
  const same = inside !== undefined && outside !== undefined && inside.dev === outside.dev && inside.ino === outside.ino;
  const wanted = readOnly ? "read-only" : "writable";
  const found = entry === undefined ? "not mounted" : entry.flags.has("ro") ? "read-only" : "writable";
  controls.check(
    "mounts",
    target,
    `${wanted}, the folder that was prepared`,
    `${found}, ${same ? "the folder that was prepared" : "another one"}`,
    wanted === found && same,
  );
}

function proveScratch(controls: Controls, entry: MountEntry | undefined, { path, bytes, inodes, exec }: Scratch): void {
  const flags = ["rw", "nosuid", "nodev", ...(exec ? [] : ["noexec"])];
  const ok = entry?.type === "tmpfs" && hasAll(entry, flags) && sizeOf(entry) === kilobytes(bytes) && entry.superFlags.has(`nr_inodes=${inodes}`);
  controls.check("mounts", path, `tmpfs ${flags.join(",")} ${kilobytes(bytes)}`, `${describe(entry)} ${sizeOf(entry)}`, ok);
}

/** A masked folder is an empty tmpfs, a masked file is /dev/null; what the kernel does not have needs neither. */
function proveMasks(
  controls: Controls,
  view: ProcessView,
  { profile }: Expected,
  take: (target: string) => MountEntry | undefined,
  dev: MountEntry | undefined,
): void {
  for (const path of profile.maskedPaths) {
    const entry = take(path);
    if (entry === undefined && view.inside(path) === undefined) continue;
    const hidden =
      entry !== undefined &&
      (entry.type === "tmpfs" ? (entry.root === "/null" && entry.device === dev?.device) || (entry.root === "/" && entry.flags.has("ro")) : false);
    controls.check("masked-paths", path, "hidden", hidden ? "hidden" : describe(entry), hidden);
  }
  for (const path of profile.readOnlyPaths) {
    const entry = take(path);
    if (entry === undefined && view.inside(path) === undefined) continue;
    controls.check("masked-paths", path, "read-only", describe(entry), entry?.type === "proc" && entry.flags.has("ro"));
  }
  controls.holds("masked-paths", true);
}

function hasAll(entry: MountEntry, flags: readonly string[]): boolean {
  return flags.every((flag) => entry.flags.has(flag));
}

function kilobytes(bytes: number): string {
  return `size=${Math.ceil(bytes / KIB)}k`;
}

function sizeOf(entry: MountEntry | undefined): string {
  return [...(entry?.superFlags ?? [])].find((flag) => flag.startsWith("size=")) ?? "no size";
}

function describe(entry: MountEntry | undefined): string {
  return entry === undefined ? "not mounted" : `${entry.type} ${[...entry.flags].join(",")}`;
}

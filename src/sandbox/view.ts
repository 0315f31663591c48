/** What a jail sees: bubblewrap's options for its file system, and the same again as Landlock rules. */
import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { keptEtc, ownEtc } from "./etc.ts";
import type { Identity } from "./identity.ts";
import type { WritableTree } from "./jail-types.ts";
import { maskedNodes } from "./masks.ts";

/** Directories that a merged-/usr system links and an older one has. */
const SYSTEM_ROOTS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] as const;
export const JAIL_HOME = "/home/jail";
export const JAIL_HELPER = "/run/cofferdam/jail";

export interface ViewRequest {
  readonly stage: string;
  readonly helper: string;
  readonly identity: Identity;
  readonly readable: readonly string[];
  readonly writable: readonly WritableTree[];
  readonly masked: readonly string[] | undefined;
}

export interface View {
  /** For `cofferdam-jail enter`: what to put on the stage. */
  readonly enter: readonly string[];
  /** For bubblewrap. */
  readonly bubblewrap: readonly string[];
  /** For `cofferdam-jail init`: Landlock rules. */
  readonly landlock: readonly string[];
  /** Trees on the stage, by their place on it, for reading what was written. */
  readonly staged: readonly { readonly tree: WritableTree; readonly place: string }[];
}

/** bubblewrap options for the system's programs and libraries, read-only. */
export function systemBinds(): string[] {
  const args = ["--ro-bind", "/usr", "/usr"];
  for (const path of SYSTEM_ROOTS) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSymbolicLink() === true) args.push("--symlink", readlinkSync(path), path);
    else if (stat?.isDirectory() === true) args.push("--ro-bind", path, path);
  }
  return args;
}

/** Throws RESOURCE_EXHAUSTED when a bound tree has more entries than can be looked through. */
export function viewOf(request: ViewRequest): View {
  const { stage, identity } = request;
  const stagePlan = new Stage(stage, identity.dropped);
  const mounts: string[] = [...systemBinds(), "--ro-bind", `${stage}/etc`, "/etc"];
  // A uid of root alone, without any capability, could write /proc/sys/kernel/core_pattern.
  mounts.push("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev", "--bind", `${stage}/t2`, "/dev/shm", "--remount-ro", "/dev");

  const landlock = ["-r", "/usr", "-r", "/etc", "-r", "/proc", "-r", "/run", "-v", "/dev", "-w", "/dev/shm", "-w", "/tmp", "-w", JAIL_HOME];
  for (const path of SYSTEM_ROOTS) if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) landlock.push("-r", path);

  const binds: { readonly to: string; readonly args: readonly string[] }[] = [];
  const staged: View["staged"][number][] = [];
  const masked: string[] = [...(request.masked ?? [])];
  for (const path of [...new Set(request.readable)]) {
    binds.push({ to: path, args: ["--ro-bind", stagePlan.outside(path), path] });
    landlock.push("-r", path);
    if (request.masked === undefined) masked.push(...maskedNodes(path));
  }
  for (const tree of request.writable) {
    const except = tree.except.map((relative) => join(tree.path, relative)).filter((path) => isPlain(path));
    if (tree.mode === "staged") {
      const place = stagePlan.copy(tree);
      staged.push({ tree, place });
      binds.push({ to: tree.path, args: ["--bind", place, tree.path] });
    } else {
      binds.push({ to: tree.path, args: ["--bind", tree.path, tree.path] });
      if (request.masked === undefined) masked.push(...maskedNodes(tree.path));
    }
    landlock.push("-w", tree.path);
    for (const path of except) binds.push({ to: path, args: ["--ro-bind", stagePlan.outside(path), path] });
  }
  mounts.push(...folders([JAIL_HELPER, JAIL_HOME]));
  mounts.push("--bind", `${stage}/t0`, "/tmp", "--bind", `${stage}/t1`, JAIL_HOME, "--ro-bind", stagePlan.outside(request.helper), JAIL_HELPER);
  mounts.push(...folders(binds.map(({ to }) => to)));
  // Outer folders first, so that an inner mount is not covered by an outer one.
  for (const { args } of binds.sort((a, b) => a.to.length - b.to.length || (a.to < b.to ? -1 : 1))) mounts.push(...args);
  // What is not copied to the stage is not there to be covered: a place to mount on would come back as one of its outputs.
  const covered = (path: string): boolean => {
    const inner = binds.findLast(({ to }) => path.startsWith(`${to}/`));
    return !staged.some(({ tree }) => tree.path === inner?.to);
  };
  for (const path of [...new Set(masked)].filter(covered)) mounts.push("--ro-bind", `${stage}/nothing`, path);
  mounts.push("--remount-ro", "/");
  const etc = [
    ...keptEtc().flatMap((name) => ["-e", name]),
    ...[...ownEtc(identity.uid, identity.gid, JAIL_HOME)].flatMap(([name, text]) => ["-E", `${name}=${text}`]),
  ];
  return { enter: [...etc, ...stagePlan.args()], bubblewrap: mounts, landlock, staged };
}

/** Left to itself bubblewrap makes them for its own uid alone, which is root's where no user namespace can be made. */
function folders(paths: readonly string[]): string[] {
  return [...parentsOf(paths)].flatMap((folder) => ["--perms", "0755", "--dir", folder]);
}

/** Every folder above these paths, outer ones first. */
export function parentsOf(paths: readonly string[]): Set<string> {
  const parents = new Set<string>();
  for (const path of paths) for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) parents.add(path.slice(0, at));
  return parents;
}

/** Only what can be mounted on: a link could lead anywhere. */
function isPlain(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true || stat?.isFile() === true;
}

/** Collects what `cofferdam-jail enter` puts on the stage; a place's number is its order there. */
class Stage {
  readonly #stage: string;
  readonly #private: boolean;
  readonly #copies: string[][] = [];
  readonly #entrances: string[] = [];

  /** @param needsEntrances the jail's uid may not be able to pass the folders above a path. */
  constructor(stage: string, needsEntrances: boolean) {
    this.#stage = stage;
    this.#private = needsEntrances;
  }

  copy({ path, except, only }: WritableTree): string {
    const options = [...except.flatMap((relative) => ["-x", relative]), ...(only ?? []).flatMap((relative) => ["-o", relative])];
    return `${this.#stage}/w${this.#copies.push(["-w", path, ...options]) - 1}`;
  }

  /** Where a host path can be bound from. */
  outside(path: string): string {
    if (!this.#private || isPublic(path)) return path;
    const known = this.#entrances.indexOf(path);
    return `${this.#stage}/b${known >= 0 ? known : this.#entrances.push(path) - 1}`;
  }

  args(): string[] {
    return [...this.#copies.flat(), ...this.#entrances.flatMap((path) => ["-b", path])];
  }
}

/** True when everybody may pass every folder above. */
function isPublic(path: string): boolean {
  for (let at = join(realpathSync(path), ".."); ; at = join(at, "..")) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === "/") return true;
  }
}

/**
 * Which package a script belongs to when a client calls us as its shell. The client says so in the environment, where
 * anybody could have written it: place and package.json on the disk decide, and what is claimed must agree with them.
 */
import { existsSync, lstatSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative } from "node:path";
import { CofferdamError, homeFolder } from "../../foundation/index.ts";
import type { LockedPackage, NpmLockfile } from "../../inventory/index.ts";
import { openProject } from "../install/project.ts";
import { parseScriptManifest, readScriptManifest, type ScriptManifest } from "./manifest.ts";
import { projectSubject, type ScriptSubject, subjectOf } from "./subject.ts";

export interface Asker {
  /** Where the script runs, a real path. */
  readonly folder: string;
  /** The project around it. For a dependency: the one whose node_modules it is in. */
  readonly root: string;
  /** `own`: the user's code. `dependency`: what is in a node_modules folder, or is prepared for one. */
  readonly kind: "own" | "dependency";
  /** From the root to the package's own folder. */
  readonly path: string;
  /** Of the package; without scripts where there is no package.json (`npx` works anywhere). */
  readonly manifest: ScriptManifest;
  /** What the client calls it: `postinstall`, `build`, `npx`. */
  readonly event: string;
  /** npm's command: `ci`, `run`, `exec`. */
  readonly command: string;
  /** True when the client runs it by itself, false when the user asked for it by name. */
  readonly lifecycle: boolean;
}

const LIFECYCLE: ReadonlySet<string> = new Set(
  ["install", "prepare", "publish", "pack", "dependencies", "version", "shrinkwrap", "uninstall"].flatMap((name) => [name, `pre${name}`, `post${name}`]),
);
/** npm's commands that run what the user named. */
const ASKED_FOR: ReadonlySet<string> = new Set(["run", "run-script", "exec", "test", "start", "stop", "restart", ""]);

/**
 * Throws SECURITY_VIOLATION when what the environment says does not fit what is there, FAILED_PRECONDITION where the project
 * would be the user's home, and what reading package.json throws.
 */
export async function whoAsks(cwd: string, env: Readonly<NodeJS.ProcessEnv>): Promise<Asker> {
  const folder = realpathSync(cwd);
  const event = wordOf(env["npm_lifecycle_event"]);
  const command = wordOf(env["npm_command"]);
  const found = await placeOf(folder, env);
  assertShowable(found.root, env);
  const manifest = await readScriptManifest(found.kind === "dependency" ? folder : join(found.root, found.path));
  if (manifest === undefined && found.kind === "dependency") throw violation(`${folder} is in node_modules, but it is no package`);
  assertClaims(folder, manifest, event, env);
  const lifecycle = found.kind === "dependency" || LIFECYCLE.has(event) || !ASKED_FOR.has(command);
  return { folder, ...found, manifest: manifest ?? parseScriptManifest("{}"), event, command, lifecycle };
}

export function ownSubject({ root, path, manifest }: Asker): ScriptSubject {
  return { ...projectSubject(manifest.name || basename(root) || "the project", manifest.version || undefined), path };
}

/**
 * A dependency with its entry in the lockfile, when there is one and it says the same as the disk and the client. Without it
 * nobody vouches for the name: no approval and no grant can be meant for it.
 */
export function dependencySubject(asker: Asker, lockfile: NpmLockfile | undefined, env: Readonly<NodeJS.ProcessEnv>): ScriptSubject {
  const { path, manifest } = asker;
  const { name, version } = manifest;
  const locked = lockfile?.packages.find((one) => one.path === path);
  const integrity = env["npm_package_integrity"];
  const agrees =
    locked?.name === name &&
    (locked.version === undefined || sameVersion(locked.version, version)) &&
    (integrity === undefined || integrity === "" || locked.integrity === undefined || integrity === locked.integrity);
  const subject = agrees ? subjectOf(locked) : undefined;
  // A folder of the user's own does not lie in node_modules.
  if (subject !== undefined && subject.origin !== "own") return subject;
  return { path, name: name || basename(asker.folder), version: version || undefined, origin: "dependency", integrity: undefined, locked: undefined };
}

/** A package of which only its own word is known, as if it came from a registry: for what denies, and for nothing else. */
export function asClaimed({ path, name, version }: ScriptSubject): LockedPackage {
  const nothing = { dev: false, optional: false, devOptional: false, peer: false, extraneous: false, hasInstallScript: true };
  return {
    ...{ path, name, version, kind: "registry", ...nothing },
    resolved: undefined,
    integrity: undefined,
    target: undefined,
    os: [],
    cpu: [],
    libc: [],
    requires: new Map(),
    requiresForDev: new Set(),
  };
}

async function placeOf(folder: string, env: Readonly<NodeJS.ProcessEnv>): Promise<Pick<Asker, "root" | "kind" | "path">> {
  const at = `${folder}/`.indexOf("/node_modules/");
  if (at >= 0) {
    const above = folder.slice(0, at) || "/";
    // Global installs and the like have no project.
    const root = existsSync(join(above, "package.json")) ? (await openProject(above)).root : above;
    return { root, kind: "dependency", path: relative(root, folder) };
  }
  // npm prepares git dependencies in a clone, with a project of their own: somebody else's code all the same.
  if ((env["_PACOTE_NO_PREPARE_"] ?? "") !== "" || folder.includes("/_cacache/tmp/")) return { root: folder, kind: "dependency", path: "" };
  const own = packageAbove(folder, homesOf(env));
  if (own === undefined) return { root: folder, kind: "own", path: "" };
  const { root } = await openProject(own);
  return { root, kind: "own", path: relative(root, own) };
}

/** The nearest folder with a package.json; a home folder, or what is above one, only when it is the folder itself. */
function packageAbove(folder: string, homes: readonly string[]): string | undefined {
  for (let at = folder; at !== "/"; at = dirname(at)) {
    if (at !== folder && homes.some((home) => isAtOrAbove(at, home))) return undefined;
    if (existsSync(join(at, "package.json"))) return at;
  }
  return undefined;
}

/** A project is shown to the jail as a whole. */
function assertShowable(root: string, env: Readonly<NodeJS.ProcessEnv>): void {
  if (root !== "/" && !homesOf(env).some((home) => isAtOrAbove(root, home))) return;
  throw new CofferdamError("FAILED_PRECONDITION", `the project would be ${root}, and with it the whole home folder would be in the jail`, {
    hint: "go to a folder of its own; or, if you trust what it runs: --script-shell=/bin/sh",
  });
}

function homesOf(env: Readonly<NodeJS.ProcessEnv>): string[] {
  return [...new Set([homeFolder(env), homeFolder({})])].map((home) => (existsSync(home) ? realpathSync(home) : home));
}

function isAtOrAbove(folder: string, home: string): boolean {
  return home === folder || home.startsWith(folder === "/" ? "/" : `${folder}/`);
}

function assertClaims(folder: string, manifest: ScriptManifest | undefined, event: string, env: Readonly<NodeJS.ProcessEnv>): void {
  const claimed = env["npm_package_json"];
  const file = lstatSync(join(folder, "package.json"), { throwIfNoEntry: false });
  if (claimed !== undefined) {
    const there = isAbsolute(claimed) && basename(claimed) === "package.json" && existsSync(dirname(claimed)) && realpathSync(dirname(claimed)) === folder;
    if (!there) throw violation(`npm_package_json is ${claimed.slice(0, 300)}, but the script runs in ${folder}`);
    // npx runs where the user is, in any folder.
    if (file?.isFile() !== true && (file !== undefined || event !== "npx")) throw violation(`${claimed.slice(0, 300)} is not a file`);
  }
  // npx names the project of the nearest package.json, and runs below it.
  if (event === "npx" || manifest === undefined) return;
  const { npm_package_name: name, npm_package_version: version } = env;
  if (name !== undefined && name.trim() !== manifest.name.trim())
    throw violation(`npm_package_name is ${JSON.stringify(name.slice(0, 214))}, but package.json says ${JSON.stringify(manifest.name)}`);
  if (version !== undefined && !sameVersion(version, manifest.version))
    throw violation(`npm_package_version is ${JSON.stringify(version.slice(0, 256))}, but package.json says ${JSON.stringify(manifest.version)}`);
}

/** As npm cleans them: `v1.0.0`, ` =1.0.0` and `1.0.0+build` are 1.0.0. */
function sameVersion(one: string, other: string): boolean {
  const clean = (text: string): string =>
    text
      .trim()
      .replace(/^[=v\s]+/, "")
      .replace(/\+.*$/, "");
  return clean(one) === clean(other);
}

function wordOf(text: string | undefined): string {
  return text !== undefined && /^[\w:.@/-]{1,128}$/.test(text) ? text : "";
}

function violation(why: string): CofferdamError {
  return new CofferdamError("SECURITY_VIOLATION", `who asks for this script cannot be told: ${why}`, {
    hint: "scripts are run by npm itself, in the folder of their package",
  });
}

/** The project that a client would work on, and the facts about it that judging needs. Reads only. */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { CofferdamError, readBounded } from "../../foundation/index.ts";
import { dependencyMap, isWord, linesOf, MAX_LOCKFILE_BYTES, type NpmLockfile, parseNpmLockfile, recordOf } from "../../inventory/index.ts";
import { gitRoot } from "../../policy/index.ts";

export interface Project {
  /** Real path of the folder with package.json and lockfile. */
  readonly root: string;
  /** Real path of the repository it stands in, or `root`. */
  readonly repository: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly lockfileName: "package-lock.json" | "npm-shrinkwrap.json";
  readonly nodeModulesCommitted: boolean;
  /** Dependency specs of package.json. */
  readonly declared: ReadonlyMap<string, string>;
}

const word = recordOf(isWord, "version ranges");
const manifestSchema = z.looseObject({
  dependencies: word.optional(),
  devDependencies: word.optional(),
  optionalDependencies: word.optional(),
  peerDependencies: word.optional(),
  workspaces: z.unknown().optional(),
});
type Manifest = z.infer<typeof manifestSchema>;

const MAX_MANIFEST: number = 4 * 2 ** 20;
const MAX_INDEX: number = 256 * 2 ** 20;

/** Throws NOT_FOUND when there is no package.json at or above `cwd`, INVALID_ARGUMENT for one that is not JSON. */
export async function openProject(cwd: string): Promise<Project> {
  const root = await projectRoot(realpathSync(cwd));
  const manifest = await readManifest(root);
  const { uid, gid } = statSync(root);
  const repository = gitRoot(root);
  return {
    root,
    repository,
    owner: { uid, gid },
    // npm prefers a shrinkwrap to a lockfile.
    lockfileName: existsSync(join(root, "npm-shrinkwrap.json")) ? "npm-shrinkwrap.json" : "package-lock.json",
    nodeModulesCommitted: existsSync(join(root, "node_modules")) && isCommitted(repository, relative(repository, root)),
    declared: dependencyMap(manifest),
  };
}

export interface ReadLockfile {
  readonly lockfile: NpmLockfile;
  lineOf(path: string): number | undefined;
}

/** The project's lockfile as it is now, or undefined when there is none. */
export async function readLockfile(project: Project): Promise<ReadLockfile | undefined> {
  const bytes = await readBounded(join(project.root, project.lockfileName), { maxBytes: MAX_LOCKFILE_BYTES, what: "lockfile" });
  if (bytes === undefined) return undefined;
  const text = bytes.toString("utf8");
  return { lockfile: parseNpmLockfile(text, project.lockfileName), lineOf: linesOf(text) };
}

/** As npm does: the nearest folder with package.json, or the workspace root above it that counts it as its own. */
async function projectRoot(start: string): Promise<string> {
  let nearest: string | undefined;
  for (let at = start; ; at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) {
      if (nearest === undefined) nearest = at;
      else if (hasWorkspace(at, await readManifest(at), nearest)) return at;
    }
    if (dirname(at) === at) break;
  }
  if (nearest === undefined) throw new CofferdamError("NOT_FOUND", `no package.json in ${start} or above it`, { hint: "run it in the project's folder" });
  return nearest;
}

/** Whether a lockfile at `root` links to `folder`: what npm wrote down counts, patterns are not expanded again. */
function hasWorkspace(root: string, manifest: Manifest, folder: string): boolean {
  if (manifest.workspaces === undefined) return false;
  const place = relative(root, folder);
  return ["package-lock.json", "npm-shrinkwrap.json"].some((name) => {
    const path = join(root, name);
    return existsSync(path) && statSync(path).size <= MAX_LOCKFILE_BYTES && readFileSync(path, "utf8").includes(`${JSON.stringify(place)}: {`);
  });
}

async function readManifest(folder: string): Promise<Manifest> {
  const bytes = await readBounded(join(folder, "package.json"), { maxBytes: MAX_MANIFEST, what: "package.json" });
  try {
    return manifestSchema.parse(JSON.parse(bytes?.toString("utf8").replace(/^\ufeff/, "") ?? "null"));
  } catch (error) {
    throw new CofferdamError("INVALID_ARGUMENT", `package.json of ${folder} cannot be read`, { cause: error });
  }
}

/**
 * Whether git tracks files in node_modules. The index is read as bytes; git itself is not run, because a repository's own
 * configuration can name programs for it to start.
 */
function isCommitted(repository: string, place: string): boolean {
  const index = join(repository, ".git", "index");
  const size = statSync(index, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0 || size > MAX_INDEX) return false;
  const name = `${place === "" ? "" : `${place}/`}node_modules/`;
  const bytes = readFileSync(index);
  for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) {
    // A path stands after two bytes of flags and its own length; inside a longer path a `/` stands in front.
    if (bytes[at - 1] !== 0x2f) return true;
  }
  return false;
}

/** Folders with a node_modules of their own: the root, and those that packages of the lockfile are placed in. */
export function moduleFolders(lockfile: NpmLockfile | undefined): string[] {
  const folders = new Set(["node_modules"]);
  for (const { path } of lockfile?.packages ?? []) {
    const at = path.indexOf("node_modules/");
    if (at > 0) folders.add(path.slice(0, at + "node_modules".length));
  }
  return [...folders];
}

/** True when a Node with musl would run here; decides only what is fetched ahead. */
export function usesMusl(): boolean {
  return existsSync("/lib") && readdirSync("/lib").some((name) => name.startsWith("ld-musl-"));
}

/** How the client is put into the box: what it sees, which configuration it gets, which flags are not its choice. */
import { existsSync, lstatSync, realpathSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import type { LockedPackage } from "../../inventory/index.ts";
import type { Bind, BoxRequest } from "../box/box.ts";
import type { NpmClient } from "../client/locate.ts";
import { lookUp, type NpmrcFile } from "../client/npmrc.ts";
import { ruleOf } from "../client/npmrc-keys.ts";
import type { ClientCommand } from "./command.ts";
import type { Project } from "./project.ts";
import type { RunFolder } from "./run-folder.ts";

/** Paths as the client sees them: in the box they are ours to choose, without one they are the host's. */
interface View {
  readonly npm: string;
  readonly cache: string;
  readonly content: string;
  readonly npmrc: string;
  readonly none: string;
  readonly links: string;
  readonly home: string;
}

const BOXED: View = {
  npm: "/run/cofferdam/npm",
  cache: "/run/cofferdam/cache",
  content: "/run/cofferdam/content",
  npmrc: "/run/cofferdam/npmrc",
  none: "/run/cofferdam/none",
  links: "/run/cofferdam/links.json",
  home: "/tmp/home",
};

/** Not the caller's to change; see command.ts for the flags that are refused. */
const FIXED_FLAGS = [
  "--ignore-scripts",
  "--no-audit",
  "--no-fund",
  "--no-progress",
  "--color=false",
  "--loglevel=warn",
  "--replace-registry-host=always",
  "--fetch-retries=0",
  "--no-update-notifier",
];

export interface ClientBoxParts {
  readonly client: NpmClient;
  readonly command: ClientCommand;
  readonly project: Project;
  readonly cwd: string;
  readonly run: RunFolder;
  readonly contentRoot: string;
  readonly bubblewrap: string | undefined;
  readonly packages: readonly LockedPackage[];
  readonly npmrcPresent: boolean;
  readonly userns: boolean;
  readonly signal: AbortSignal;
  readonly onOutput?: (text: string) => void;
}

/** The box request for a client. The run folder's links and npmrc files are written by the caller. */
export function clientBox(parts: ClientBoxParts): BoxRequest {
  const { client, command, project, bubblewrap } = parts;
  const view = viewOf(parts);
  const owner = process.getuid?.() === 0 && project.owner.uid !== 0 ? project.owner : undefined;
  // npm of a distribution is spread over /usr/share; one of its own stands in one folder.
  const inUsr = client.script.startsWith("/usr/");
  const script = bubblewrap === undefined || inUsr ? client.script : join(view.npm, relative(client.folder, client.script));
  return {
    bubblewrap,
    node: client.node,
    script,
    args: [command.verb, ...FIXED_FLAGS, ...command.args],
    links: view.links,
    binds: bubblewrap === undefined ? [] : binds(parts, inUsr),
    scratch: bubblewrap !== undefined && cachesNothing(command) ? [view.cache] : [],
    cwd: parts.cwd,
    env: {
      HOME: view.home,
      PATH: "/usr/bin:/bin",
      LANG: "C.UTF-8",
      npm_config_cache: view.cache,
      npm_config_userconfig: view.npmrc,
      npm_config_globalconfig: view.none,
      // npm unpacks with every thread it has; more of them than cores only contend (a fifth of a warm install on two).
      UV_THREADPOOL_SIZE: String(Math.min(4, Math.max(2, availableParallelism()))),
    },
    owner,
    userns: parts.userns,
    startTimeout: 20_000,
    ...(parts.onOutput === undefined ? {} : { onOutput: parts.onOutput }),
    signal: parts.signal,
  };
}

export function viewOf({ run, bubblewrap, contentRoot }: Pick<ClientBoxParts, "run" | "bubblewrap" | "contentRoot">): View {
  if (bubblewrap !== undefined) return BOXED;
  return { npm: "", cache: run.cache, content: contentRoot, npmrc: run.npmrc, none: join(run.path, "none"), links: run.links, home: run.cache };
}

function binds({ client, command, project, run, contentRoot, packages, npmrcPresent }: ClientBoxParts, inUsr: boolean): Bind[] {
  const list: Bind[] = [
    { from: project.root, to: project.root, writable: true },
    ...linkedFolders(project, packages).map((folder) => ({ from: folder, to: folder, writable: true })),
  ];
  // Nothing of an install writes there, and a planted hook would run on the host later.
  for (const name of [".git", ".github"]) addReadOnly(list, join(project.root, name));
  if (command.verb === "ci") for (const name of ["package.json", project.lockfileName]) addReadOnly(list, join(project.root, name));
  // The project's own .npmrc was judged; what passed stands in the generated one.
  if (npmrcPresent) list.push({ from: run.emptyFile, to: join(project.root, ".npmrc"), writable: false });
  if (!cachesNothing(command)) list.push({ from: run.cache, to: BOXED.cache, writable: true });
  list.push(
    { from: contentRoot, to: BOXED.content, writable: false },
    { from: run.npmrc, to: BOXED.npmrc, writable: false },
    { from: run.links, to: BOXED.links, writable: false },
  );
  if (!inUsr) list.push({ from: client.folder, to: BOXED.npm, writable: false });
  return list;
}

/**
 * `npm ci` finds what it installs in the store and adds next to nothing: its cache, a thousand links, is memory. (On a busy
 * disk, making and removing them takes half a second.) Other commands may fetch gigabytes, which memory may not hold.
 */
function cachesNothing(command: ClientCommand): boolean {
  return command.verb === "ci";
}

function addReadOnly(list: Bind[], path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true || stat?.isFile() === true) list.push({ from: path, to: path, writable: false });
}

/** Folders outside of the project, in its repository, that lockfile links lead to (`file:../lib`). */
function linkedFolders(project: Project, packages: readonly LockedPackage[]): string[] {
  const folders = new Set<string>();
  for (const { kind, target } of packages) {
    if (kind !== "link" || target === undefined || !mayLink(project, target)) continue;
    const folder = realpathSync(join(project.root, target));
    if (!isInside(folder, project.root)) folders.add(folder);
  }
  return [...folders];
}

/** A link may lead into the project or into the repository it stands in, by its real path. */
export function mayLink(project: Project, target: string): boolean {
  const path = join(project.root, target);
  if (!existsSync(path) || !statSync(path).isDirectory()) return isInside(path, project.root);
  const real = realpathSync(path);
  return isInside(real, project.root) || (isInside(real, project.repository) && project.repository !== real);
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/**
 * The one .npmrc that the boxed client reads: every registry is the gate, its credential is the run's token, and of all
 * other settings only those that shape the tree.
 * @param files settings, the strongest first; the project's file at its place among them.
 */
export function generatedNpmrc(files: readonly NpmrcFile[], scopes: Iterable<string>, port: number, token: string): string {
  const gate = `127.0.0.1:${port}/`;
  const lines = [`registry=http://${gate}`, `//${gate}:_authToken=${token}`];
  for (const scope of scopes) lines.push(`${scope}:registry=http://${gate}`);
  const keys = new Set(files.flatMap((file) => file.entries.map((entry) => entry.key)).filter((key) => ruleOf(key) === "pass"));
  for (const key of keys) {
    const value = lookUp(files, key);
    for (const one of typeof value === "string" ? [value] : (value ?? [])) {
      // A line break in a value would begin a setting of its own.
      if (!/[\r\n]/.test(one)) lines.push(`${key}${typeof value === "string" ? "" : "[]"}=${JSON.stringify(one)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

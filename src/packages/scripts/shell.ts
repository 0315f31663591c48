/**
 * One script for which a client calls us as its shell: who asks, whether it runs, and in which jail. A dependency gets what
 * it would get in a guarded install; the user's own code also gets the project, but for what git, the client and we obey.
 */
import { lstatSync, mkdirSync, renameSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { CofferdamError, homeFolder, readBounded } from "../../foundation/index.ts";
import { type LockedPackage, type NpmLockfile, Places } from "../../inventory/index.ts";
import { type EffectivePolicy, gitRoot } from "../../policy/index.ts";
import { type JailRequest, maskedNodes, type WritableTree } from "../../sandbox/index.ts";
import { locateNpm, type NpmClient } from "../client/locate.ts";
import { openProject, readLockfile } from "../install/project.ts";
import type { Approvals } from "./approvals.ts";
import { type Asker, asClaimed, dependencySubject, ownSubject } from "./asker.ts";
import { decide, type ScriptDecision, type ScriptRules } from "./decide.ts";
import { scriptEnvironment } from "./environment.ts";
import { JAILED_HOME, PROTECTED, programsFor, type ScriptJail, scriptJail } from "./jail.ts";
import { hasBindingGyp, scriptsFor } from "./manifest.ts";
import { npmSkipsUnlisted } from "./npm-approvals.ts";
import { openScriptProject } from "./survey.ts";

export interface ShellScript {
  readonly asker: Asker;
  /** As the client hands it over. */
  readonly body: string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly policy: EffectivePolicy;
}

export interface DecidedScript extends ShellScript {
  readonly decision: ScriptDecision;
  readonly lockfile: NpmLockfile | undefined;
}

const NONE: Approvals = { source: undefined, field: "allowScripts", ignored: [], verdict: () => ({ verdict: "unlisted", by: undefined }) };
const MAX_MANIFEST: number = 4 * 2 ** 20;

/** Throws what reading the project throws. */
export async function decideShellScript(script: ShellScript): Promise<DecidedScript> {
  const { asker, policy } = script;
  const rules: ScriptRules = {
    // Observing lets go on what would be refused; it still goes on in the jail.
    level: policy.values.mode === "observe" ? "low" : policy.values.level,
    approvals: NONE,
    // Of the npm on PATH, or of the one that says it is calling: the stricter of the two.
    clientSkipsUnlisted: [callerOf(script.env, asker.root).client.version, script.env["npm_config_npm_version"] ?? ""].some(npmSkipsUnlisted),
    // The client has that setting, and would not have called us.
    ignoreScripts: false,
    approved: policy.values["scripts.approved"],
    grants: policy.values["scripts.grants"],
  };
  if (asker.kind === "own") return { ...script, decision: decide(rules, ownSubject(asker)), lockfile: await ownLockfile(script) };
  const hasProject = lstatSync(join(asker.root, "package.json"), { throwIfNoEntry: false }) !== undefined && asker.path !== "";
  const opened = hasProject ? await openScriptProject({ cwd: asker.root, env: callerOf(script.env, asker.root).env, policy }) : undefined;
  const subject = dependencySubject(asker, opened?.lockfile, script.env);
  const approvals = opened?.approvals ?? NONE;
  const decision = decide({ ...rules, approvals }, subject);
  // Not in the lockfile (yet): its own word does not get it anything, but a denial of that name is meant for it.
  const denied = subject.locked === undefined ? approvals.verdict(asClaimed(subject)) : undefined;
  if (denied?.verdict !== "denied" || decision.run === "skipped") return { ...script, decision, lockfile: opened?.lockfile };
  const why = `denied by ${denied.by ?? ""} in ${approvals.field} of ${approvals.source ?? "package.json"}`;
  return {
    ...script,
    decision: { ...decision, run: "skipped", basis: "denied", why, grant: { net: [], write: [], key: undefined } },
    lockfile: opened?.lockfile,
  };
}

/** The caller's streams and signal. */
export interface ShellStreams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

export interface ShellJail extends ScriptJail {
  /**
   * To be called when the jail has ended: files that others obey and that were made meanwhile get another name. They are
   * not removed, because in all that time the user may have made them.
   */
  hold(): readonly { readonly path: string; readonly why: string }[];
}

/** Throws ENVIRONMENT_UNFIT when there is no Node or npm to show to it, FAILED_PRECONDITION for a grant that is no folder. */
export function shellJail(script: DecidedScript, streams: ShellStreams): ShellJail {
  const since = Date.now();
  const jail = script.asker.lifecycle ? lifecycleJail(script, streams.signal) : ownJail(script, streams.signal);
  const { stdout, stderr } = streams;
  const own = script.asker.kind === "own";
  const writable = jail.request.writable.map((tree) => (tree.mode === "staged" ? { ...tree, since } : tree));
  const absent = own && !script.asker.lifecycle ? OBEYED.filter((name) => !exists(join(script.asker.root, name))) : [];
  return {
    ...jail,
    request: { ...jail.request, writable, output: { stdout, stderr }, stdin: own ? "inherit" : "ignore" },
    hold: () => absent.flatMap((name) => heldBack(script.asker.root, name)),
  };
}

/** Of the protected paths, those that git or npm would obey at once where there was none before. */
const OBEYED = [".git", ".gitmodules", ".github", ".husky", ".npmrc"] as const;

function heldBack(root: string, name: string): { path: string; why: string }[] {
  if (!exists(join(root, name))) return [];
  const other = `${name}.held-${Date.now()}`;
  renameSync(join(root, name), join(root, other));
  return [{ path: name, why: `made while the script ran; it is ${other} now, rename it if it is yours` }];
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function lifecycleJail(script: DecidedScript, signal: AbortSignal): ScriptJail {
  const { asker, body, decision, policy, lockfile } = script;
  const { manifest, root, event } = asker;
  const caller = callerOf(script.env, root);
  // Exceptions are for the script that the package really has under that name.
  const known = scriptsFor(manifest, [event], hasBindingGyp(asker.folder)).some((one) => one.body === body);
  const places = new Places<LockedPackage>(lockfile ?? { packages: [] });
  const jail = scriptJail({
    ...{ subject: decision.subject, manifest, decision },
    script: { event: event === "" ? "script" : event, body },
    masked: maskedNodes(root),
    options: {
      ...{ root, client: caller.client, nodeVersion: caller.nodeVersion, caller: caller.env, signal },
      initCwd: initCwd(script),
      policy: known ? policy.values : { ...policy.values, "scripts.exceptions": {} },
      command: { verb: asker.command === "" ? "install" : asker.command, omit: new Set() },
    },
    resolve: (name) => places.resolve(decision.subject.path, name),
  });
  if (asker.kind !== "own") return jail;
  return {
    ...jail,
    request: { ...jail.request, env: { ...jail.request.env, ...ownVariables(script.env) }, writable: [...jail.request.writable, ...caches(asker)] },
  };
}

/** `npm run`, `npm test`, `npx`: the user named it, so it has the project, the terminal, and as long as it takes. */
function ownJail(script: DecidedScript, signal: AbortSignal): ScriptJail {
  const { asker, body, decision, policy, env, lockfile } = script;
  const { root, folder, manifest } = asker;
  const caller = callerOf(env, root);
  const programs = programsFor(caller.client, caller.env);
  const repository = gitRoot(root);
  const shown = isHomeOrAbove(repository, env) ? root : repository;
  const fetched = npxFolders(env);
  const request: JailRequest = {
    command: ["/bin/sh", "-c", body],
    cwd: folder,
    env: {
      ...scriptEnvironment({
        ...{ subject: decision.subject, manifest, script: { event: asker.event, body }, root, folder, initCwd: initCwd(script), home: JAILED_HOME },
        ...{ node: caller.client.node, nodeVersion: caller.nodeVersion, npm: caller.client, nodedir: undefined, caller: caller.env },
        path: [...fetched.map((one) => join(one, "node_modules/.bin")), ...caller.inside, ...programs.path],
        command: asker.command,
        omitDev: false,
      }),
      ...ownVariables(env),
      ...forInnerNpm(programs.nodedir),
    },
    readable: [...new Set([shown, ...programs.readable, ...fetched])],
    writable: [{ path: root, mode: mode(), except: protectedPaths(asker, lockfile) }, ...caches(asker), ...granted(root, decision)],
    masked: maskedNodes(shown),
    net: decision.grant.net,
    hidden: [...new Set([homeFolder(env), "/root", "/home"])],
    limits: {
      timeout: MAX_TIME,
      memory: policy.values["scripts.memory"],
      disk: policy.values["scripts.disk"],
      fileSize: MAX_FILE,
      output: Number.MAX_SAFE_INTEGER,
      pids: 4096,
    },
    level: policy.values.level,
    // As with any shell: what a failing test run has written is there afterwards.
    keep: "always",
    output: "capture",
    signal,
  };
  return { request, exceptions: [], close: () => undefined };
}

/** The longest that a timer can wait. */
const MAX_TIME: number = 2 ** 31 - 1;
const MAX_FILE: number = 64 * 2 ** 30;

/** Root never runs a jail as root, and another uid must not write the host's files: it writes a copy. */
function mode(): WritableTree["mode"] {
  return process.geteuid?.() === 0 ? "staged" : "direct";
}

/** In the project and in each of its workspaces: what is there. Of what is not, a copy brings nothing that is obeyed. */
function protectedPaths({ root, path }: Asker, lockfile: NpmLockfile | undefined): string[] {
  const folders = (lockfile?.packages ?? []).flatMap((one) => (one.kind === "folder" && !one.path.startsWith("..") ? [one.path] : []));
  const all = [...new Set(["", path, ...folders])].flatMap((folder) => PROTECTED.map((name) => join(folder, name)));
  const refused: ReadonlySet<string> = new Set(mode() === "staged" ? OBEYED : []);
  return all.filter((one) => refused.has(one) || exists(join(root, one)));
}

/** Folders in node_modules that belong to no package, where build tools keep what they can make again. */
const CACHES = [".cache", ".vite", ".vite-temp"] as const;

function caches({ root, path }: Asker): WritableTree[] {
  const modules = [...new Set([root, join(root, path)])].map((folder) => join(folder, "node_modules")).filter(isFolder);
  return modules.flatMap((folder) =>
    CACHES.flatMap((name): WritableTree[] => {
      const cache = join(folder, name);
      mkdirSync(cache, { recursive: true });
      // A copy would be of any size: as root a cache is seen empty, and what was put there comes back.
      return isFolder(cache) ? [{ path: cache, mode: mode(), except: [], ...(mode() === "staged" ? { only: [NOTHING] } : {}) }] : [];
    }),
  );
}

const NOTHING = ".cofferdam-nothing";

function granted(root: string, decision: ScriptDecision): WritableTree[] {
  return decision.grant.write.map((relativePath) => {
    let at = root;
    for (const name of relativePath.split("/")) {
      at = join(at, name);
      if (lstatSync(at, { throwIfNoEntry: false }) === undefined) mkdirSync(at);
      if (!isFolder(at)) throw new CofferdamError("FAILED_PRECONDITION", `${relativePath} was granted for writing, but ${relative(root, at)} is not a folder`);
    }
    return { path: at, mode: mode(), except: [] };
  });
}

/** What a terminal needs, what Node may be told, and what build tools write into pages for everybody to read. */
const OWN_WORDS: Readonly<Record<string, RegExp>> = {
  TERM: /^[A-Za-z0-9_.+-]{1,64}$/,
  COLORTERM: /^[A-Za-z0-9_.-]{1,32}$/,
  COLUMNS: /^\d{1,5}$/,
  LINES: /^\d{1,5}$/,
  PORT: /^\d{1,5}$/,
  DEBUG: /^[\w:*,. -]{1,128}$/,
  NODE_OPTIONS: /^\s*(?:--[a-z-]+(?:=\d+)?\s*)+$/,
};
const PUBLISHED = /^(?:VITE|REACT_APP|NEXT_PUBLIC|NUXT_PUBLIC|EXPO_PUBLIC|PUBLIC|VUE_APP|GATSBY)_[A-Za-z0-9_]{1,100}$/;

function ownVariables(env: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const taken: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    const rule = Object.hasOwn(OWN_WORDS, name) ? OWN_WORDS[name] : undefined;
    if (rule?.test(value) === true || (PUBLISHED.test(name) && value.length <= 4096)) taken[name] = value;
  }
  return taken;
}

/**
 * A script that calls npm is in the jail already: its scripts run by /bin/sh whatever .npmrc says, and it looks for no newer
 * npm. Headers for node-gyp go by the name that npm itself does not warn of.
 */
function forInnerNpm(nodedir: string | undefined): Record<string, string> {
  const settings = { npm_config_script_shell: "/bin/sh", npm_config_update_notifier: "false" };
  return nodedir === undefined ? settings : { ...settings, npm_package_config_node_gyp_nodedir: nodedir };
}

/** Workspaces are protected, and husky is known, by the lockfile; other projects do without reading it. */
async function ownLockfile({ asker }: ShellScript): Promise<NpmLockfile | undefined> {
  const bytes = await readBounded(join(asker.root, "package.json"), { maxBytes: MAX_MANIFEST, what: "package.json" });
  const needed = bytes !== undefined && (asker.lifecycle || /"workspaces"|"file:/.test(bytes.toString("utf8")));
  return needed ? (await readLockfile(await openProject(asker.root)))?.lockfile : undefined;
}

interface Caller {
  readonly client: NpmClient;
  /** `v26.1.0`, as the client says. */
  readonly nodeVersion: string;
  /** The caller's, with a PATH from which the project can choose nothing. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** Folders of the PATH that lie in the project. */
  readonly inside: readonly string[];
}

function callerOf(env: Readonly<NodeJS.ProcessEnv>, root: string): Caller {
  const folders = (env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/") && !/\/(?:node_modules\/\.bin|node-gyp-bin)\/?$/.test(folder));
  const isInside = (folder: string): boolean => folder === root || folder.startsWith(`${root}/`);
  const path = folders.filter((folder) => !isInside(folder)).join(":");
  const version = /\bnode\/(v\d+\.\d+\.\d+)\b/.exec(env["npm_config_user_agent"] ?? "")?.[1];
  return { client: clientOf(path, env), nodeVersion: version ?? process.version, env: { ...env, PATH: path }, inside: folders.filter(isInside) };
}

/** By the PATH, as the shell finds it; where that has a version manager's shims, the one beside the Node that runs npm. */
function clientOf(path: string, env: Readonly<NodeJS.ProcessEnv>): NpmClient {
  try {
    return locateNpm(path);
  } catch (error) {
    const running = env["npm_node_execpath"];
    if (running?.startsWith("/") !== true || basename(running) !== "node") throw error;
    return locateNpm(dirname(running));
  }
}

/** What npx fetched for this call: folders of its cache, which are otherwise hidden with the home. */
function npxFolders(env: Readonly<NodeJS.ProcessEnv>): string[] {
  const folders = (env["PATH"] ?? "").split(":").map((folder) => /^(\/.*\/_npx\/[0-9a-f]{16})\/node_modules\/\.bin$/.exec(folder)?.[1]);
  return folders.filter((folder) => folder !== undefined).filter(isFolder);
}

function initCwd({ env, asker }: ShellScript): string {
  const claimed = env["INIT_CWD"] ?? "";
  return claimed === asker.root || claimed.startsWith(`${asker.root}/`) ? claimed : asker.root;
}

function isHomeOrAbove(folder: string, env: Readonly<NodeJS.ProcessEnv>): boolean {
  return [homeFolder(env), homeFolder({})].some((home) => home === folder || home.startsWith(folder === "/" ? "/" : `${folder}/`));
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

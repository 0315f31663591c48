/** The jail of one script: what it sees, what it may write, and what of that counts. */
import { existsSync, lstatSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { CofferdamError, homeFolder } from "../../foundation/index.ts";
import type { LockedPackage } from "../../inventory/index.ts";
import { type JailRequest, toolchain, type WritableTree } from "../../sandbox/index.ts";
import type { NpmClient } from "../client/locate.ts";
import type { ClientCommand } from "../install/command.ts";
import type { ScriptDecision } from "./decide.ts";
import { scriptEnvironment } from "./environment.ts";
import { type Extras, extrasFor } from "./exceptions.ts";
import { generatedFileCheck, gitConfigCheck } from "./host-git.ts";
import type { Script, ScriptManifest } from "./manifest.ts";
import type { ScriptRunnerOptions } from "./runner.ts";
import type { ScriptSubject } from "./subject.ts";

export interface ScriptJail {
  readonly request: JailRequest;
  readonly exceptions: readonly string[];
  /** Removes folders that were made as places to write to, and stayed empty. */
  close(): void;
}

export interface ScriptJailParts {
  readonly subject: ScriptSubject;
  readonly manifest: ScriptManifest;
  readonly script: Script;
  readonly decision: ScriptDecision;
  readonly masked: readonly string[];
  readonly options: Pick<ScriptRunnerOptions, "root" | "initCwd" | "client" | "nodeVersion" | "policy" | "caller" | "signal"> & {
    /** A script shell also sees commands that are no installs: `run`, `pack`. */
    readonly command: Partial<Omit<ClientCommand, "verb">> & { readonly verb: string; readonly omit: ClientCommand["omit"] };
  };
  readonly resolve: (name: string) => LockedPackage | undefined;
}

/** In the project, never a script's to change: what git, the client or we obey later. */
export const PROTECTED: readonly string[] = [
  ".git",
  ".github",
  ".gitmodules",
  ".husky",
  "node_modules",
  "package.json",
  "package-lock.json",
  "npm-shrinkwrap.json",
  "yarn.lock",
  "pnpm-lock.yaml",
  "bun.lock",
  ".npmrc",
  "cofferdam.yaml",
];
export const JAILED_HOME = "/home/jail";

export function scriptJail(parts: ScriptJailParts): ScriptJail {
  const { subject, manifest, script, decision, options } = parts;
  const { root, client, policy, caller } = options;
  const folder = subject.path === "" ? root : join(root, subject.path);
  const extras = extrasFor({ subject, event: script.event, body: script.body, resolve: parts.resolve }, policy["scripts.exceptions"], process.arch);
  const made: string[] = [];
  const writable = [ownTree(folder, subject, extras, root), ...extraTrees(decision, extras, root, made)];
  const tools = programsFor(client, caller);
  return {
    exceptions: extras.map((one) => one.exception),
    close: () => {
      for (const path of made) removeEmpty(path);
    },
    request: {
      command: ["/bin/sh", "-c", script.body],
      cwd: folder,
      env: scriptEnvironment({
        ...{ subject, manifest, script, root, folder, initCwd: options.initCwd, home: JAILED_HOME, node: client.node, nodedir: tools.nodedir, caller },
        path: tools.path,
        nodeVersion: options.nodeVersion,
        npm: client,
        command: options.command.verb,
        omitDev: options.command.omit.has("dev"),
      }),
      // A folder beside the project (`file:../lib`) is not below its root.
      readable: [root, ...(folder.startsWith(root) ? [] : [folder]), ...tools.readable],
      writable,
      masked: parts.masked,
      net: decision.grant.net,
      hidden: [...new Set([homeFolder(caller), "/root", "/home"])],
      limits: { timeout: policy["scripts.timeout"], memory: policy["scripts.memory"], disk: policy["scripts.disk"], fileSize: policy["scripts.disk"] },
      level: policy.level,
      keep: "on-success",
      output: "capture",
      signal: options.signal,
    },
  };
}

/** The script's own folder. As its owner the project itself is written directly; a package is always a copy. */
function ownTree(folder: string, subject: ScriptSubject, extras: readonly Extras[], root: string): WritableTree {
  if (subject.origin === "own") return { path: folder, mode: process.geteuid?.() === 0 ? "staged" : "direct", except: PROTECTED };
  const siblings = extras.flatMap((one) => one.stagedWith ?? []).map((path) => join(root, path));
  if (siblings.length === 0) return { path: folder, mode: "staged", except: ["node_modules"] };
  const common = commonFolder([folder, ...siblings]);
  const [own = "", ...others] = [folder, ...siblings].map((path) => relative(common, path));
  return {
    ...{ path: common, mode: "staged", except: [`${own}/node_modules`], only: [own, ...others] },
    accept: ({ path }) => (path.startsWith(`${own}/`) ? undefined : "a file of another package"),
  };
}

function extraTrees(decision: ScriptDecision, extras: readonly Extras[], root: string, made: string[]): WritableTree[] {
  const trees: WritableTree[] = decision.grant.write.map((path) => ({ path: writableFolder(root, path, made), mode: "staged", except: [] }));
  for (const { write, onlyFiles, gitConfig } of extras) {
    for (const path of write) {
      const tree: WritableTree = { path: writableFolder(root, path, made), mode: "staged", except: [] };
      trees.push(onlyFiles === undefined ? tree : { ...tree, accept: generatedFileCheck(root, path, onlyFiles) });
    }
    const git = join(root, ".git");
    // A worktree or submodule has a file there, and its configuration elsewhere: no exception then.
    if (gitConfig !== undefined && lstatSync(git, { throwIfNoEntry: false })?.isDirectory() === true) {
      const others = readdirSync(git).filter((name) => name !== "config");
      trees.push({ path: git, mode: "staged", except: others, accept: gitConfigCheck(join(git, "config"), gitConfig) });
    }
  }
  return trees;
}

/** Made when missing, level by level, so that what stayed empty can go again. Throws FAILED_PRECONDITION when it is something else. */
function writableFolder(root: string, path: string, made: string[]): string {
  let at = root;
  for (const name of posix.normalize(path).split("/")) {
    at = join(at, name);
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat === undefined) {
      mkdirSync(at);
      made.unshift(at);
    } else if (!stat.isDirectory())
      throw new CofferdamError("FAILED_PRECONDITION", `${path} was granted for writing, but ${relative(root, at)} is not a folder`);
  }
  return at;
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Something was written there.
  }
}

function commonFolder(paths: readonly string[]): string {
  let common = dirname(paths[0] ?? "/");
  while (!paths.every((path) => path.startsWith(`${common}/`))) common = dirname(common);
  return common;
}

/** Programs of a jail: their folders in PATH's order, what must be shown for them, and where node-gyp finds headers. */
export interface Programs {
  readonly path: readonly string[];
  readonly readable: readonly string[];
  readonly nodedir: string | undefined;
}

export function programsFor(client: NpmClient, caller: Readonly<NodeJS.ProcessEnv>): Programs {
  // The client's Node as one of the PATH: its installation is shown, and never the folder around a lone program.
  const tools = toolchain(`${dirname(client.node)}:${caller["PATH"] ?? ""}`);
  const nodedir = headersOf(client);
  const readable = [client.folder, ...(nodedir === undefined ? [] : [nodedir]), ...tools.readable];
  return { path: tools.path.split(":"), readable: readable.filter((path) => !/^\/(?:usr|bin)(?:\/|$)/.test(path) && path !== "/"), nodedir };
}

/** Headers of the Node that runs the scripts, so that node-gyp builds for it and asks nobody. */
function headersOf({ node }: NpmClient): string | undefined {
  const prefix = dirname(dirname(node));
  return existsSync(join(prefix, "include", "node", "node.h")) ? prefix : undefined;
}

/**
 * The environment that a script gets: what npm documents, and a few settings of the caller that hold no secret. Everything
 * else of the caller stays outside: tokens, agents, proxies with passwords, npm_config_* of whatever kind.
 * Source: npm's docs "scripts", @npmcli/run-script, @npmcli/config/lib/set-envs.js, arborist's rebuild.js (11.19 and 12.2).
 */
import { posix } from "node:path";
import { CofferdamError } from "../../foundation/index.ts";
import type { Script, ScriptManifest } from "./manifest.ts";
import type { ScriptSubject } from "./subject.ts";

/** Paths are as the script sees them. */
export interface ScriptSurroundings {
  readonly subject: ScriptSubject;
  readonly manifest: ScriptManifest;
  readonly script: Script;
  /** The project's root, and the package's folder. */
  readonly root: string;
  readonly folder: string;
  /** Where the user called npm. */
  readonly initCwd: string;
  readonly home: string;
  /** Folders of programs, after those of packages. */
  readonly path: readonly string[];
  readonly node: string;
  /** Of that Node: `v26.1.0`. */
  readonly nodeVersion: string;
  readonly npm: { readonly folder: string; readonly script: string; readonly version: string };
  /** npm's command: `ci`, `install`. */
  readonly command: string;
  /** True when dev dependencies are left out: npm then tells scripts that they are in production. */
  readonly omitDev: boolean;
  /** Folder with Node's own headers for node-gyp; undefined when there are none. */
  readonly nodedir: string | undefined;
  readonly caller: Readonly<NodeJS.ProcessEnv>;
}

export function scriptEnvironment(around: ScriptSurroundings): Record<string, string> {
  const { subject, manifest, script, root, folder, npm, node, nodeVersion } = around;
  const runScript = posix.join(npm.folder, "node_modules/@npmcli/run-script/lib/node-gyp-bin");
  return {
    ...fromCaller(around.caller),
    ...(around.omitDev ? { NODE_ENV: "production" } : {}),
    ...packageVariables(manifest),
    ...(subject.locked === undefined ? {} : lockedVariables(subject.locked, root)),
    npm_package_json: posix.join(folder, "package.json"),
    npm_lifecycle_event: script.event,
    npm_lifecycle_script: script.body,
    npm_command: around.command,
    npm_execpath: npm.script,
    npm_node_execpath: node,
    npm_config_user_agent: `npm/${npm.version} node/${nodeVersion} ${process.platform} ${process.arch} workspaces/false`,
    npm_config_npm_version: npm.version,
    npm_config_local_prefix: root,
    npm_config_node_gyp: posix.join(npm.folder, "node_modules/node-gyp/bin/node-gyp.js"),
    ...(around.nodedir === undefined ? {} : { npm_config_nodedir: around.nodedir }),
    INIT_CWD: around.initCwd,
    NODE: node,
    HOME: around.home,
    PATH: [...binFolders(root, folder), runScript, ...around.path].join(":"),
  };
}

/** `node_modules/.bin` of the package's folder and of every folder up to the project; of a folder beside it, its own. */
function binFolders(root: string, folder: string): string[] {
  const folders: string[] = [];
  for (let at = folder; at === root || at.startsWith(`${root}/`); at = posix.dirname(at)) folders.push(posix.join(at, "node_modules/.bin"));
  return folders.length === 0 ? [posix.join(folder, "node_modules/.bin")] : folders;
}

function lockedVariables(locked: NonNullable<ScriptSubject["locked"]>, root: string): Record<string, string> {
  const { resolved, integrity, optional, peer, dev, devOptional } = locked;
  return {
    ...(resolved === undefined ? {} : { npm_package_resolved: addressOf(resolved, root) }),
    ...(integrity === undefined ? {} : { npm_package_integrity: integrity }),
    npm_package_optional: optional ? "1" : "",
    npm_package_dev: dev ? "1" : "",
    npm_package_peer: peer ? "1" : "",
    npm_package_dev_optional: devOptional && !dev && !optional ? "1" : "",
  };
}

/** As npm has it at this point: a file by its whole path, a URL without the password that somebody wrote into it. */
function addressOf(address: string, root: string): string {
  if (address.startsWith("file:")) return `file:${posix.resolve(root, address.slice("file:".length))}`;
  const url = URL.parse(address);
  if (url === null || (url.username === "" && url.password === "")) return address;
  url.username = "";
  url.password = "";
  return url.href;
}

const MAX_VARIABLES = 1000;
const MAX_BYTES: number = 64 * 1024;
const MAX_DEPTH = 8;

/** `npm_package_*`, flattened as npm does: objects and lists by name and number, false and null as nothing. Throws PAYLOAD_TOO_LARGE. */
function packageVariables({ name, version, config, engines, bin }: ScriptManifest): Record<string, string> {
  const variables = new Map<string, string>();
  let bytes = 0;
  const put = (key: string, value: unknown, depth: number): void => {
    if (value === undefined) return;
    if (typeof value === "object" && value !== null) {
      if (depth > MAX_DEPTH) throw tooLarge(name);
      for (const [inner, one] of Object.entries(value)) put(`${key}_${inner}`, one, depth + 1);
      return;
    }
    // Neither can stand in an environment.
    const text = value === null || value === false ? "" : String(value);
    if (/[=\0]/.test(key) || text.includes("\0")) return;
    bytes += key.length + Buffer.byteLength(text);
    if (bytes > MAX_BYTES || variables.size >= MAX_VARIABLES) throw tooLarge(name);
    variables.set(key, text);
  };
  put("npm_package_name", name, 0);
  put("npm_package_version", version, 0);
  put("npm_package_config", config, 0);
  put("npm_package_engines", engines, 0);
  put("npm_package_bin", Object.fromEntries(bin), 0);
  return Object.fromEntries(variables);
}

function tooLarge(name: string): CofferdamError {
  return new CofferdamError("PAYLOAD_TOO_LARGE", `config, engines and bin of ${name} make more than ${MAX_VARIABLES} variables or ${MAX_BYTES} bytes`);
}

/** Settings of the caller that scripts may see, with what their values may be. */
const WORDS: Readonly<Record<string, RegExp>> = {
  LANG: /^[A-Za-z0-9_.@-]{1,64}$/,
  LC_ALL: /^[A-Za-z0-9_.@-]{1,64}$/,
  TZ: /^[A-Za-z0-9_+:/.-]{1,64}$/,
  CI: /^[A-Za-z0-9_.-]{1,32}$/,
  NODE_ENV: /^[A-Za-z0-9_.-]{1,32}$/,
  NO_COLOR: /^[A-Za-z0-9]{0,8}$/,
  FORCE_COLOR: /^[A-Za-z0-9]{0,8}$/,
  HUSKY: /^[012]$/,
  // Any other value is a version or an address to fetch from.
  CYPRESS_INSTALL_BINARY: /^0$/,
  PRISMA_SKIP_POSTINSTALL_GENERATE: /^(?:[01]|true|false|yes|no|on|off)$/i,
};
/** PUPPETEER_SKIP_DOWNLOAD, PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD, ELECTRON_SKIP_BINARY_DOWNLOAD, ... */
const SKIP = /^[A-Z0-9]+(?:_[A-Z0-9]+)*_SKIP(?:_[A-Z0-9]+)*_DOWNLOAD$/;
const YES_OR_NO = /^(?:[01]|true|false|yes|no|on|off)?$/i;

function fromCaller(caller: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const taken: Record<string, string> = {};
  for (const [name, value] of Object.entries(caller)) {
    if (value === undefined || name.length > 128) continue;
    const rule = Object.hasOwn(WORDS, name) ? WORDS[name] : SKIP.test(name) ? YES_OR_NO : undefined;
    if (rule?.test(value) === true) taken[name] = value;
  }
  return taken;
}

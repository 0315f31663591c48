/** What a tarball's own package.json says that matters to us. It is the word of the verified bytes, not of a registry. */
import { refuse } from "../archive/index.ts";

/** Scripts that npm runs when it installs a package from a registry, in its order. */
const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall"] as const;

export interface PackageFacts {
  readonly name: string;
  readonly version: string;
  /** Those of preinstall, install, postinstall that exist; `install` also stands for npm's implicit node-gyp build. */
  readonly installScripts: readonly string[];
  /** Command to file. */
  readonly bin: Readonly<Record<string, string>>;
}

/** A package that a tarball carries in its own node_modules. */
export interface BundledPackage {
  /** From the outer package: `node_modules/a/node_modules/b`. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  readonly installScripts: readonly string[];
}

/** @param bindingGyp whether a binding.gyp lies beside it. Throws INTEGRITY_FAILURE when it is not a JSON object. */
export function readPackageFacts(bytes: Buffer, bindingGyp: boolean): PackageFacts {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString("utf8").replace(/^\ufeff/, ""));
  } catch {
    throw refuse("package-json", "a package.json that is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw refuse("package-json", "a package.json that is not an object");
  const json = new Map<string, unknown>(Object.entries(parsed));
  const name = text(json.get("name"));
  const scripts = entries(json.get("scripts"));
  const installScripts = INSTALL_SCRIPTS.filter((script) => text(scripts.get(script)) !== "");
  const builds = bindingGyp && json.get("gypfile") !== false && !installScripts.includes("install") && !installScripts.includes("preinstall");
  return {
    name,
    version: text(json.get("version")),
    installScripts: builds ? ["install", ...installScripts] : installScripts,
    bin: commands(json.get("bin"), name),
  };
}

function commands(bin: unknown, name: string): Record<string, string> {
  if (typeof bin === "string") return { [name.slice(name.indexOf("/") + 1)]: bin };
  return Object.fromEntries([...entries(bin)].filter((pair): pair is [string, string] => typeof pair[1] === "string").slice(0, MAX_LISTED));
}

const MAX_LISTED = 1000;

function entries(value: unknown): ReadonlyMap<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : new Map();
}

function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, 256) : "";
}

/**
 * What of the caller's PATH a jail must see to run the same programs. Folders of the system are there anyway; others (a Node
 * in a home folder, a toolchain in /opt) are shown read-only, each alone, so that the home around them stays hidden.
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

export interface Toolchain {
  /** PATH in the jail. */
  readonly path: string;
  /** Files and folders to show, by their real and their PATH names. */
  readonly readable: readonly string[];
}

const SYSTEM = /^\/(?:usr|bin|sbin|lib|lib64)(?:\/|$)/;
/** Programs that are more than one file: where they really are, the installation around them is shown. */
const INSTALLED = ["node", "npm", "npx", "corepack", "pnpm", "yarn", "bun"] as const;

/** @param path the caller's PATH. @param programs names beyond the usual ones that must work. */
export function toolchain(path: string, programs: readonly string[] = []): Toolchain {
  const folders = [...new Set(path.split(":").filter((folder) => folder.startsWith("/")))].filter(isFolder);
  const readable = new Set<string>();
  for (const folder of folders) {
    if (SYSTEM.test(realpathSync(folder))) continue;
    // Version managers (pyenv, asdf, mise) put scripts there that start what they manage, from the folder around.
    readable.add(basename(folder) === "shims" ? dirname(folder) : folder);
    for (const name of [...INSTALLED, ...programs]) {
      const file = join(folder, name);
      if (!existsSync(file)) continue;
      const home = installationOf(realpathSync(file));
      if (!SYSTEM.test(home)) readable.add(home);
    }
  }
  return { path: [...folders, "/usr/local/bin", "/usr/bin", "/bin"].join(":"), readable: [...readable] };
}

/** `/opt/node/bin/node` is part of `/opt/node`; a script of a package is part of that package; anything else is itself. */
function installationOf(file: string): string {
  const prefix = dirname(dirname(file));
  if (
    basename(dirname(file)) === "bin" &&
    (existsSync(join(prefix, "include", "node")) || existsSync(join(prefix, "lib", "node_modules")) || existsSync(join(prefix, "package.json")))
  )
    return prefix;
  for (let at = dirname(file); at !== "/"; at = dirname(at)) if (existsSync(join(at, "package.json"))) return at;
  return file;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Where policy comes from: /etc, the user's configuration, the repository, --config, environment, flags. */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { homeFolder } from "../foundation/index.ts";

export const POLICY_FILE = "cofferdam.yaml";

export interface PolicyPlaces {
  readonly etc: string;
  readonly user: string;
  /** The user's configuration folder; trust records live there. */
  readonly userFolder: string;
  /** The repository's file when there is one: the nearest from the working folder up to the git root. */
  readonly repository: string | undefined;
}

export function policyPlaces(cwd: string, env: Readonly<NodeJS.ProcessEnv>, etcFolder = "/etc/cofferdam"): PolicyPlaces {
  const config = env["XDG_CONFIG_HOME"];
  const userFolder = join(config?.startsWith("/") === true ? config : join(homeFolder(env), ".config"), "cofferdam");
  return { etc: join(etcFolder, POLICY_FILE), user: join(userFolder, POLICY_FILE), userFolder, repository: repositoryFile(cwd) };
}

/** Nearest folder with `.git` at or above, or the folder itself. */
export function gitRoot(folder: string): string {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (existsSync(join(at, ".git"))) return at;
    if (dirname(at) === at) return resolve(folder);
  }
}

function repositoryFile(cwd: string): string | undefined {
  const start = existsSync(cwd) ? realpathSync(cwd) : resolve(cwd);
  const top = gitRoot(start);
  for (let at = start; ; at = dirname(at)) {
    const path = join(at, POLICY_FILE);
    if (existsSync(path)) return path;
    if (at === top || dirname(at) === at) return undefined;
  }
}

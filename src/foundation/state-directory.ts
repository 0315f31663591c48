/** The one directory that holds what Cofferdam remembers: the option, else COFFERDAM_STATE, else the user's own. */
import { join, resolve } from "node:path";
import { homeFolder } from "./home.ts";

export function stateDirectory(option: string | undefined, env: Readonly<NodeJS.ProcessEnv>, cwd: string): string {
  const named = option ?? env["COFFERDAM_STATE"];
  if (named !== undefined && named !== "") return resolve(cwd, named);
  const base = env["XDG_STATE_HOME"];
  return join(base?.startsWith("/") === true ? base : join(homeFolder(env), ".local", "state"), "cofferdam");
}

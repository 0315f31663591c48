/** The state directory when none is named. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

export function stateDirectory(option: string | undefined, env: Readonly<NodeJS.ProcessEnv>, cwd: string): string {
  const named = option ?? env["COFFERDAM_STATE"];
  if (named !== undefined && named !== "") return resolve(cwd, named);
  const base = env["XDG_STATE_HOME"];
  return join(base?.startsWith("/") === true ? base : join(env["HOME"] ?? homedir(), ".local", "state"), "cofferdam");
}

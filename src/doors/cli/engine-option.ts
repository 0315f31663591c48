/** Which container engine: the option of every command that talks to one, and what it comes to. */
import type { OptionSpec } from "./command.ts";

export const ENGINE_OPTION: Readonly<Record<string, OptionSpec>> = {
  engine: { type: "string", value: "ADDRESS", describe: "the container engine: a socket's path or a URL (default: $DOCKER_HOST, else /var/run/docker.sock)" },
};

export function addressOf(option: unknown, env: Readonly<NodeJS.ProcessEnv>): string {
  const named = typeof option === "string" ? option : env["DOCKER_HOST"];
  return named === undefined || named === "" ? "/var/run/docker.sock" : named.replace(/^unix:\/\//, "");
}

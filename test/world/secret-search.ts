/** Looks for bytes wherever a container or its engine may have put them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { JobWorld } from "./job-world.ts";

const run = promisify(execFile);

/** The value, and how JSON and base64 would have it. */
function needles(value: string): string[] {
  return [value, Buffer.from(value).toString("base64").replace(/=+$/, "").slice(0, -1), Buffer.from(value).toString("hex")];
}

/** Files below a folder that have the value, without what is mounted there as secrets of jobs. */
export async function filesWith(folder: string, value: string): Promise<readonly string[]> {
  const words = needles(value).flatMap((needle) => ["-e", needle]);
  try {
    const { stdout } = await run("grep", ["-rlaF", "--devices=skip", "--exclude-dir=secrets", ...words, folder], { maxBuffer: 2 ** 24 });
    return stdout.trimEnd().split("\n");
  } catch (error) {
    // 1: nothing found; 2: a file went away meanwhile, and what was found stands in its output.
    if (typeof error === "object" && error !== null && "stdout" in error && typeof error.stdout === "string")
      return error.stdout.split("\n").filter((line) => line !== "");
    throw error;
  }
}

/** Ways to get at a container's configuration and files from outside that show the value. */
export async function waysToSee(world: JobWorld, container: string, value: string): Promise<readonly string[]> {
  const docker = async (...args: string[]): Promise<string> => {
    const { stdout } = await run("docker", ["--host", `unix://${world.docker.socketPath}`, ...args], { encoding: "latin1", maxBuffer: 2 ** 30 });
    return stdout;
  };
  const commit = (await docker("commit", container)).trim();
  try {
    const shown: Readonly<Record<string, string>> = {
      inspect: await docker("inspect", container),
      export: await docker("export", container),
      commit: await docker("image", "inspect", commit),
      layers: await docker("save", commit),
      history: await docker("history", "--no-trunc", commit),
      diff: await docker("diff", container),
      // An engine that keeps no log says so.
      logs: await docker("logs", container).catch(String),
      top: await docker("top", container, "-eo", "pid,args"),
    };
    return Object.entries(shown).flatMap(([way, text]) => (needles(value).some((needle) => text.includes(needle)) ? [way] : []));
  } finally {
    await docker("rmi", "--no-prune", "-f", commit);
  }
}

/** Processes whose arguments or environment show the value to a user of this host. */
export async function processesThatShow(value: string, uid: number): Promise<readonly string[]> {
  const script = 'for p in /proc/[0-9]*; do for f in cmdline environ; do printf "\\n\\n%s " "$p/$f"; cat "$p/$f" 2>/dev/null; done; done; true';
  const { stdout } = await run("setpriv", ["--reuid", String(uid), "--regid", String(uid), "--clear-groups", "sh", "-c", script], {
    encoding: "latin1",
    maxBuffer: 2 ** 26,
  });
  return stdout.split("\n\n").flatMap((text) => (text.includes(value) ? [text.split(" ")[0] ?? ""] : []));
}

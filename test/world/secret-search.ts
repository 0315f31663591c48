/** Looks for bytes wherever a container or its engine may have put them. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { promisify } from "node:util";
import { z } from "zod";
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

/** Ways to get at a container's configuration and files from outside that show the value: what the engine answers, as it is. */
export async function waysToSee(world: JobWorld, container: string, value: string): Promise<readonly string[]> {
  const ask = async (path: string, method = "GET"): Promise<string> => await answerOf(world.docker.socketPath, method, path);
  const { Id: commit } = z.object({ Id: z.string() }).parse(JSON.parse(await ask(`/commit?container=${container}`, "POST")));
  try {
    const shown: Readonly<Record<string, string>> = {
      inspect: await ask(`/containers/${container}/json`),
      export: await ask(`/containers/${container}/export`),
      commit: await ask(`/images/${commit}/json`),
      layers: await ask(`/images/${commit}/get`),
      history: await ask(`/images/${commit}/history`),
      diff: await ask(`/containers/${container}/changes`),
      logs: await ask(`/containers/${container}/logs?stdout=1&stderr=1`),
      top: await ask(`/containers/${container}/top?ps_args=-eo%20pid,args`),
    };
    return Object.entries(shown).flatMap(([way, text]) => (needles(value).some((needle) => text.includes(needle)) ? [way] : []));
  } finally {
    await ask(`/images/${commit}?force=1&noprune=1`, "DELETE");
  }
}

/** As latin-1: a letter is a byte. */
async function answerOf(socketPath: string, method: string, path: string): Promise<string> {
  const asked = request({ socketPath, method, path }).end();
  const [answer] = await once(asked, "response");
  const pieces: Buffer[] = [];
  for await (const piece of answer) pieces.push(piece);
  return Buffer.concat(pieces).toString("latin1");
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

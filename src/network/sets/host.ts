/** How a set asks this host what its clients are set to: files within bounds, and the clients themselves. */
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { errnoOf, homeFolder, readBounded } from "../../foundation/index.ts";

export interface SetHost {
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly home: string;
  /** Undefined when there is none. */
  read(path: string): Promise<string | undefined>;
  /** Paths of what is in a folder; empty when there is none. */
  list(folder: string): Promise<readonly string[]>;
  /** What a program says on its output; undefined when it is not there or fails. */
  ask(program: string, args: readonly string[]): Promise<string | undefined>;
}

const MAX_FILE = 1_048_576;
const MAX_ENTRIES = 1000;
const ASK_TIMEOUT = 20_000;

/** This host, by the configuration of whoever runs us: never by that of a project or a job, which could add what it likes. */
export function setHost(env: Readonly<NodeJS.ProcessEnv>): SetHost {
  return {
    env,
    home: homeFolder(env),
    read: async (path) => (await readBounded(path, { maxBytes: MAX_FILE, what: "the configuration", followLink: true }))?.toString("utf8"),
    list: async (folder) => {
      try {
        return (await readdir(folder))
          .sort()
          .slice(0, MAX_ENTRIES)
          .map((name) => join(folder, name));
      } catch (error) {
        if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
        throw error;
      }
    },
    ask: async (program, args) => {
      try {
        // From the root: no project's configuration lies there.
        const { stdout } = await promisify(execFile)(program, [...args], { cwd: "/", env: { ...env }, timeout: ASK_TIMEOUT, maxBuffer: MAX_FILE });
        return stdout;
      } catch {
        return undefined;
      }
    },
  };
}

/** Which npm and which Node a plain `npm` would be here, without starting either. */
import { accessSync, closeSync, constants, openSync, readFileSync, readSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";

export interface NpmClient {
  /** Real path of the Node that runs it. */
  readonly node: string;
  /** Real path of npm-cli.js. */
  readonly script: string;
  /** npm's package folder. */
  readonly folder: string;
  readonly version: string;
}

const manifestSchema = z.looseObject({ name: z.literal("npm"), version: z.string().max(64) });

/**
 * @param path the caller's PATH.
 * Throws ENVIRONMENT_UNFIT when there is no npm or no Node on it, or when npm is something that cannot be run by a script path.
 */
export function locateNpm(path: string): NpmClient {
  const node = firstExecutable(path, "node");
  if (node === undefined) throw unfit("no `node` on PATH");
  const npm = firstExecutable(path, "npm");
  const candidates = [
    ...(npm === undefined ? [] : [npm]),
    // Version managers put a shim on PATH; the real npm stands beside the real Node.
    join(dirname(node), "../lib/node_modules/npm/bin/npm-cli.js"),
    join(dirname(node), "node_modules/npm/bin/npm-cli.js"),
  ];
  for (const candidate of candidates) {
    const client = npmAt(candidate, node);
    if (client !== undefined) return client;
  }
  throw unfit(npm === undefined ? "no `npm` on PATH" : `${npm} is not npm's own script, and there is none beside ${node}`);
}

/** bubblewrap's path, or undefined when it is not installed. */
export function locateBubblewrap(path: string): string | undefined {
  // Looked for in the system's places first: a PATH that a project changed must not choose the box.
  return firstExecutable(`/usr/bin${delimiter}/bin${delimiter}/usr/local/bin${delimiter}${path}`, "bwrap");
}

function npmAt(candidate: string, node: string): NpmClient | undefined {
  try {
    const script = realpathSync(candidate);
    if (!/\.[cm]?js$/.test(script) || !hasNodeShebang(script)) return undefined;
    const folder = dirname(dirname(script));
    const manifest = manifestSchema.parse(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")));
    return { node, script, folder, version: manifest.version };
  } catch {
    // Not this one: the caller tries the next place and says so when there is none.
    return undefined;
  }
}

function hasNodeShebang(script: string): boolean {
  const fd = openSync(script, "r");
  try {
    const head = Buffer.alloc(128);
    readSync(fd, head, 0, head.length, 0);
    return /^#!.*\bnode\b/.test(head.toString("latin1"));
  } finally {
    closeSync(fd);
  }
}

function firstExecutable(path: string, name: string): string | undefined {
  for (const folder of path.split(delimiter)) {
    // An empty or relative entry means the current folder: a project could put its own `npm` there.
    if (!folder.startsWith("/")) continue;
    const candidate = join(folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      return realpathSync(candidate);
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

function unfit(why: string): CofferdamError {
  return new CofferdamError("ENVIRONMENT_UNFIT", why, { hint: "install Node with npm, or put it on PATH; cofferdam doctor shows what is found" });
}

/** The exact grant that would have let a script have what it was refused; for a person to read, and to decide. */
import { posix } from "node:path";
import { approvalKey } from "./decide.ts";
import type { ScriptOutcome } from "./runner.ts";
import { trustedName } from "./subject.ts";

export interface SuggestedGrant {
  /** Entry of scripts.grants. */
  readonly key: string;
  readonly net: readonly string[];
  readonly write: readonly string[];
  /** As it would stand in cofferdam.yaml, on one line. */
  readonly yaml: string;
}

const MAX_SUGGESTED = 8;
/** Never a script's to write, so never suggested. */
const NEVER = /^(?:\.git|\.github|\.husky|package\.json$|package-lock\.json$|npm-shrinkwrap\.json$|\.npmrc$|cofferdam\.yaml$|node_modules\/\.bin)/;

/**
 * @param root the project's real path. @param bound at level high a grant must name the tarball that is there.
 * @returns undefined where nothing was refused that a grant can give, or nobody vouches for the package's name.
 */
export function suggestedGrant(outcome: ScriptOutcome, root: string, bound: boolean): SuggestedGrant | undefined {
  const { subject } = outcome.decision;
  const key = subject.origin === "own" ? (subject.path === "" ? "." : `./${subject.path}`) : bound ? approvalKey(subject) : trustedName(subject);
  if (key === undefined || outcome.run === undefined) return undefined;
  const refused = outcome.run.refused;
  // An address cannot be granted; a name that was only looked up is shown with the port that it is nearly always for.
  const names = refused.filter(({ kind, what }) => kind === "network" && !/^(?:[\d.]+|\[.*\])(?::\d+)?$/.test(what)).map(({ what }) => what.toLowerCase());
  const net = [...new Set(names.map((name) => (/:\d+$/.test(name) ? name : `${name}:443`)))].slice(0, MAX_SUGGESTED);
  const paths = refused.filter(({ kind, what }) => kind === "write" && what.startsWith(`${root}/`)).map(({ what }) => folderOf(what.slice(root.length + 1)));
  const write = [...new Set(paths.filter((path) => path !== "." && !NEVER.test(path)))].slice(0, MAX_SUGGESTED);
  if (net.length === 0 && write.length === 0) return undefined;
  const parts = [...(net.length === 0 ? [] : [`net: [${net.join(", ")}]`]), ...(write.length === 0 ? [] : [`write: [${write.join(", ")}]`])];
  const name = /^[a-z0-9][a-z0-9._-]*$/.test(key) ? key : JSON.stringify(key);
  return { key, net, write, yaml: `scripts: {grants: {${name}: {${parts.join(", ")}}}}` };
}

/** `node_modules/.prisma/client/index.js` is written into `node_modules/.prisma`; another file into the folder it lies in. */
function folderOf(path: string): string {
  const tool = /^(?:.*\/)?node_modules\/\.[^/]+/.exec(path)?.[0];
  return tool ?? posix.dirname(path);
}

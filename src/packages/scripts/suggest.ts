/** The exact grant that would have let a script have what it was refused; for a person to read, and to decide. */
import { posix } from "node:path";
import { isGrantableHost, isGrantablePath } from "../../policy/index.ts";
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
/** A grant could name it, but whoever gives it lets a script decide what git runs. */
const NEVER = /^\.husky(?:\/|$)/;

/**
 * @param root the project's real path. @param bound at level high a grant must name the tarball that is there.
 * @returns undefined where nothing was refused that a grant can give, or nobody vouches for the package's name.
 */
export function suggestedGrant(outcome: ScriptOutcome, root: string, bound: boolean): SuggestedGrant | undefined {
  const { subject } = outcome.decision;
  const key = subject.origin === "own" ? (subject.path === "" ? "." : `./${subject.path}`) : bound ? approvalKey(subject) : trustedName(subject);
  if (key === undefined || outcome.run === undefined) return undefined;
  const refused = outcome.run.refused;
  // A name that was only looked up is shown with the port that it is nearly always for. Addresses cannot be granted.
  const names = refused.filter(({ kind }) => kind === "network").map(({ what }) => what.toLowerCase());
  const net = [...new Set(names.map((name) => (/:\d+$/.test(name) ? name : `${name}:443`)))].filter(isGrantableHost).slice(0, MAX_SUGGESTED);
  const paths = refused.filter(({ kind, what }) => kind === "write" && what.startsWith(`${root}/`)).map(({ what }) => folderOf(what.slice(root.length + 1)));
  const write = [...new Set(paths.filter((path) => isGrantablePath(path) && !NEVER.test(path)))].slice(0, MAX_SUGGESTED);
  if (net.length === 0 && write.length === 0) return undefined;
  const parts = [
    ...(net.length === 0 ? [] : [`net: [${net.map(scalar).join(", ")}]`]),
    ...(write.length === 0 ? [] : [`write: [${write.map(scalar).join(", ")}]`]),
  ];
  return { key, net, write, yaml: `scripts: {grants: {${scalar(key)}: {${parts.join(", ")}}}}` };
}

/** A text in YAML's flow style; what could be read as anything else than itself in quotes, as JSON has them. */
function scalar(text: string): string {
  return /^(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][\w./-]*(?::\d+)?$/i.test(text) ? text : JSON.stringify(text);
}

/** `node_modules/.prisma/client/index.js` is written into `node_modules/.prisma`; another file into the folder it lies in. */
function folderOf(path: string): string {
  const tool = /^(?:.*\/)?node_modules\/\.[^/]+/.exec(path)?.[0];
  return tool ?? posix.dirname(path);
}

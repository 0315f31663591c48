/** A package whose scripts are in question, whatever brought it here. */
import type { LockedPackage, NpmLockfile } from "../../inventory/index.ts";
import { strongestDigest } from "../gate/digest.ts";
import { identityOf } from "./npm-key.ts";

/**
 * - `own`: the project, its workspaces and folders it links to: the user's own code
 * - `dependency`: a tarball of its own
 * - `bundled`: inside another package's tarball, under a name that nobody vouches for
 */
export type Origin = "own" | "dependency" | "bundled";

export interface ScriptSubject {
  /** Place from the project's root; empty for the project itself. */
  readonly path: string;
  readonly name: string;
  readonly version: string | undefined;
  readonly origin: Origin;
  /** `sha512-...` of the tarball; undefined for what has none, or only a weaker hash. */
  readonly integrity: string | undefined;
  /** Its entry in the lockfile; undefined for the project itself. */
  readonly locked: LockedPackage | undefined;
}

/** Undefined for links: scripts run once, in the folder that a link leads to. */
export function subjectOf(locked: LockedPackage): ScriptSubject | undefined {
  if (locked.kind === "link") return undefined;
  const { path, name, version } = locked;
  const origin: Origin = locked.kind === "folder" ? "own" : locked.kind === "bundled" ? "bundled" : "dependency";
  const digest = origin === "dependency" && locked.integrity !== undefined ? strongestDigest(locked.integrity) : undefined;
  const integrity = digest?.algorithm === "sha512" ? `sha512-${Buffer.from(digest.hex, "hex").toString("base64")}` : undefined;
  return { path, name, version, origin, integrity, locked };
}

export function projectSubject(name: string, version: string | undefined): ScriptSubject {
  return { path: "", name, version, origin: "own", integrity: undefined, locked: undefined };
}

/** Every package of a lockfile that says it has install scripts, and those whose folder is the user's own. */
export function subjectsOf(lockfile: NpmLockfile): ScriptSubject[] {
  return lockfile.packages
    .filter((locked) => !locked.extraneous)
    .map(subjectOf)
    .filter((subject) => subject !== undefined);
}

/**
 * The name, when the registry's address says it, too. Undefined for whatever only claims one: own code, bundled packages,
 * tarballs by path or URL, and where address and lockfile differ.
 */
export function trustedName(subject: ScriptSubject): string | undefined {
  const identity = subject.locked === undefined ? undefined : identityOf(subject.locked);
  return identity?.name === subject.name ? subject.name : undefined;
}

/** `name@version`, as commands and reports write it. */
export function labelOf({ name, version }: Pick<ScriptSubject, "name" | "version">): string {
  return version === undefined ? name : `${name}@${version}`;
}

/** `node_modules/.package-lock.json`: npm's note to itself about the tree that it left. */
import { type LockedPackage, parseNpmLockfile } from "./npm.ts";

/**
 * What the note names, for its hashes and addresses, which no package.json has. It is no inventory: scripts, other clients
 * and people change the tree without touching it, npm itself believes it only while no folder is newer, and who hands on a
 * node_modules can write in it what they like. For what is on the disk read the disk: see `installed/`.
 * Throws as {@link parseNpmLockfile} does.
 */
export function packagesOfHiddenLockfile(text: string, what: string): readonly LockedPackage[] {
  return parseNpmLockfile(text, what).packages;
}

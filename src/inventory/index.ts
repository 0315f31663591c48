/** Inventory: what is installed, or should be. */
export {
  dependencyMap,
  folderName,
  type LockedKind,
  type LockedPackage,
  lineOf,
  MAX_LOCKFILE_BYTES,
  type NpmLockfile,
  parseNpmLockfile,
} from "./lockfiles/npm.ts";

/** Inventory: what is installed, or should be. */
export { DependencyGraph, type Dependent, type GraphInput, type GraphPackage } from "./graph.ts";
export { type InstalledKind, type InstalledPackage, type InstalledTree, readInstalledTree } from "./installed/tree.ts";
export { packagesOfHiddenLockfile } from "./lockfiles/hidden.ts";
export { type LineFinder, linesOf } from "./lockfiles/lines.ts";
export {
  dependencyMap,
  devOnly,
  folderName,
  type LockedKind,
  type LockedPackage,
  type LockedRoot,
  MAX_LOCKFILE_BYTES,
  type NpmLockfile,
  parseNpmLockfile,
} from "./lockfiles/npm.ts";
export { isWord, recordOf } from "./lockfiles/record.ts";
export { Places } from "./places.ts";
export { type PackageName, parsePackage, parsePackageUrl } from "./purl.ts";

/** The pieces of a tree comparison as they cross to a worker and back. */

/** One package of the judged set, at its place in the tree. */
export interface TreePackage {
  /** From the project's root: `node_modules/a/node_modules/b`. */
  readonly path: string;
  /** SHA-512 of its verified tarball; undefined when its files come with an outer package (bundled). */
  readonly sha512: string | undefined;
  /** Optional, or left out by an option of the client: its folder may be missing. */
  readonly mayBeAbsent: boolean;
}

/** What scripts of earlier installs wrote and removed: paths from the project's root, sizes, SHA-256 in base64. */
export interface ScriptOutputs {
  readonly files: readonly (readonly [path: string, size: number, sha256: string])[];
  readonly links: readonly (readonly [path: string, leadsTo: string])[];
  readonly removed: readonly string[];
}

/** A top-level folder of some node_modules with everything below it. */
export interface TreeUnit {
  readonly path: string;
  readonly packages: readonly TreePackage[];
  /** Paths in it that scripts were let to write or remove. */
  readonly touched?: readonly string[];
  readonly outputs?: ScriptOutputs;
}

/** `ahead`: these are going to be compared. `compare`: now; one answer. */
export interface TreeRequest {
  readonly kind: "ahead" | "compare";
  readonly units: readonly TreeUnit[];
}

export interface Difference {
  readonly path: string;
  readonly kind: "missing" | "extra" | "changed" | "link" | "special" | "unreadable" | "too-deep";
}

export interface UnitResult {
  readonly files: number;
  readonly bytes: number;
  /** Packages that are not installed and need not be. */
  readonly absent: readonly string[];
  readonly differences: readonly Difference[];
  readonly differenceCount: number;
}

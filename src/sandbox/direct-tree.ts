/**
 * A host folder that a jail writes itself. What exists of its protected paths is mounted read-only; what does not exist
 * cannot be, so it is looked for afterwards, while nothing runs in the jail any more, and goes.
 */
import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TreeOutput, WritableTree } from "./jail-types.ts";

export class DirectTree {
  readonly #tree: WritableTree;
  readonly #absent: readonly string[];

  /** To be made before the jail starts. */
  constructor(tree: WritableTree) {
    this.#tree = tree;
    this.#absent = tree.except.filter((path) => !exists(join(tree.path, path)));
  }

  /** Removes protected paths that were made meanwhile, and says so. */
  remove(): TreeOutput {
    const planted = this.#absent.filter((path) => exists(join(this.#tree.path, path)));
    for (const path of planted) rmSync(join(this.#tree.path, path), { recursive: true, force: true });
    return { path: this.#tree.path, written: [], removed: [], refused: planted.map((path) => ({ path, why: "may not be made here; it was removed" })) };
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

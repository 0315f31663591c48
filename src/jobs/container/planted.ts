/**
 * Files in a workspace that some later command of the caller runs by itself: git's hooks and configuration (which names
 * programs), and workflows. Compared before and after a job by identity and change time, which a job cannot set.
 */
import { type BigIntStats, lstatSync, opendirSync } from "node:fs";
import { join } from "node:path";

const FILES: readonly string[] = [".git/config", ".git/config.worktree", ".gitmodules", ".gitattributes"];
const FOLDERS: readonly string[] = [".git/hooks", ".github/workflows", ".github/actions", ".husky", ".vscode"];
/** Files looked at; a folder with more is itself reported as changed. */
const MAX_FILES = 2000;
const MAX_DEPTH = 8;

export class PlantedFiles {
  readonly #states: ReadonlyMap<string, string>;

  private constructor(states: ReadonlyMap<string, string>) {
    this.#states = states;
  }

  /** Follows no link: a link is itself what is compared. */
  static in(root: string): PlantedFiles {
    const states = new Map<string, string>();
    for (const path of FILES) note(root, path, states);
    for (const path of FOLDERS) walk(root, path, 0, states);
    return new PlantedFiles(states);
  }

  /** Paths that are new, other, or gone. */
  changedSince(before: PlantedFiles): readonly string[] {
    const paths = new Set([...this.#states.keys(), ...before.#states.keys()]);
    return [...paths].filter((path) => this.#states.get(path) !== before.#states.get(path)).toSorted();
  }
}

function walk(root: string, path: string, depth: number, states: Map<string, string>): void {
  const stat = note(root, path, states);
  if (stat?.isDirectory() !== true) return;
  // Its own time changes with every entry; the entries are what counts.
  states.delete(path);
  if (depth > MAX_DEPTH || states.size > MAX_FILES) {
    states.set(`${path}/...`, `${stat.ctimeNs}`);
    return;
  }
  using handle = opendirSync(join(root, path));
  for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) walk(root, `${path}/${entry.name}`, depth + 1, states);
}

/** Undefined when a part of the path is missing, or is a link. */
function note(root: string, path: string, states: Map<string, string>): BigIntStats | undefined {
  const parts = path.split("/");
  for (let count = 1; count < parts.length; count++) {
    const parent = parts.slice(0, count).join("/");
    const stat = lstatSync(join(root, parent), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (stat.isDirectory()) continue;
    states.set(parent, stateOf(stat));
    return undefined;
  }
  const stat = lstatSync(join(root, path), { bigint: true, throwIfNoEntry: false });
  if (stat !== undefined) states.set(path, stateOf(stat));
  return stat;
}

function stateOf({ ino, mode, size, ctimeNs }: BigIntStats): string {
  return `${ino} ${mode} ${size} ${ctimeNs}`;
}

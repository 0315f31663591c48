/**
 * In which order scripts run: a package's dependencies first, so that what a script loads was built before. npm goes by
 * depth in the tree and runs many at once; in a jail each runs alone, and a stricter order costs nothing.
 * Source: npm's lib/commands/ci.js and install.js, @npmcli/arborist/lib/arborist/{rebuild,reify}.js (11.19 and 12.2).
 */
import { type LockedPackage, type NpmLockfile, Places } from "../../inventory/index.ts";
import type { ClientCommand } from "../install/command.ts";
import type { Origin } from "./subject.ts";

/**
 * Places (`node_modules/a`, `packages/x`) in the order of their scripts: of two packages, one of which needs the other, the
 * needed one first; within a circle, by path. The result depends on the tree and not on the order of the lockfile.
 * @param wanted places with scripts; others are only passed through.
 */
export function inOrder(lockfile: Pick<NpmLockfile, "packages">, wanted: ReadonlySet<string>): string[] {
  const places = new Places(lockfile);
  const starts = lockfile.packages.map((locked) => locked.path).sort(byCode);
  return circles(starts, (path) => needsOf(places, path)).flatMap((circle) => circle.filter((path) => wanted.has(path)).sort(byCode));
}

/**
 * Groups of places that need each other, every group after those that it needs (Tarjan's strongly connected components).
 * By hand and not by recursion: a lockfile may hold a chain of 200,000.
 */
function circles(starts: readonly string[], needs: (path: string) => readonly string[]): string[][] {
  const groups: string[][] = [];
  const found = new Map<string, number>();
  const low = new Map<string, number>();
  const open: string[] = [];
  const isOpen = new Set<string>();
  const walk: { readonly path: string; readonly needs: readonly string[]; next: number }[] = [];
  const enter = (path: string): void => {
    found.set(path, found.size);
    low.set(path, found.size - 1);
    open.push(path);
    isOpen.add(path);
    walk.push({ path, needs: needs(path), next: 0 });
  };
  const lower = (path: string, by: number | undefined): void => {
    low.set(path, Math.min(low.get(path) ?? 0, by ?? Number.POSITIVE_INFINITY));
  };
  for (const start of starts) {
    if (!found.has(start)) enter(start);
    for (let top = walk.at(-1); top !== undefined; top = walk.at(-1)) {
      const need = top.needs[top.next++];
      if (need !== undefined) {
        if (!found.has(need)) enter(need);
        else if (isOpen.has(need)) lower(top.path, found.get(need));
        continue;
      }
      walk.pop();
      const outer = walk.at(-1);
      if (outer !== undefined) lower(outer.path, low.get(top.path));
      if (low.get(top.path) !== found.get(top.path)) continue;
      const group = open.splice(open.lastIndexOf(top.path));
      for (const path of group) isOpen.delete(path);
      groups.push(group);
    }
  }
  return groups;
}

function needsOf(places: Places<LockedPackage>, path: string): readonly string[] {
  const locked = places.at(path);
  if (locked === undefined) return [];
  if (locked.target !== undefined) return places.at(locked.target) === undefined ? [] : [locked.target];
  const found = [...locked.requires.keys()].map((name) => places.resolve(path, name)?.path).filter((place) => place !== undefined);
  return [...new Set(found)].sort(byCode);
}

function byCode(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const OF_DEPENDENCIES = ["preinstall", "install", "postinstall"] as const;
/** npm prepares linked folders before it links their commands, and before their install scripts. */
const OF_FOLDERS = ["preinstall", "prepare", "install", "postinstall"] as const;
const OF_PROJECT = ["preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"] as const;
/** Of the project, after any command that changed node_modules. */
const OF_TREE = ["predependencies", "dependencies", "postdependencies"] as const;

/** Scripts that an install runs in a package's folder, in order. For the project itself see {@link projectEvents}. */
export function eventsOf(origin: Origin): readonly string[] {
  return origin === "own" ? OF_FOLDERS : OF_DEPENDENCIES;
}

export interface ProjectEvents {
  /** Before any package's own. */
  readonly first: readonly string[];
  /** After them. */
  readonly last: readonly string[];
}

/**
 * The project's own scripts: those of `npm ci`, and of `npm install` without names; other commands run only what follows a
 * change of the tree. npm 12 runs preinstall before anything is unpacked; here it is the first script after that, because
 * nothing of a project runs before its tree was judged.
 * @param named true when the command names packages: `npm install left-pad`.
 */
export function projectEvents(verb: ClientCommand["verb"], named: boolean, npmVersion: string): ProjectEvents {
  if (verb !== "ci" && (verb !== "install" || named)) return { first: [], last: OF_TREE };
  const early = Number(npmVersion.split(".")[0]) >= 12;
  return { first: early ? OF_PROJECT.slice(0, 1) : [], last: [...OF_TREE, ...OF_PROJECT.slice(early ? 1 : 0)] };
}

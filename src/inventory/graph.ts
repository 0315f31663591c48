/**
 * "Why is it here": who depends on whom, as Node resolves names, and the shortest way from the project to every package.
 * Linear in packages and edges, without recursion: a lockfile may be a chain of 200,000, or one circle.
 */
import type { LockedRoot } from "./lockfiles/npm.ts";
import { folderOf, Places } from "./places.ts";

/** What the graph needs of a package; a LockedPackage has it. */
export interface GraphPackage {
  readonly path: string;
  readonly name: string;
  readonly version: string | undefined;
  /** Target of a link, from the project's root. */
  readonly target: string | undefined;
  readonly requires: ReadonlyMap<string, string>;
  readonly requiresForDev: ReadonlySet<string>;
  /** What the lockfile says; used only where the project's own dependencies are not known. */
  readonly dev: boolean;
}

export interface GraphInput {
  readonly packages: readonly GraphPackage[];
  /**
   * The project. Where `requires` is not known (lockfile version 1 without its package.json), the packages at the top that
   * nobody asks for count as its own.
   */
  readonly root: LockedRoot;
}

/** Who asks for a package. */
export interface Dependent {
  /** `name@version`, or the project's name. */
  readonly by: string;
  /** Its place; empty for the project. */
  readonly path: string;
  /** The range as it stands there; undefined where the project's own dependencies are not known. */
  readonly range: string | undefined;
  /** True for the project itself and for a folder of it: its package.json can be edited. */
  readonly direct: boolean;
}

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly range: string | undefined;
  /** Needed for the development of `from` only. */
  readonly dev: boolean;
}

/** Labels of one way; a longer way keeps its two ends, with `(n more)` between them. */
const MAX_LABELS = 100;
const ROOT = -1;
/** Where a way begins, or nobody asks. */
const NOBODY = -2;

export class DependencyGraph {
  readonly #packages: readonly GraphPackage[];
  readonly #root: LockedRoot;
  readonly #index: ReadonlyMap<string, number>;
  readonly #places: Places<GraphPackage>;
  /** By package: who asks for it, and what it asks for. */
  readonly #asked: readonly Edge[][];
  readonly #asks: readonly Edge[][];
  readonly #own: readonly Edge[];
  /** The next step towards the project on a shortest way. */
  readonly #towards: Int32Array;
  readonly #dev: readonly boolean[];

  constructor({ packages, root }: GraphInput) {
    this.#packages = packages;
    this.#root = root;
    this.#index = new Map(packages.map((one, index) => [folderOf(one.path), index]));
    this.#places = new Places({ packages });
    this.#asked = packages.map(() => []);
    this.#asks = packages.map((one, index) => this.#edgesOf(index, one.path, one));
    this.#own = root.requires === undefined ? this.#unasked() : this.#edgesOf(ROOT, "", { requires: root.requires, requiresForDev: root.requiresForDev });
    for (const edge of [...this.#own, ...this.#asks.flat()]) this.#asked[edge.to]?.push(edge);
    this.#towards = new Int32Array(packages.length).fill(NOBODY);
    const all = new Uint8Array(packages.length);
    this.#walk(all, targets(this.#own), () => true, [this.#towards, ROOT]);
    // What the project does not lead to, and is no dependency of anybody's: its workspaces.
    const workspaces = [...packages.keys()].filter((index) => all[index] === 0 && isFolder(packages[index]?.path));
    this.#walk(all, workspaces, () => true, [this.#towards, NOBODY]);
    const real = new Uint8Array(packages.length);
    this.#walk(real, [...targets(this.#own.filter((edge) => !edge.dev)), ...workspaces], (edge) => !edge.dev);
    this.#dev = packages.map((one, index) => (root.requires === undefined ? one.dev : all[index] === 1 && real[index] === 0));
  }

  /**
   * One of the shortest ways to a package, as labels: from the project where it leads there, else from a workspace, else the
   * package alone, which then nobody asks for. Empty for a place that is not in the graph.
   */
  wayTo(place: string): readonly string[] {
    const labels: string[] = [];
    let at = this.#indexOf(place) ?? NOBODY;
    for (; at >= 0; at = this.#towards[at] ?? NOBODY) labels.push(this.#label(at));
    if (at === ROOT) labels.push(this.#label(ROOT));
    labels.reverse();
    if (labels.length <= MAX_LABELS) return labels;
    const half = MAX_LABELS / 2;
    return [...labels.slice(0, half), `(${labels.length - MAX_LABELS + 1} more)`, ...labels.slice(1 - half)];
  }

  /** Everybody who asks for a package, the project first; for a link: for the folder that it leads to. */
  dependentsOf(place: string): readonly Dependent[] {
    const index = this.#indexOf(place);
    return (index === undefined ? [] : (this.#asked[index] ?? [])).map(({ from, range }) => {
      const path = this.#packages[from]?.path ?? "";
      return { by: this.#label(from), path, range, direct: from === ROOT || isFolder(path) };
    });
  }

  /** True when only development needs it: no way from the project or a workspace does without devDependencies. */
  isDev(place: string): boolean {
    const index = this.#indexOf(place);
    return index !== undefined && this.#dev[index] === true;
  }

  #label(index: number): string {
    const one = this.#packages[index];
    if (one === undefined) return this.#root.name ?? "the project";
    return one.version === undefined ? one.name : `${one.name}@${one.version}`;
  }

  /** A link stands for the folder that it leads to; one that leads out of the list, for itself. */
  #indexOf(place: string): number | undefined {
    const index = this.#index.get(folderOf(place));
    const target = index === undefined ? undefined : this.#packages[index]?.target;
    return target === undefined ? index : (this.#index.get(folderOf(target)) ?? index);
  }

  #edgesOf(from: number, path: string, { requires, requiresForDev }: Pick<GraphPackage, "requires" | "requiresForDev">): Edge[] {
    const edges: Edge[] = [];
    const develops = from === ROOT || isFolder(path);
    for (const [name, range] of requires) {
      const found = this.#places.find(path, name);
      // A link to the project itself is no dependency. Nobody installs what is not there: optional, or of a peer's.
      const to = found === undefined || (found.target !== undefined && folderOf(found.target) === "") ? undefined : this.#indexOf(found.path);
      const dev = requiresForDev.has(name);
      // Only the project and its folders have their devDependencies installed.
      if (to === undefined || (dev && !develops)) continue;
      edges.push({ from, to, range, dev: dev && !(isFolder(this.#packages[to]?.path) && !isPath(range)) });
    }
    return edges;
  }

  #unasked(): Edge[] {
    const asked = new Set(this.#asks.flat().map(({ to }) => to));
    const own = [...this.#packages.keys()].filter((index) => !asked.has(index) && /^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(this.#packages[index]?.path ?? ""));
    return own.map((to) => ({ from: ROOT, to, range: undefined, dev: false }));
  }

  /** Breadth first, past what was seen. @param note is told where each was come to from, the starts from its second part. */
  #walk(seen: Uint8Array, starts: readonly number[], follows: (edge: Edge) => boolean, note?: readonly [towards: Int32Array, start: number]): void {
    const queue: number[] = [];
    const visit = (to: number, from: number): void => {
      if (seen[to] === 1) return;
      seen[to] = 1;
      if (note !== undefined) note[0][to] = from;
      queue.push(to);
    };
    for (const to of starts) visit(to, note?.[1] ?? NOBODY);
    for (let next = 0; next < queue.length; next++) {
      const at = queue[next] ?? 0;
      for (const edge of this.#asks[at] ?? []) if (follows(edge)) visit(edge.to, at);
    }
  }
}

function targets(edges: readonly Edge[]): number[] {
  return edges.map(({ to }) => to);
}

/** A workspace, or the folder of a link: its place is not in any node_modules. */
function isFolder(path: string | undefined): boolean {
  return path !== undefined && !/(?:^|\/)node_modules\//.test(path);
}

/** A dependency on a folder by its path; a workspace is named by a range instead, and is no dependency only. */
function isPath(range: string): boolean {
  return /^(?:file|link):/.test(range);
}

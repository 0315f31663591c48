/** Which package a name means from some place of a tree: Node's own rule, asked of a list of packages. */
import { posix } from "node:path";
import { isPlainPlace } from "./lockfiles/place.ts";

/** What is asked of a package: its place, and for a link the folder that it leads to. */
export interface Placed {
  readonly path: string;
  readonly target: string | undefined;
}

export class Places<T extends Placed> {
  readonly #at: ReadonlyMap<string, T>;

  constructor({ packages }: { readonly packages: readonly T[] }) {
    this.#at = new Map(packages.map((one) => [isPlainPlace(one.path) ? one.path : posix.normalize(one.path), one]));
  }

  at(path: string): T | undefined {
    return this.#at.get(path);
  }

  /**
   * The nearest node_modules upwards that has the name; links are followed, once, to the folder that they lead to.
   * @param from place of who asks; empty for the project itself.
   */
  resolve(from: string, name: string): T | undefined {
    const found = this.find(from, name);
    return found?.target === undefined ? found : this.#at.get(folderOf(found.target));
  }

  /** The same, without following a link. */
  find(from: string, name: string): T | undefined {
    for (let folder: string | undefined = from; folder !== undefined; folder = above(folder)) {
      if (folder === "node_modules" || folder.endsWith("/node_modules")) continue;
      const found = this.#at.get(folder === "" ? `node_modules/${name}` : `${folder}/node_modules/${name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** A link's target as a place; empty for the project itself. */
export function folderOf(target: string): string {
  if (isPlainPlace(target)) return target;
  const path = posix.normalize(target).replace(/\/$/, "");
  return path === "." ? "" : path;
}

/** The folder above; the project itself above its folders, nothing above that and above what lies beside it. */
function above(folder: string): string | undefined {
  if (folder === "" || /^(?:\.\.\/)*\.\.$/.test(folder)) return undefined;
  const slash = folder.lastIndexOf("/");
  return slash < 0 ? "" : folder.slice(0, slash);
}

/** Which package a name means from some place of the tree: Node's own rule, asked of the lockfile. */
import { posix } from "node:path";
import type { LockedPackage, NpmLockfile } from "../../inventory/index.ts";

export class Places {
  readonly #at: ReadonlyMap<string, LockedPackage>;

  constructor(lockfile: Pick<NpmLockfile, "packages">) {
    this.#at = new Map(lockfile.packages.map((locked) => [posix.normalize(locked.path), locked]));
  }

  at(path: string): LockedPackage | undefined {
    return this.#at.get(path);
  }

  /**
   * The nearest node_modules upwards that has the name; links are followed, once, to the folder that they lead to.
   * @param from place of who asks; empty for the project itself.
   */
  resolve(from: string, name: string): LockedPackage | undefined {
    for (let folder: string | undefined = from; folder !== undefined; folder = above(folder)) {
      if (posix.basename(folder) === "node_modules") continue;
      const found = this.#at.get(posix.join(folder, "node_modules", name));
      if (found !== undefined) return found.target === undefined ? found : this.#at.get(posix.normalize(found.target));
    }
    return undefined;
  }
}

/** The folder above; the project itself above its folders, nothing above that and above what lies beside it. */
function above(folder: string): string | undefined {
  if (folder === "" || /^(?:\.\.\/)*\.\.$/.test(folder)) return undefined;
  const parent = posix.dirname(folder);
  return parent === "." ? "" : parent;
}

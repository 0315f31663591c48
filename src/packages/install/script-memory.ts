/**
 * What scripts of earlier installs left in packages that are still there. `npm install left-pad` does not unpack the others
 * again: their tree is the tarball plus what their scripts wrote, entry by entry as it was then. A package whose scripts all
 * succeeded, and whose outputs are all there, need not run them again.
 */
import { hash } from "node:crypto";
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { Clock } from "../../foundation/index.ts";
import type { LockedPackage, NpmLockfile } from "../../inventory/index.ts";
import { Facts, type Store } from "../../store/index.ts";
import type { ScriptDecision, ScriptOutcome } from "../scripts/index.ts";
import type { ScriptOutputs } from "../tree/unit.ts";

type OutputFile = ScriptOutputs["files"][number];
type OutputLink = ScriptOutputs["links"][number];

interface Remembered extends ScriptOutputs {
  readonly path: string;
  readonly integrity: string;
  /** False when a later script of the package failed, or was not come to. */
  readonly done: boolean;
  /** What its scripts were granted; with another grant they may do what they were refused. */
  readonly grant: Grant;
}
type Grant = Pick<ScriptDecision["grant"], "net" | "write">;

/** Files of one project; beyond that nothing is remembered, and the next install runs the scripts again. */
const MAX_FILES = 50_000;
const MAX_FILE: number = 512 * 2 ** 20;

const schema: z.ZodType<readonly Remembered[]> = z.array(
  z.strictObject({
    path: z.string(),
    integrity: z.string(),
    done: z.boolean(),
    grant: z.strictObject({ net: z.array(z.string()), write: z.array(z.string()) }),
    files: z.array(z.tuple([z.string(), z.number(), z.string()])),
    links: z.array(z.tuple([z.string(), z.string()])),
    removed: z.array(z.string()),
  }),
);

export class ScriptMemory {
  readonly #facts: Facts;
  readonly #root: string;
  readonly #clock: Clock;
  #known: ReadonlyMap<string, Remembered> = new Map();

  constructor(store: Store, root: string, clock: Clock) {
    this.#facts = new Facts(store, "script-outputs");
    this.#root = root;
    this.#clock = clock;
  }

  /**
   * Looks at the disk: what is as it was left is remembered from here on. Anything else is not, one by one, so that the
   * comparison of the tree sees it; and its package runs its scripts again.
   */
  async recall(lockfile: NpmLockfile): Promise<void> {
    await this.#facts.initialize();
    const text = await this.#facts.get(this.#root);
    // What an older version wrote, or nobody can read, is as good as nothing.
    const stored = text === undefined ? [] : (schema.safeParse(parsed(text)).data ?? []);
    const locked = new Map(lockfile.packages.map((one) => [one.path, one]));
    const known = stored.filter((one) => locked.get(one.path)?.integrity === one.integrity).map((one) => this.#asItIs(one));
    this.#known = new Map(known.map((one) => [one.path, one]));
  }

  /** True for a package whose scripts need not run again. @param grant what they would have now. */
  isDone({ path, integrity }: Pick<LockedPackage, "path" | "integrity">, grant: Grant): boolean {
    const known = this.#known.get(path);
    return known?.done === true && known.integrity === integrity && isDeepStrictEqual(known.grant, grant);
  }

  /** Outputs of all packages, for the comparison of the tree. */
  get all(): readonly ScriptOutputs[] {
    return [...this.#known.values()];
  }

  /** @param whole false when the run of the scripts ended before all of them had their turn. */
  async remember(outcomes: readonly ScriptOutcome[], whole: boolean): Promise<void> {
    await this.#facts.initialize();
    const next = new Map(this.#known);
    const failed = new Set(outcomes.filter(({ run }) => run !== undefined && run.exit !== 0).map(({ path }) => path));
    // The package that it was at may have had more scripts.
    const last = whole ? undefined : outcomes.at(-1)?.path;
    for (const { path, decision, run } of outcomes) {
      const integrity = decision.subject.locked?.integrity;
      if (run === undefined || integrity === undefined) continue;
      const before = next.get(path);
      const gone = new Set(run.removed);
      const written = run.written.filter((one) => isInPackage(one) && !one.endsWith("/"));
      const paths = new Set([...pathsOf(before), ...written].filter((one) => !gone.has(one)));
      const removed = new Set([...(before?.removed ?? []), ...run.removed.filter(isInPackage)]);
      for (const one of written) removed.delete(one);
      const grant = { net: [...decision.grant.net], write: [...decision.grant.write] };
      next.set(path, { path, integrity, grant, done: !failed.has(path) && path !== last, ...this.#lookAll(paths), removed: [...removed] });
    }
    const all = [...next.values()];
    const kept = all.reduce((sum, one) => sum + one.files.length + one.links.length, 0) > MAX_FILES ? [] : all;
    await this.#facts.put(this.#root, JSON.stringify(kept), this.#clock.now());
  }

  #asItIs(one: Remembered): Remembered {
    const now = this.#lookAll(new Set(pathsOf(one)));
    const found = new Set([...now.files, ...now.links].map((output) => output.join("\0")));
    const same = (output: readonly (string | number)[]): boolean => found.has(output.join("\0"));
    const kept = { files: one.files.filter(same), links: one.links.filter(same), removed: one.removed.filter((path) => !this.#exists(path)) };
    const whole = kept.files.length === one.files.length && kept.links.length === one.links.length && kept.removed.length === one.removed.length;
    return { ...one, ...kept, done: one.done && whole };
  }

  #exists(path: string): boolean {
    return lstatSync(join(this.#root, path), { throwIfNoEntry: false }) !== undefined;
  }

  #lookAll(paths: ReadonlySet<string>): Pick<ScriptOutputs, "files" | "links"> {
    return { files: [...paths].flatMap((path) => this.#look(path)), links: [...paths].flatMap((path) => this.#lookAtLink(path)) };
  }

  #lookAtLink(path: string): OutputLink[] {
    const full = join(this.#root, path);
    return lstatSync(full, { throwIfNoEntry: false })?.isSymbolicLink() === true ? [[path, readlinkSync(full)]] : [];
  }

  #look(path: string): OutputFile[] {
    const full = join(this.#root, path);
    const stat = lstatSync(full, { throwIfNoEntry: false });
    if (stat?.isFile() !== true || stat.size > MAX_FILE) return [];
    return [[path, stat.size, hash("sha256", readFileSync(full), "base64")]];
  }
}

/** In the folder of a package: dot-folders of tools beside them are nobody's, and compared with nothing. */
function isInPackage(path: string): boolean {
  return /^(?:.*?\/)?node_modules\/[^.]/.test(path);
}

function pathsOf(one: ScriptOutputs | undefined): string[] {
  return [...(one?.files ?? []), ...(one?.links ?? [])].map(([path]) => path);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

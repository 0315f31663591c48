/**
 * What scripts of earlier installs left in packages that are still there. `npm install left-pad` does not unpack the others
 * again: their tree is the tarball plus what their scripts wrote, file by file as it was then, and they need not run again.
 */
import { hash } from "node:crypto";
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../../foundation/index.ts";
import type { LockedPackage, NpmLockfile } from "../../inventory/index.ts";
import { Facts, type Store } from "../../store/index.ts";
import type { ScriptOutcome } from "../scripts/index.ts";
import type { ScriptOutputs } from "../tree/unit.ts";

type OutputFile = ScriptOutputs["files"][number];

interface Remembered extends ScriptOutputs {
  readonly path: string;
  readonly integrity: string;
}

/** Files of one project; beyond that nothing is remembered, and the next install runs the scripts again. */
const MAX_FILES = 50_000;
const MAX_FILE: number = 512 * 2 ** 20;

const schema: z.ZodType<readonly Remembered[]> = z.array(
  z.strictObject({
    path: z.string(),
    integrity: z.string(),
    files: z.array(z.tuple([z.string(), z.number(), z.string()])),
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

  /** Looks at the disk: only packages whose outputs are all as they were left are remembered from here on. */
  async recall(lockfile: NpmLockfile): Promise<void> {
    await this.#facts.initialize();
    const text = await this.#facts.get(this.#root);
    const stored = text === undefined ? [] : schema.parse(JSON.parse(text));
    const locked = new Map(lockfile.packages.map((one) => [one.path, one]));
    const whole = stored.filter((one) => locked.get(one.path)?.integrity === one.integrity && this.#isWhole(one));
    this.#known = new Map(whole.map((one) => [one.path, one]));
  }

  /** What scripts left in a package, if its scripts need not run again. */
  outputsOf({ path, integrity }: Pick<LockedPackage, "path" | "integrity">): ScriptOutputs | undefined {
    const known = this.#known.get(path);
    return known !== undefined && known.integrity === integrity ? known : undefined;
  }

  /** Outputs of all packages, for the comparison of the tree. */
  get all(): readonly ScriptOutputs[] {
    return [...this.#known.values()];
  }

  async remember(outcomes: readonly ScriptOutcome[]): Promise<void> {
    await this.#facts.initialize();
    const next = new Map(this.#known);
    const failed = new Set(outcomes.filter(({ run }) => run !== undefined && run.exit !== 0).map(({ path }) => path));
    for (const { path, decision, run } of outcomes) {
      const integrity = decision.subject.locked?.integrity;
      if (run === undefined || integrity === undefined || failed.has(path)) continue;
      const before = next.get(path);
      const inside = (one: string): boolean => one.startsWith(`${path}/`);
      const written = new Set([...(before?.files ?? []).map(([file]) => file), ...run.written.filter((one) => inside(one) && !one.endsWith("/"))]);
      for (const gone of run.removed) written.delete(gone);
      const files = [...written].flatMap((file) => this.#look(file));
      next.set(path, { path, integrity, files, removed: [...(before?.removed ?? []), ...run.removed.filter(inside)] });
    }
    const all = [...next.values()];
    const kept = all.reduce((sum, one) => sum + one.files.length, 0) > MAX_FILES ? [] : all;
    await this.#facts.put(this.#root, JSON.stringify(kept), this.#clock.now());
  }

  #isWhole({ files, removed }: Remembered): boolean {
    return removed.every((path) => lstatSync(join(this.#root, path), { throwIfNoEntry: false }) === undefined) && files.every((file) => this.#isSame(file));
  }

  #isSame([path, size, sha256]: OutputFile): boolean {
    const [now] = this.#look(path);
    return now !== undefined && now[1] === size && now[2] === sha256;
  }

  #look(path: string): OutputFile[] {
    const full = join(this.#root, path);
    const stat = lstatSync(full, { throwIfNoEntry: false });
    if (stat?.isFile() !== true || stat.size > MAX_FILE) return [];
    return [[path, stat.size, hash("sha256", readFileSync(full), "base64")]];
  }
}

/**
 * The private folder of one run, under the state directory: the client's cache, its generated configuration, unverified
 * bytes. Gone when the run ends; folders of killed runs are removed by the next one.
 */
import { chownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { strongestDigest } from "../gate/digest.ts";
import { relativeContentPath } from "../gate/tarball-store.ts";
import { processStart } from "./project-lock.ts";

export class RunFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static create(stateDir: string, run: string): RunFolder {
    const runs = join(stateDir, "runs");
    removeDead(runs);
    const path = join(runs, run);
    // The client's uid may differ from ours (see box): it passes through this folder, so others may enter but not list.
    mkdirSync(join(path, "cache", "_cacache"), { recursive: true, mode: 0o711 });
    mkdirSync(join(path, "incoming"), { mode: 0o700 });
    writeFileSync(join(path, "owner"), `${process.pid} ${processStart(process.pid) ?? ""}`);
    writeFileSync(join(path, "empty"), "", { mode: 0o444 });
    return new RunFolder(path);
  }

  get cache(): string {
    return join(this.path, "cache");
  }

  get incoming(): string {
    return join(this.path, "incoming");
  }

  get emptyFile(): string {
    return join(this.path, "empty");
  }

  get links(): string {
    return join(this.path, "links.json");
  }

  get npmrc(): string {
    return join(this.path, "npmrc");
  }

  /**
   * Writes what the launcher links into the client's cache: verified content under the digests of the lockfile. The
   * client looks content up by digest, so nothing else can be found under that name, and it hashes what it reads.
   * @param cacheRoot the client's cache as the client sees it. @param contentRoot the store's content, likewise.
   */
  writeLinks(integrities: Iterable<string>, cacheRoot: string, contentRoot: string): void {
    const paths = new Set<string>();
    for (const integrity of integrities) {
      const digest = strongestDigest(integrity);
      if (digest !== undefined) paths.add(relativeContentPath(digest));
    }
    writeFileSync(this.links, JSON.stringify([join(cacheRoot, "_cacache", "content-v2"), contentRoot, [...paths]]), { mode: 0o444 });
  }

  writeNpmrc(text: string, owner: { uid: number; gid: number } | undefined): void {
    writeFileSync(this.npmrc, text, { mode: 0o600 });
    if (owner !== undefined) chownSync(this.npmrc, owner.uid, owner.gid);
  }

  /** Gives the cache to the uid that the client runs as. */
  giveCache(owner: { uid: number; gid: number }): void {
    const give = (path: string): void => {
      for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) give(join(path, entry.name));
      chownSync(path, owner.uid, owner.gid);
    };
    give(this.cache);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}

function removeDead(runs: string): void {
  mkdirSync(runs, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(runs)) {
    const path = join(runs, name);
    if (!alive(path)) rmSync(path, { recursive: true, force: true });
  }
}

function alive(path: string): boolean {
  try {
    const [pid = "", ...start] = readFileSync(join(path, "owner"), "utf8").split(" ");
    return processStart(Number(pid)) === start.join(" ");
  } catch {
    // No owner file: killed while it was made, or being made right now by another run; an hour tells them apart.
    return (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > Date.now() - 3_600_000;
  }
}

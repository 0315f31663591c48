/** From a lockfile to what is fetched (tarballs) and to what may stand on the disk (the judged tree). */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { LockedPackage, NpmLockfile } from "../../inventory/index.ts";
import type { ClientSetup } from "../client/setup.ts";
import { strongestDigest, type TarballStore, type WantedTarball } from "../gate/index.ts";
import type { JudgedTree } from "../tree/tree.ts";
import type { TreePackage } from "../tree/unit.ts";
import type { ClientCommand } from "./command.ts";

/** A tarball with what decides whether it is fetched ahead. */
export interface PlannedTarball extends WantedTarball {
  /** Its absence does not fail the install. */
  readonly optional: boolean;
  readonly locked: LockedPackage;
}

/** The tree as it must be, the packages in it that have no verified tarball, and how many tarballs it is made of. */
export interface JudgedSet {
  readonly tree: JudgedTree;
  readonly unverified: readonly string[];
  readonly verified: number;
}

/** Every tarball that a lockfile names, each once. */
export function wantedTarballs(lockfile: NpmLockfile | undefined, root: string, setup: ClientSetup, trusted: readonly string[]): PlannedTarball[] {
  const planned = new Map<string, PlannedTarball>();
  for (const locked of lockfile?.packages ?? []) {
    const { name, version, integrity, kind } = locked;
    if (version === undefined || locked.extraneous || (kind !== "registry" && kind !== "remote" && kind !== "file")) continue;
    const url = addressOf(locked, root, setup, trusted, version);
    const key = `${name}@${version} ${integrity ?? ""} ${url.href}`;
    const before = planned.get(key);
    planned.set(key, { name, version, integrity, url, locked, optional: locked.optional && (before?.optional ?? true) });
  }
  return [...planned.values()];
}

function addressOf(locked: LockedPackage, root: string, setup: ClientSetup, trusted: readonly string[], version: string): URL {
  const { name, resolved, kind } = locked;
  if (kind === "file") return pathToFileURL(join(root, (resolved ?? "").slice("file:".length)));
  if (resolved === undefined) return setup.registries.conventionalUrl(name, version);
  // A URL dependency was judged as such; it is fetched from where it says.
  return setup.registries.locate(name, resolved, kind === "remote" ? [new URL(resolved).origin] : trusted);
}

/** @param partial the command is for some workspaces only, so any package may be absent; what is there must still be right. */
export function judgedTree(lockfile: NpmLockfile, store: TarballStore, command: ClientCommand, partial: boolean): JudgedSet {
  const packages: TreePackage[] = [];
  const links = new Map<string, string>();
  const unverified: string[] = [];
  const verified = new Set<string>();
  for (const locked of lockfile.packages) {
    if (locked.kind === "folder") continue;
    if (locked.kind === "link") {
      links.set(locked.path, locked.target ?? "");
      continue;
    }
    const digest = locked.integrity === undefined ? undefined : strongestDigest(locked.integrity);
    const sha512 = locked.kind === "bundled" || digest === undefined ? undefined : store.find(digest)?.sha512;
    const absent = partial || mayBeAbsent(locked, command.omit);
    if (locked.kind !== "bundled" && sha512 === undefined && !absent) unverified.push(`${locked.name}@${locked.version ?? "?"}`);
    if (sha512 !== undefined) verified.add(sha512);
    packages.push({ path: locked.path, sha512, mayBeAbsent: absent || locked.kind === "bundled" });
  }
  return { tree: { packages, links, fresh: command.verb === "ci" }, unverified, verified: verified.size };
}

function mayBeAbsent(locked: LockedPackage, omit: ReadonlySet<string>): boolean {
  return (
    locked.optional ||
    locked.extraneous ||
    (locked.dev && omit.has("dev")) ||
    (locked.devOptional && (omit.has("dev") || omit.has("optional"))) ||
    (locked.peer && omit.has("peer"))
  );
}

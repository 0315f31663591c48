/**
 * Entries of npm's `allowScripts`, and which package one means.
 * Source: npm 11.19 and 12.2, @npmcli/arborist/lib/script-allowed.js and npm's lib/utils/resolve-allow-scripts.js.
 */
import { posix } from "node:path";
import { satisfies, valid, validRange } from "semver";
import type { LockedPackage } from "../../inventory/index.ts";

/**
 * `version` is compared as text, `versions` holds `1.0.0 || 1.0.1`, `file` and `url` stand for themselves. `ignored`: npm
 * drops the entry with a warning; `never`: it keeps it, and the entry fits no package that could be installed here.
 */
export type NpmKey =
  | { readonly type: "name"; readonly name: string }
  | { readonly type: "version"; readonly name: string; readonly version: string }
  | { readonly type: "versions"; readonly name: string; readonly range: string }
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "url"; readonly url: string }
  | { readonly type: "ignored" | "never"; readonly name?: string; readonly why: string };

/** Takes an entry apart as npm does. Git sources are `never`: such dependencies are refused before any script could run. */
export function parseNpmKey(entry: string): NpmKey {
  const at = entry.indexOf("@", 1);
  const head = at > 0 ? entry.slice(0, at) : entry;
  const named =
    !/^(?:git\+)?[a-z]+:/i.test(entry) && !/^[^@]+@[^:.]+\.[^:]+:.+$/i.test(entry) && (head.startsWith("@") || !/\/|\.(?:tgz|tar\.gz|tar)$/i.test(head));
  const spec = named ? (at > 0 ? entry.slice(at + 1) : "") : entry;
  if (/^file:|^[.~/]/i.test(spec)) return { type: "file", path: spec.replace(/^file:/i, "") };
  if (/^npm:/i.test(spec)) return never("it names an alias; write the package's own name");
  if (/^https?:\/\//i.test(spec)) return { type: "url", url: spec };
  if (/^[a-z+]+:/i.test(spec) || (spec.includes("/") && !/\.(?:tgz|tar\.gz|tar)$/i.test(spec)))
    return never("it names a git repository; those are not fetched");
  if (!named || /\.(?:tgz|tar\.gz|tar)$/i.test(spec)) return { type: "file", path: spec };
  return registryKey(head, spec.trim());
}

function registryKey(name: string, spec: string): NpmKey {
  if (spec === "" || spec === "*") return { type: "name", name };
  if (valid(spec, true) !== null) return { type: "version", name, version: spec };
  if (validRange(spec, true) !== null) {
    const exact = spec.split("||").every((part) => valid(part.trim()) !== null);
    return exact ? { type: "versions", name, range: spec } : { type: "ignored", name, why: `it is a range; ${EXACT}` };
  }
  if (encodeURIComponent(spec) !== spec) return { type: "ignored", why: `it cannot be read; ${EXACT}` };
  return { type: "ignored", name, why: `it names a dist-tag; ${EXACT}` };
}

const EXACT = "write exact versions joined by ||, or the bare name";

function never(why: string): NpmKey {
  return { type: "never", why };
}

/** Who a package of a registry is, by what names it from outside. */
export interface NpmIdentity {
  readonly name: string;
  /** Undefined when the lockfile has no address to read it from: a version that nothing vouches for cannot be approved. */
  readonly version: string | undefined;
}

/**
 * By the address in the lockfile (`.../NAME/-/NAME-VERSION.tgz`), never by what the package says of itself: a tarball can
 * claim any name. Without such an address, the name that the gate asks the registry for. Undefined for anything that is not
 * from a registry, and for bundled packages: those are in another's tarball, and npm never approves them.
 */
export function identityOf(locked: LockedPackage): NpmIdentity | undefined {
  if (locked.kind !== "registry") return undefined;
  return (locked.resolved === undefined ? undefined : identityOfUrl(locked.resolved)) ?? { name: locked.name, version: undefined };
}

function identityOfUrl(address: string): NpmIdentity | undefined {
  const url = URL.parse(address);
  const base = posix.basename(address);
  const parts = url?.pathname.slice(1).split("/-/") ?? [];
  if (url === null || !/^https?:$/.test(url.protocol) || !base.endsWith(".tgz") || parts.length < 2 || parts.at(-1) !== base) return undefined;
  const [name = "", scope = ""] =
    parts
      .at(-2)
      ?.split(/\/|%2f/i)
      .reverse() ?? [];
  const version = base.startsWith(`${name}-`) ? valid(base.slice(name.length + 1, -".tgz".length)) : null;
  return name === "" || version === null ? undefined : { name: scope.startsWith("@") ? `${scope}/${name}` : name, version };
}

/** Whether an entry means this package at all, whatever its version. */
export function keyNames(key: NpmKey, locked: LockedPackage): boolean {
  if ("name" in key && key.name !== undefined) return identityOf(locked)?.name === key.name;
  return keyMatches(key, locked, false);
}

/** @param denies an entry that denies also covers a version that nothing vouches for; one that allows does not. */
export function keyMatches(key: NpmKey, locked: LockedPackage, denies: boolean): boolean {
  switch (key.type) {
    case "ignored":
    case "never":
      return false;
    case "file":
      return (locked.kind === "file" || locked.kind === "folder") && fileOf(locked) === posix.normalize(key.path).replace(/\/$/, "");
    case "url":
      return locked.kind === "remote" && locked.resolved === key.url;
    default: {
      const identity = identityOf(locked);
      if (identity?.name !== key.name) return false;
      if (key.type === "name") return true;
      if (identity.version === undefined) return denies;
      return key.type === "version" ? identity.version === key.version : satisfies(identity.version, key.range, { loose: true });
    }
  }
}

/** Path of a tarball in the project, or of a linked folder. */
function fileOf(locked: LockedPackage): string {
  return posix.normalize(locked.kind === "folder" ? locked.path : (locked.resolved ?? "").replace(/^file:/, ""));
}

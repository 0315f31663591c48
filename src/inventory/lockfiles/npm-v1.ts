/** Lockfile version 1 (npm 5 and 6): a tree of `dependencies`, flattened into places. */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import type { LockedKind, LockedPackage } from "./npm.ts";
import { assertPlace } from "./place.ts";
import { isAnything, isWord, recordOf } from "./record.ts";

interface Version1Entry {
  version?: string | undefined;
  resolved?: string | boolean | undefined;
  integrity?: string | undefined;
  bundled?: boolean | undefined;
  dev?: boolean | undefined;
  optional?: boolean | undefined;
  dependencies?: Record<string, unknown> | undefined;
  /** Specs of what it depends on; `true` at the root of some lockfiles. */
  requires?: boolean | Record<string, string> | undefined;
}

const word = z.string().max(8192);
const entrySchema: z.ZodType<Version1Entry> = z.looseObject({
  version: word.optional(),
  resolved: z.union([word, z.boolean()]).optional(),
  integrity: word.optional(),
  bundled: z.boolean().optional(),
  dev: z.boolean().optional(),
  optional: z.boolean().optional(),
  dependencies: recordOf(isAnything, "packages").optional(),
  requires: z.union([z.boolean(), recordOf(isWord, "version ranges")]).optional(),
});

const MAX_DEPTH = 64;

/** Throws INVALID_ARGUMENT when an entry is malformed or nested deeper than 64. */
export function packagesOfVersion1(json: unknown, what: string): LockedPackage[] {
  const packages: LockedPackage[] = [];
  const walk = (raw: unknown, prefix: string, depth: number): void => {
    if (depth > MAX_DEPTH) throw new CofferdamError("INVALID_ARGUMENT", `${what}: nested deeper than ${MAX_DEPTH}`);
    for (const [name, child] of Object.entries(entrySchema.parse(raw).dependencies ?? {})) {
      const path = `${prefix}node_modules/${name}`;
      assertPlace(path, what);
      const entry = entrySchema.safeParse(child);
      if (!entry.success)
        throw new CofferdamError("INVALID_ARGUMENT", `${what}: ${JSON.stringify(path.slice(0, 200))}: ${entry.error.issues[0]?.message ?? "invalid"}`);
      packages.push(lockedPackage(path, name, entry.data));
      walk(child, `${path}/`, depth + 1);
    }
  };
  walk(json, "", 0);
  return packages;
}

function lockedPackage(path: string, folder: string, entry: Version1Entry): LockedPackage {
  const spec = entry.version ?? "";
  // `npm:real@1.0.0` marks an alias; a URL or path in `version` says where it is from.
  const alias = /^npm:(.+)@([^@]+)$/.exec(spec);
  const kind = kindOf(spec, entry.bundled === true);
  return {
    path,
    name: alias?.[1] ?? folder,
    version: alias?.[2] ?? (kind === "registry" || kind === "bundled" ? entry.version : undefined),
    resolved: kind === "registry" ? (typeof entry.resolved === "string" ? entry.resolved : undefined) : spec,
    integrity: entry.integrity,
    kind,
    target: kind === "link" ? spec.slice("file:".length) : undefined,
    dev: entry.dev === true,
    optional: entry.optional === true,
    devOptional: false,
    peer: false,
    extraneous: false,
    hasInstallScript: false,
    os: [],
    cpu: [],
    libc: [],
    requires: new Map(typeof entry.requires === "object" ? Object.entries(entry.requires) : []),
    requiresForDev: new Set(),
  };
}

function kindOf(spec: string, bundled: boolean): LockedKind {
  if (bundled) return "bundled";
  if (/^git(?:\+|:)|^github:|^bitbucket:|^gitlab:/.test(spec)) return "git";
  if (/^https?:/.test(spec)) return "remote";
  if (spec.startsWith("file:")) return /\.(?:tgz|tar\.gz|tar)$/.test(spec) ? "file" : "link";
  return "registry";
}

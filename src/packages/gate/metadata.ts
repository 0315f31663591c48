/**
 * Package metadata ("packuments") as the gate sees them: bounded, parsed once, and remembered as the promise of which
 * hash belongs to which tarball address, so that a tarball asked for later is checked against it.
 */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import type { TarballSummary } from "./tarball-store.ts";

/** A tarball that somebody wants: who it must be, the hash it must have, and where it is. */
export interface WantedTarball {
  readonly name: string;
  readonly version: string;
  /** SRI; undefined only where the level lets a missing hash pass. */
  readonly integrity: string | undefined;
  readonly url: URL;
}

/** What we need of a version; everything else passes through untouched. */
const versionSchema = z.looseObject({
  name: z.string().max(214),
  version: z.string().max(256),
  dist: z.looseObject({
    tarball: z.string().max(2048),
    integrity: z.string().max(8192).optional(),
    shasum: z
      .string()
      .regex(/^[0-9a-f]{40}$/)
      .optional(),
  }),
});
const packumentSchema = z.looseObject({ name: z.string().max(214), versions: z.record(z.string().max(256), z.unknown()).optional() });

/** Most versions of one package that are looked at; the largest real ones have a few thousand. */
const MAX_VERSIONS = 50_000;

/**
 * Every tarball that a metadata document names, with its hash. A version that does not parse is left out here (and so
 * cannot be fetched through the gate). Throws UPSTREAM_UNAVAILABLE when the document is not one, or is for another name.
 */
export function tarballsOf(document: Buffer, name: string, base: URL): WantedTarball[] {
  const packument = packumentSchema.safeParse(parseJson(document, name));
  if (!packument.success || packument.data.name !== name) {
    throw new CofferdamError("UPSTREAM_UNAVAILABLE", `${base.host} answers with something that is not the metadata of ${name}`);
  }
  const versions = Object.entries(packument.data.versions ?? {});
  if (versions.length > MAX_VERSIONS) throw new CofferdamError("PAYLOAD_TOO_LARGE", `${name} has more than ${MAX_VERSIONS} versions`);
  const wanted: WantedTarball[] = [];
  for (const [version, raw] of versions) {
    const parsed = versionSchema.safeParse(raw);
    if (!parsed.success || parsed.data.name !== name || parsed.data.version !== version) continue;
    const { tarball, integrity, shasum } = parsed.data.dist;
    const url = URL.parse(tarball, base.href);
    if (url === null) continue;
    wanted.push({ name, version, integrity: integrity ?? (shasum === undefined ? undefined : sha1Sri(shasum)), url });
  }
  return wanted;
}

/** The smallest metadata document that lets a client install exactly the judged versions of a package. */
export function judgedMetadata(name: string, judged: readonly { readonly wanted: WantedTarball; readonly summary: TarballSummary }[]): string {
  const versions = judged.map(({ wanted, summary }) => [
    wanted.version,
    { name, version: wanted.version, bin: summary.bin, dist: { tarball: wanted.url.href, integrity: wanted.integrity } },
  ]);
  return JSON.stringify({ name, "dist-tags": { latest: judged[0]?.wanted.version }, versions: Object.fromEntries(versions) });
}

function parseJson(document: Buffer, name: string): unknown {
  try {
    return JSON.parse(document.toString("utf8"));
  } catch {
    throw new CofferdamError("UPSTREAM_UNAVAILABLE", `the metadata of ${name} is not JSON`);
  }
}

function sha1Sri(hex: string): string {
  return `sha1-${Buffer.from(hex, "hex").toString("base64")}`;
}

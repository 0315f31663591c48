/** The digest that a client will look a tarball up by: the strongest one of its SRI. */
export type DigestAlgorithm = "sha512" | "sha384" | "sha256" | "sha1";

export interface StrongDigest {
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hex. */
  readonly hex: string;
}

const STRENGTH: readonly DigestAlgorithm[] = ["sha512", "sha384", "sha256", "sha1"];
const HEX_LENGTH: Readonly<Record<DigestAlgorithm, number>> = { sha512: 128, sha384: 96, sha256: 64, sha1: 40 };

/**
 * The first digest of the strongest algorithm in an SRI text, or undefined when none is usable.
 * Only a way to find content; whether content matches the SRI is decided by integrity/.
 */
export function strongestDigest(sri: string): StrongDigest | undefined {
  const parts = sri.slice(0, 8192).split(/\s+/);
  for (const algorithm of STRENGTH) {
    for (const part of parts) {
      if (!part.startsWith(`${algorithm}-`)) continue;
      const hex = Buffer.from(part.slice(algorithm.length + 1).replace(/\?.*$/, ""), "base64").toString("hex");
      if (hex.length === HEX_LENGTH[algorithm]) return { algorithm, hex };
    }
  }
  return undefined;
}

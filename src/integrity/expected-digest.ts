/**
 * What a file's digest is expected to be: a Subresource Integrity text (W3C SRI, with npm's habit of adding sha1) or
 * SHA-512 in hex. Of several algorithms the strongest counts; of several digests of that one, any may match.
 */
import { timingSafeEqual } from "node:crypto";
import { CofferdamError } from "../foundation/index.ts";

export type DigestAlgorithm = "sha512" | "sha384" | "sha256" | "sha1";

/** Parsed expectation: one algorithm and the digests that satisfy it. */
export interface ExpectedDigest {
  readonly algorithm: DigestAlgorithm;
  readonly digests: readonly Buffer[];
  /** SHA-1 can be collided on purpose: a match says little against an attacker. */
  readonly weak: boolean;
  /** Result texts follow the form the caller used. */
  readonly form: "sri" | "hex";
}

const BYTES: Readonly<Record<DigestAlgorithm, number>> = { sha512: 64, sha384: 48, sha256: 32, sha1: 20 };
const STRENGTH: readonly DigestAlgorithm[] = ["sha512", "sha384", "sha256", "sha1"];
const MAX_TEXT = 8192;
const MAX_PARTS = 64;

/** Parses an expectation. Throws INVALID_ARGUMENT when nothing in it can be checked, and for a digest of the wrong length. */
export function parseExpected(text: string): ExpectedDigest {
  if (text.length > MAX_TEXT) throw invalid(`longer than ${MAX_TEXT} characters`);
  if (/^[0-9a-fA-F]{128}$/.test(text)) return { algorithm: "sha512", digests: [Buffer.from(text, "hex")], weak: false, form: "hex" };
  const parts = text.split(/\s+/).filter((part) => part !== "");
  if (parts.length > MAX_PARTS) throw invalid(`more than ${MAX_PARTS} digests`);
  const parsed = parts.map(parsePart).filter((part) => part !== undefined);
  for (const algorithm of STRENGTH) {
    const digests = parsed.filter((part) => part.algorithm === algorithm).map((part) => part.digest);
    if (digests.length > 0) return { algorithm, digests, weak: algorithm === "sha1", form: "sri" };
  }
  throw invalid(`${JSON.stringify(text.slice(0, 80))} holds no sha512, sha384, sha256 or sha1 digest and is not 128 hex digits`);
}

function parsePart(part: string): { algorithm: DigestAlgorithm; digest: Buffer } | undefined {
  const match = /^([a-z0-9]+)-([A-Za-z0-9+/]+={0,2})(?:\?[\x21-\x7e]*)?$/.exec(part);
  const algorithm = STRENGTH.find((name) => name === match?.[1]);
  // An algorithm that nobody here computes is passed over, as SRI asks; what is left must still decide.
  if (match?.[2] === undefined || algorithm === undefined) return undefined;
  const digest = Buffer.from(match[2], "base64");
  if (digest.length !== BYTES[algorithm] || digest.toString("base64") !== match[2]) throw invalid(`not a ${algorithm} digest: ${part.slice(0, 120)}`);
  return { algorithm, digest };
}

/** Constant-time in the digest's content. */
export function matches(expected: ExpectedDigest, actual: Buffer): boolean {
  let matched = false;
  for (const digest of expected.digests) {
    if (digest.length === actual.length && timingSafeEqual(digest, actual)) matched = true;
  }
  return matched;
}

/** A digest as text in the caller's form. */
export function digestText(expected: ExpectedDigest, digest: Buffer): string {
  return expected.form === "hex" ? digest.toString("hex") : `${expected.algorithm}-${digest.toString("base64")}`;
}

/** The expectation as text: only the digests that count. */
export function expectedText(expected: ExpectedDigest): string {
  return expected.digests.map((digest) => digestText(expected, digest)).join(" ");
}

function invalid(why: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `not an integrity value: ${why}`, { hint: "give SRI (sha512-<base64>) or 128 hex digits of SHA-512" });
}

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
  /** In `encoding`, in the one spelling it has: equal text is an equal digest. (Decoding took longer than all other parsing.) */
  readonly digests: readonly string[];
  /** SHA-1 can be collided on purpose: a match says little against an attacker. */
  readonly weak: boolean;
  /** The form the caller used, base64 for SRI; result texts follow it. */
  readonly encoding: "base64" | "hex";
}

/** A digest in base64. Where its last digit carries spare bits they must be zero: two texts would be one digest otherwise. */
const BASE64: Readonly<Record<DigestAlgorithm, RegExp>> = {
  sha512: /^[A-Za-z0-9+/]{85}[AQgw]==$/,
  sha384: /^[A-Za-z0-9+/]{64}$/,
  sha256: /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/,
  sha1: /^[A-Za-z0-9+/]{26}[AEIMQUYcgkosw048]=$/,
};
const STRENGTH: readonly DigestAlgorithm[] = ["sha512", "sha384", "sha256", "sha1"];
const MAX_TEXT = 8192;
const MAX_PARTS = 64;

/** Parses an expectation. Throws INVALID_ARGUMENT when nothing in it can be checked, and for a digest of the wrong length. */
export function parseExpected(text: string): ExpectedDigest {
  if (text.length > MAX_TEXT) throw invalid(`longer than ${MAX_TEXT} characters`);
  if (/^[0-9a-fA-F]{128}$/.test(text)) return { algorithm: "sha512", digests: [text.toLowerCase()], weak: false, encoding: "hex" };
  const parts = text.split(/\s+/).filter((part) => part !== "");
  if (parts.length > MAX_PARTS) throw invalid(`more than ${MAX_PARTS} digests`);
  const parsed = parts.map(parsePart).filter((part) => part !== undefined);
  for (const algorithm of STRENGTH) {
    const digests = parsed.filter((part) => part.algorithm === algorithm).map((part) => part.digest);
    if (digests.length > 0) return { algorithm, digests, weak: algorithm === "sha1", encoding: "base64" };
  }
  throw invalid(`${JSON.stringify(text.slice(0, 80))} holds no sha512, sha384, sha256 or sha1 digest and is not 128 hex digits`);
}

function parsePart(part: string): { algorithm: DigestAlgorithm; digest: string } | undefined {
  const [, name, digest] = /^([a-z0-9]+)-([A-Za-z0-9+/]+={0,2})(?:\?[\x21-\x7e]*)?$/.exec(part) ?? [];
  const algorithm = STRENGTH.find((one) => one === name);
  // An algorithm that nobody here computes is passed over, as SRI asks; what is left must still decide.
  if (digest === undefined || algorithm === undefined) return undefined;
  if (!BASE64[algorithm].test(digest)) throw invalid(`not a ${algorithm} digest: ${part.slice(0, 120)}`);
  return { algorithm, digest };
}

/** @param actual a digest in the expectation's encoding. Constant-time in its content. */
export function matches(expected: ExpectedDigest, actual: string): boolean {
  const bytes = Buffer.from(actual, "latin1");
  let matched = false;
  for (const digest of expected.digests) {
    if (digest.length === bytes.length && timingSafeEqual(Buffer.from(digest, "latin1"), bytes)) matched = true;
  }
  return matched;
}

/** A digest as text in the caller's form. */
export function digestText(expected: ExpectedDigest, digest: string): string {
  return expected.encoding === "hex" ? digest : `${expected.algorithm}-${digest}`;
}

/** The expectation as text: only the digests that count. */
export function expectedText(expected: ExpectedDigest): string {
  return expected.digests.map((digest) => digestText(expected, digest)).join(" ");
}

function invalid(why: string): CofferdamError {
  return new CofferdamError("INVALID_ARGUMENT", `not an integrity value: ${why}`, { hint: "give SRI (sha512-<base64>) or 128 hex digits of SHA-512" });
}

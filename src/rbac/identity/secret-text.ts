/**
 * What a caller shows to be let in: API tokens, session ids, set-up tokens. 256 random bits in base 62, behind a prefix that
 * says what it is, before a checksum: scanners for leaked secrets know `cfd_[0-9A-Za-z]{49}` and tell it from noise offline, and
 * a text that was cut or changed is refused before anything is looked up. Only the hash is ever stored.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { crc32 } from "node:zlib";

/** By what they open. */
export const SECRET_PREFIXES = { token: "cfd_", session: "cfds_", setup: "cfdo_" } as const;
export type SecretKind = keyof typeof SECRET_PREFIXES;

export interface NewSecret {
  /** Given to the caller once. */
  readonly text: string;
  /** What is stored. */
  readonly hash: string;
}

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 62^43 > 2^256. */
const DIGITS = 43;
/** 62^6 > 2^32. */
const CHECK_DIGITS = 6;
const BODY = new RegExp(`^[0-9A-Za-z]{${DIGITS + CHECK_DIGITS}}$`);

export function newSecret(kind: SecretKind): NewSecret {
  const digits = base62(BigInt(`0x${randomBytes(32).toString("hex")}`), DIGITS);
  const text = `${SECRET_PREFIXES[kind]}${digits}${checksum(digits)}`;
  return { text, hash: hashText(text) };
}

/** The hash that a shown text is looked up by, or undefined when it cannot be one of this kind (cut, changed, another kind). */
export function hashSecret(kind: SecretKind, text: string): string | undefined {
  const prefix = SECRET_PREFIXES[kind];
  // Programs without types pass on what they were sent.
  if (typeof text !== "string" || !text.startsWith(prefix)) return undefined;
  const body = text.slice(prefix.length);
  if (!BODY.test(body) || checksum(body.slice(0, DIGITS)) !== body.slice(DIGITS)) return undefined;
  return hashText(text);
}

/** Compares two stored hashes in the same time wherever they differ. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** 256 random bits need no salt and no slow hash: there is nothing to guess. */
function hashText(text: string): string {
  return createHash("sha256").update("cofferdam secret v1\0").update(text).digest("hex");
}

function checksum(digits: string): string {
  return base62(BigInt(crc32(digits)), CHECK_DIGITS);
}

function base62(value: bigint, width: number): string {
  let text = "";
  for (let left = value; text.length < width; left /= 62n) text = ALPHABET.charAt(Number(left % 62n)) + text;
  return text;
}

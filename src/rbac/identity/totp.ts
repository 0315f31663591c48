/** One-time codes by time: RFC 6238 over RFC 4226, and the address that authenticator apps read. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Seconds of one step. */
const STEP = 30;
const DIGITS = 6;
/** Steps before and after the current one that are accepted: clocks of phones differ. */
const WINDOW = 1;
/** 160 bits, as RFC 4226 asks for. */
const SECRET_BYTES = 20;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

export function newTotpSecret(): Buffer {
  return randomBytes(SECRET_BYTES);
}

/** The code of a step. Authenticator apps know SHA-1 and six digits; the RFC's vectors have more of both. */
export function codeOf(secret: Buffer, step: number, form: { readonly digits?: number; readonly algorithm?: "sha1" | "sha256" | "sha512" } = {}): string {
  const { digits = DIGITS, algorithm = "sha1" } = form;
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac(algorithm, secret).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 0xf;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** digits).padStart(digits, "0");
}

/** The step that a code is of, among those that count now, or undefined. All of them are compared. @param now ms since 1970. */
export function stepOf(secret: Buffer, code: string, now: number): number | undefined {
  if (!/^\d{6}$/.test(code)) return undefined;
  const current = Math.floor(now / 1000 / STEP);
  let found: number | undefined;
  for (let step = Math.max(0, current - WINDOW); step <= current + WINDOW; step++)
    if (timingSafeEqual(Buffer.from(codeOf(secret, step)), Buffer.from(code))) found = step;
  return found;
}

/** `otpauth://totp/...`: what a QR code for an authenticator app holds. */
export function totpAddress(secret: Buffer, username: string): string {
  return `otpauth://totp/${encodeURIComponent(`Cofferdam:${username}`)}?secret=${base32(secret)}&issuer=Cofferdam`;
}

/** RFC 4648 base 32, without padding. */
export function base32(bytes: Uint8Array): string {
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => BASE32.charAt(Number.parseInt(five.padEnd(5, "0"), 2))).join("");
}

/** Second factors of users: the secret of an authenticator app, sealed, and recovery codes, hashed. Each code is good once. */
import { createHash, randomBytes } from "node:crypto";
import { CofferdamError } from "../../foundation/index.ts";
import type { Store, Transaction } from "../../store/index.ts";
import type { User } from "../contract.ts";
import type { Sealing } from "./sealing.ts";
import { base32, newTotpSecret, stepOf, totpAddress } from "./totp.ts";

export interface Enrolment {
  /** Base 32, to be typed where no picture can be taken. */
  readonly secret: string;
  /** For a QR code. */
  readonly address: string;
}

const RECOVERY_CODES = 10;
/** 80 bits: not to be guessed, so that a plain hash keeps them. */
const RECOVERY_BYTES = 10;

export class SecondFactors {
  readonly #store: Store;
  readonly #sealing: Sealing;

  constructor(store: Store, sealing: Sealing) {
    this.#store = store;
    this.#sealing = sealing;
  }

  async isEnrolled(userId: string): Promise<boolean> {
    return (await this.#store.read((tx) => tx.get("SELECT 1 AS one FROM identity_totp WHERE user_id = ? AND active = 1", [userId]))) !== undefined;
  }

  /** Made before the transaction that stores it: the key may have to be made first. */
  async newSecret({ id, username }: User): Promise<Enrolment & { readonly sealed: string }> {
    const secret = newTotpSecret();
    return { secret: base32(secret), address: totpAddress(secret, username), sealed: await this.#sealing.seal(secret, ["totp", id]) };
  }

  /** Takes the place of an enrolment that was not confirmed. Throws CONFLICT when there is one in use. */
  async enrol(tx: Transaction, userId: string, sealed: string, now: number): Promise<void> {
    await tx.run("DELETE FROM identity_totp WHERE user_id = ? AND active = 0", [userId]);
    if ((await tx.get("SELECT 1 AS one FROM identity_totp WHERE user_id = ?", [userId])) !== undefined)
      throw new CofferdamError("CONFLICT", "the user has a second factor already", { hint: "take that one away first" });
    await tx.run("INSERT INTO identity_totp (user_id, sealed, active, last_step, since) VALUES (?, ?, 0, 0, ?)", [userId, sealed, now]);
  }

  /** Puts an enrolment to use, after a right code of it. @returns recovery codes, or undefined for a wrong one. */
  async confirm(tx: Transaction, userId: string, code: string, now: number): Promise<readonly string[] | undefined> {
    if (!(await this.#useCode(tx, userId, code, now, 0))) return undefined;
    await tx.run("UPDATE identity_totp SET active = 1 WHERE user_id = ?", [userId]);
    await tx.run("DELETE FROM identity_recovery_codes WHERE user_id = ?", [userId]);
    const codes = Array.from({ length: RECOVERY_CODES }, newRecoveryCode);
    for (const one of codes) await tx.run("INSERT INTO identity_recovery_codes (user_id, hash) VALUES (?, ?)", [userId, hashCode(userId, one)]);
    return codes;
  }

  /** @returns whether there was any. */
  async remove(tx: Transaction, userId: string): Promise<boolean> {
    await tx.run("DELETE FROM identity_recovery_codes WHERE user_id = ?", [userId]);
    return (await tx.run("DELETE FROM identity_totp WHERE user_id = ?", [userId])).changes > 0;
  }

  /** Whether a code of the app is right now, and was not used before; it is used then. */
  async useCode(tx: Transaction, userId: string, code: string, now: number): Promise<boolean> {
    return await this.#useCode(tx, userId, code, now, 1);
  }

  /** @returns how many are left, or undefined for a code that is none. */
  async useRecoveryCode(tx: Transaction, userId: string, code: string): Promise<number | undefined> {
    const { changes } = await tx.run("DELETE FROM identity_recovery_codes WHERE user_id = ? AND hash = ?", [userId, hashCode(userId, code)]);
    if (changes === 0) return undefined;
    const row = await tx.get("SELECT count(*) AS n FROM identity_recovery_codes WHERE user_id = ?", [userId]);
    return Number(row?.["n"] ?? 0);
  }

  async #useCode(tx: Transaction, userId: string, code: string, now: number, active: 0 | 1): Promise<boolean> {
    const row = await tx.get("SELECT sealed FROM identity_totp WHERE user_id = ? AND active = ?", [userId, active]);
    if (row === undefined) return false;
    const step = stepOf(await this.#sealing.open(String(row["sealed"]), ["totp", userId]), code, now);
    if (step === undefined) return false;
    // An older step than the last one is refused as well: whoever looked over a shoulder has only those.
    return (await tx.run("UPDATE identity_totp SET last_step = ? WHERE user_id = ? AND last_step < ?", [step, userId, step])).changes === 1;
  }
}

/** `ABCD-EFGH-JKLM-NPQR`. */
function newRecoveryCode(): string {
  return (base32(randomBytes(RECOVERY_BYTES)).match(/.{4}/g) ?? []).join("-");
}

function hashCode(userId: string, code: string): string {
  const plain = code.toUpperCase().replaceAll(/[\s-]/g, "");
  return createHash("sha256").update(`cofferdam recovery code v1\0${userId}\0${plain}`).digest("hex");
}

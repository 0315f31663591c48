/**
 * A key out of a passphrase: argon2id (RFC 9106), its parameters bound to what it protects. They have a floor, so that nobody
 * makes a guess cheap, and a ceiling, so that a file from elsewhere cannot take the machine's memory.
 */
import { argon2, randomBytes } from "node:crypto";
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import { additionalData, type Purpose } from "../sealing/additional-data.ts";
import { ALGORITHM, cannotOpen, KEY_BYTES, openBox, sealBox } from "../sealing/box.ts";

export interface KdfCost {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
}

export const COST_FLOOR: KdfCost = { memory: 64 * 1024, passes: 3, lanes: 1 };
export const COST_CEILING: KdfCost = { memory: 1024 * 1024, passes: 32, lanes: 16 };
/** Shortest passphrase that is taken for something new, bytes. */
const MIN_PASSPHRASE = 12;
const MAX_PASSPHRASE = 4096;
const SALT = 16;

const base64 = z.base64().max(1_000_000);
const costSchema: z.ZodType<KdfCost> = z.strictObject({ memory: z.int(), passes: z.int(), lanes: z.int() });

/** Something under a passphrase, as it is kept. */
export interface PassphraseBox {
  readonly kdf: "argon2id";
  readonly cost: KdfCost;
  readonly salt: string;
  readonly sealed: string;
}

export const passphraseBoxSchema: z.ZodType<PassphraseBox> = z.strictObject({ kdf: z.literal("argon2id"), cost: costSchema, salt: base64, sealed: base64 });

/** Throws INVALID_ARGUMENT for a passphrase that is too short or a cost out of bounds. @param label what it is, in its bound data. */
export async function sealWithPassphrase(passphrase: Uint8Array, purpose: Purpose, label: string, content: Uint8Array, cost: KdfCost): Promise<PassphraseBox> {
  if (passphrase.length < MIN_PASSPHRASE || passphrase.length > MAX_PASSPHRASE)
    throw new CofferdamError("INVALID_ARGUMENT", `a passphrase has ${MIN_PASSPHRASE} to ${MAX_PASSPHRASE} bytes`);
  if (!isWithin(cost)) throw new CofferdamError("INVALID_ARGUMENT", "argon2id: memory is 64 MiB to 1 GiB, passes 3 to 32, lanes 1 to 16");
  const salt = randomBytes(SALT);
  const key = await derive(passphrase, salt, cost);
  try {
    const sealed = sealBox(key, content, boundTo(purpose, label, salt, cost));
    return { kdf: "argon2id", cost, salt: salt.toString("base64"), sealed: sealed.toString("base64") };
  } finally {
    key.fill(0);
  }
}

/** Throws INTEGRITY_FAILURE for a wrong passphrase, for changed bytes, and for a cost out of bounds, in the same words. */
export async function openWithPassphrase(passphrase: Uint8Array, purpose: Purpose, label: string, box: PassphraseBox): Promise<Buffer> {
  const salt = Buffer.from(box.salt, "base64");
  if (!isWithin(box.cost) || salt.length < SALT || salt.length > 64 || passphrase.length > MAX_PASSPHRASE) throw cannotOpen();
  const key = await derive(passphrase, salt, box.cost);
  try {
    return openBox(key, Buffer.from(box.sealed, "base64"), boundTo(purpose, label, salt, box.cost));
  } finally {
    key.fill(0);
  }
}

function boundTo(purpose: Purpose, label: string, salt: Uint8Array, { memory, passes, lanes }: KdfCost): Buffer {
  return additionalData(purpose, ALGORITHM, "argon2id", memory, passes, lanes, salt, label);
}

function isWithin(cost: KdfCost): boolean {
  return (["memory", "passes", "lanes"] as const).every((name) => cost[name] >= COST_FLOOR[name] && cost[name] <= COST_CEILING[name]);
}

async function derive(passphrase: Uint8Array, salt: Uint8Array, { memory, passes, lanes }: KdfCost): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    argon2("argon2id", { message: passphrase, nonce: salt, parallelism: lanes, tagLength: KEY_BYTES, memory, passes }, (error, key) => {
      if (error === null) resolve(key);
      else reject(new CofferdamError("RESOURCE_EXHAUSTED", `argon2id needs ${Math.round(memory / 1024)} MiB and did not get them`, { cause: error }));
    });
  });
}

/**
 * What a store says of itself, signed with a key of its own: how often it was changed, a sum over all its records, and the
 * latest time that it relied on. A record that was changed, swapped or put back to an older one does not fit.
 *
 * The sum is of keyed hashes that are kept nowhere, and is itself sealed (the multiset hash MSet-Add-Hash of Clarke et al.,
 * 2003, needs both): whoever keeps every row that ever was cannot look for others with the same sum.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { newId } from "../../foundation/index.ts";
import { additionalData, type Purpose } from "../sealing/additional-data.ts";
import { ALGORITHM, cannotOpen, KEY_BYTES, openBox, sealBox } from "../sealing/box.ts";
import { parseDocument } from "../sealing/document.ts";
import type { MasterKey } from "../sealing/master-key.ts";
import type { SignedText } from "./rows.ts";

export interface StoreState {
  readonly storeId: string;
  /** Changes since the store was made. */
  readonly epoch: number;
  /** Latest time relied on, ms since the epoch. */
  readonly clock: number;
  /** Over all records, sealed; base64. */
  readonly sum: string;
  /** The master key that new values are sealed with, and that the store's own key is under. */
  readonly keyId: string;
  readonly storeKey: string;
}

const stateSchema: z.ZodType<StoreState> = z.strictObject({
  storeId: z.string(),
  epoch: z.int().min(0),
  clock: z.int().min(0),
  sum: z.base64(),
  keyId: z.string(),
  storeKey: z.base64(),
});

const MODULUS = 1n << 256n;

/** What was read of a store, not proven yet. Throws INTEGRITY_FAILURE for what is none. */
export function parseState(body: string): StoreState {
  return parseDocument(stateSchema, body);
}

/** Of a store with nothing in it. */
export function newState(master: MasterKey): { readonly state: StoreState; readonly seal: StoreSeal } {
  const [storeId, key] = [newId("sec"), randomBytes(KEY_BYTES)];
  const state = { storeId, epoch: 0, clock: 0, sum: "", keyId: master.id, storeKey: wrap(master, storeId, key) };
  key.fill(0);
  const seal = new StoreSeal(master, state);
  return { state: { ...state, sum: seal.sealSum(NOTHING) }, seal };
}

/** The same store's own key under another master key. */
export function rewrapState(state: StoreState, from: MasterKey, to: MasterKey): StoreState {
  const key = unwrap(from, state);
  try {
    return { ...state, keyId: to.id, storeKey: wrap(to, state.storeId, key) };
  } finally {
    key.fill(0);
  }
}

/** A sum as numbers are added to it. */
export const NOTHING = 0n;

/** Signs for one store. */
export class StoreSeal {
  readonly #storeId: string;
  readonly #key: Uint8Array;
  readonly #sumKey: Uint8Array;

  /** Throws INTEGRITY_FAILURE when the master key is another one. */
  constructor(master: MasterKey, state: StoreState) {
    this.#storeId = state.storeId;
    this.#key = unwrap(master, state);
    this.#sumKey = this.#mac("sum-key");
  }

  signState(state: StoreState): SignedText {
    const body = JSON.stringify(state);
    return { body, tag: this.#mac("store", body) };
  }

  signRecord(secretId: string, body: string): SignedText {
    return { body, tag: this.#mac("record", secretId, body) };
  }

  /** Throws INTEGRITY_FAILURE. */
  checkState({ body, tag }: SignedText): StoreState {
    if (!equal(tag, this.#mac("store", body))) throw cannotOpen();
    return parseState(body);
  }

  /** Throws INTEGRITY_FAILURE. */
  checkRecord(secretId: string, { body, tag }: SignedText): void {
    if (!equal(tag, this.#mac("record", secretId, body))) throw cannotOpen();
  }

  /** The sum with one record replaced by another, given by their tags. */
  sumWith(sum: bigint, before: Uint8Array | undefined, after: Uint8Array): bigint {
    return (sum + this.#summand(after) + MODULUS - (before === undefined ? 0n : this.#summand(before))) % MODULUS;
  }

  sealSum(sum: bigint): string {
    return sealBox(this.#sumKey, Buffer.from(sum.toString(16).padStart(64, "0"), "hex"), this.#sumBound()).toString("base64");
  }

  /** Throws INTEGRITY_FAILURE. */
  openSum({ sum }: StoreState): bigint {
    return numberOf(openBox(this.#sumKey, Buffer.from(sum, "base64"), this.#sumBound()));
  }

  #summand(tag: Uint8Array): bigint {
    return numberOf(this.#mac("summand", tag));
  }

  #sumBound(): Buffer {
    return additionalData("sum", ALGORITHM, this.#storeId);
  }

  #mac(purpose: Purpose, ...parts: readonly (string | Uint8Array)[]): Buffer {
    return createHmac("sha256", this.#key)
      .update(additionalData(purpose, "HMAC-SHA-256", this.#storeId, ...parts))
      .digest();
  }
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

function wrap(master: MasterKey, storeId: string, key: Uint8Array): string {
  return sealBox(master.key, key, bound(storeId, master.id)).toString("base64");
}

function unwrap(master: MasterKey, { storeId, storeKey }: StoreState): Buffer {
  return openBox(master.key, Buffer.from(storeKey, "base64"), bound(storeId, master.id));
}

function bound(storeId: string, keyId: string): Buffer {
  return additionalData("store-key", ALGORITHM, storeId, keyId);
}

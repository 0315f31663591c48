/**
 * A value under a key of its own, and that key under the master key. The value is bound to where it belongs and to what was
 * said of it; its key to where it belongs and to the master key. A new master key wraps the small keys anew, no value.
 */
import { randomBytes } from "node:crypto";
import { additionalData } from "./additional-data.ts";
import { ALGORITHM, KEY_BYTES, openBox, sealBox } from "./box.ts";
import type { MasterKey } from "./master-key.ts";

/** Where a value belongs. */
export interface Place {
  readonly storeId: string;
  readonly secretId: string;
  readonly version: number;
}

export interface Envelope {
  /** Of the master key. */
  readonly keyId: string;
  /** The value's own key. */
  readonly wrapped: Uint8Array;
  readonly sealed: Uint8Array;
}

/** @param said digest of what was said of the secret: its owner, expiry, allow-lists. */
export function sealValue(master: MasterKey, place: Place, said: Uint8Array, value: Uint8Array): Envelope {
  const dataKey = randomBytes(KEY_BYTES);
  try {
    return { keyId: master.id, wrapped: wrapKey(master, place, dataKey), sealed: sealBox(dataKey, value, valueBound(place, said)) };
  } finally {
    dataKey.fill(0);
  }
}

/** Throws INTEGRITY_FAILURE. */
export function openValue(master: MasterKey, place: Place, said: Uint8Array, { wrapped, sealed }: Envelope): Buffer {
  const dataKey = openBox(master.key, wrapped, keyBound(place, master.id));
  try {
    return openBox(dataKey, sealed, valueBound(place, said));
  } finally {
    dataKey.fill(0);
  }
}

/** The value's key under another master key. Throws INTEGRITY_FAILURE when it is not under `from`. */
export function rewrap(from: MasterKey, to: MasterKey, place: Place, wrapped: Uint8Array): Buffer {
  const dataKey = openBox(from.key, wrapped, keyBound(place, from.id));
  try {
    return wrapKey(to, place, dataKey);
  } finally {
    dataKey.fill(0);
  }
}

function wrapKey(master: MasterKey, place: Place, dataKey: Uint8Array): Buffer {
  return sealBox(master.key, dataKey, keyBound(place, master.id));
}

function keyBound({ storeId, secretId, version }: Place, masterId: string): Buffer {
  return additionalData("data-key", ALGORITHM, storeId, secretId, version, masterId);
}

function valueBound({ storeId, secretId, version }: Place, said: Uint8Array): Buffer {
  return additionalData("value", ALGORITHM, storeId, secretId, version, said);
}

/**
 * From one master key to another while everybody goes on. The new key joins the old one in the key file; the store says that
 * new values are sealed with it; the keys of old values are wrapped anew, some at a time; when none is left, the old key goes.
 * At every step every value opens with exactly one key that is there, and whoever starts again goes on from where it stopped.
 */
import { CofferdamError } from "../../foundation/index.ts";
import { rewrap } from "../sealing/envelope.ts";
import type { MasterKey, MasterKeys } from "../sealing/master-key.ts";
import type { SealedStore } from "./sealed-store.ts";

export interface RewrapReport {
  /** Of the key that everything is under now. */
  readonly keyId: string;
  readonly values: number;
}

/** Values a turn: others write in between. */
const AT_ONCE = 200;

export async function rewrapAll(store: SealedStore, keys: MasterKeys): Promise<RewrapReport> {
  const prepared = await keys.prepare();
  const next = await store.write(async ({ state, useMaster }) => {
    const key = await prepared.begin();
    if (key.id !== state.keyId) await useMaster(key);
    return key;
  });
  let values = 0;
  for (let done = 1; done > 0; values += done) done = await some(store, next);
  await store.write(async ({ rows, state }) => {
    // Another process may have begun the next change by now: then the keys are its business.
    if (state.keyId !== next.id) throw new CofferdamError("CONFLICT", "another process changes the key of the secrets", { hint: "wait for it" });
    if ((await rows.notUnder(next.id, 1)).length === 0) await keys.end(next.id);
  });
  return { keyId: next.id, values };
}

async function some(store: SealedStore, to: MasterKey): Promise<number> {
  return await store.write(async ({ rows, state }) => {
    const found = await rows.notUnder(to.id, AT_ONCE);
    for (const { secretId, version, keyId, wrapped } of found) {
      const place = { storeId: state.storeId, secretId, version };
      await rows.rewrapValue(secretId, version, to.id, rewrap(await store.master(keyId), to, place, wrapped));
    }
    return found.length;
  });
}

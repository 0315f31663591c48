/** A master key: 256 random bits, named by their own hash, so that a key of another name or with other bits is none. */
import { hash, randomBytes } from "node:crypto";
import { KEY_BYTES } from "./box.ts";

export interface MasterKey {
  readonly id: string;
  readonly key: Uint8Array;
}

export function newMasterKey(): MasterKey {
  const key = randomBytes(KEY_BYTES);
  return { id: masterKeyId(key), key };
}

/** Says nothing about the key: a hash of 256 random bits. */
export function masterKeyId(key: Uint8Array): string {
  return `mk_${hash("sha256", Buffer.concat([Buffer.from("cofferdam/secrets/key-id/v1\n"), key]), "hex").slice(0, 32)}`;
}

/** Where a store gets its master keys. While keys are being changed there are two. */
export interface MasterKeys {
  /** The key that new values are sealed with, made when there is none yet and `make` allows it. Throws FAILED_PRECONDITION when it is missing. */
  current(make: boolean): Promise<MasterKey>;
  /** undefined for a key that is not there. */
  get(id: string): Promise<MasterKey | undefined>;
  /** Makes a key, which may take time, and keeps it nowhere yet. */
  prepare(): Promise<PreparedKey>;
  /** Forgets all keys but one. The caller is alone, and nothing is sealed with the others any more. */
  end(keep: string): Promise<void>;
}

export interface PreparedKey {
  /** It becomes the current key, beside the old; or the one of a change that was interrupted goes on. The caller is alone. */
  begin(): Promise<MasterKey>;
}

/** For a store that lives in memory. */
export class MemoryMasterKeys implements MasterKeys {
  #keys: MasterKey[] = [];

  async current(): Promise<MasterKey> {
    return this.#keys.at(-1) ?? (await this.#add());
  }

  async get(id: string): Promise<MasterKey | undefined> {
    return this.#keys.find((key) => key.id === id);
  }

  async prepare(): Promise<PreparedKey> {
    return { begin: async () => (this.#keys.length > 1 ? await this.current() : await this.#add()) };
  }

  async end(keep: string): Promise<void> {
    this.#keys = this.#keys.filter(({ id }) => id === keep);
  }

  async #add(): Promise<MasterKey> {
    const key = newMasterKey();
    this.#keys.push(key);
    return key;
  }
}

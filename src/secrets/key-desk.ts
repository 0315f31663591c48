/** The key file of backend `file`: what is in it, a backup of it, and other ways to keep it. Works without an open store. */
import type { JsonObject } from "../foundation/index.ts";
import type { Store } from "../store/index.ts";
import type { Intent, SecretGate } from "./gate.ts";
import { parseActor, type SecretActor } from "./inputs.ts";
import { openBackup, sealBackup } from "./keys/backup.ts";
import type { KeyFileState } from "./keys/key-file.ts";
import { keyFileOf, protectionOf } from "./open-backend.ts";
import type { EncryptionOptions, EncryptionSettings } from "./settings.ts";

export class KeyDesk {
  readonly #gate: SecretGate;
  readonly #settings: EncryptionSettings;
  readonly #store: Store;

  /** @param store its write turn keeps changes of the key apart from each other, in all processes. */
  constructor(gate: SecretGate, settings: EncryptionSettings, store: Store) {
    this.#gate = gate;
    this.#settings = settings;
    this.#store = store;
  }

  get path(): string {
    return this.#settings.keyFile;
  }

  /** Ids of the keys and how each is kept; undefined when there is no file. Throws FAILED_PRECONDITION when others may read it. */
  state(): KeyFileState | undefined {
    return keyFileOf(this.#settings).state();
  }

  /**
   * A text that has all keys, under a passphrase of its own of 12 bytes or more. Worth as much as the secrets: keep it elsewhere.
   * Throws PERMISSION_DENIED, INVALID_ARGUMENT, FAILED_PRECONDITION without keys.
   */
  async backup(passphrase: Uint8Array, by: SecretActor): Promise<string> {
    return await this.#recorded("backupKey", "SecretKeyBackedUp", by, async () => {
      const file = keyFileOf(this.#settings);
      await file.current(false);
      const keys = await file.all();
      return { result: await sealBackup(keys, passphrase, this.#settings.cost), details: { keys: keys.map(({ id }) => id) } };
    });
  }

  /** Puts the keys of a backup where there is no key file. Throws CONFLICT when there is one, INTEGRITY_FAILURE, PERMISSION_DENIED. */
  async restore(backup: string, passphrase: Uint8Array, by: SecretActor): Promise<readonly string[]> {
    return await this.#recorded("restoreKey", "SecretKeyRestored", by, async () => {
      const keys = await openBackup(backup, passphrase);
      await keyFileOf(this.#settings).create(keys);
      const ids = keys.map(({ id }) => id);
      return { result: ids, details: { keys: ids } };
    });
  }

  /**
   * Keeps the same keys as the options say from now on. @param before what opens them as they are kept now, where that is
   * something else: the old passphrase. Throws PERMISSION_DENIED, INTEGRITY_FAILURE, FAILED_PRECONDITION.
   */
  async protect(by: SecretActor, before: Pick<EncryptionOptions, "passphrase" | "command"> = {}): Promise<void> {
    await this.#recorded("protectKey", "SecretKeyProtected", by, async () => {
      const file = keyFileOf({ ...this.#settings, ...before });
      await file.current(false);
      await this.#store.write(async () => await file.protectAnew(protectionOf(this.#settings)));
      return { result: undefined, details: { kind: this.#settings.key } };
    });
  }

  async #recorded<T>(
    operation: string,
    action: string,
    by: SecretActor,
    work: () => Promise<{ readonly result: T; readonly details: JsonObject }>,
  ): Promise<T> {
    const actor = parseActor(by);
    const intent: Intent = { operation, permission: "secrets:admin", actor };
    return await this.#gate.attempt(intent, async () => {
      const rule = await this.#gate.authorize(intent);
      const { result, details } = await work();
      await this.#gate.record(action, "success", actor, undefined, { ...details, rule });
      return result;
    });
  }
}

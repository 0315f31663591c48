/**
 * The Ed25519 keys of a log, as files beside it. `audit.pem` signs; `audit.old.pem` is the one before it, which signs along
 * for a while after a rotation; `audit.next.pem` exists only while a rotation is under way.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync, linkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { CofferdamError, errnoOf, makeFolder, newId, readBounded, syncFolder, wrapError } from "../foundation/index.ts";
import { rawPublicKey } from "./note.ts";

export interface LogKey {
  readonly privateKey: KeyObject;
  /** Raw public key. */
  readonly raw: Buffer;
}

/** Where a log keeps its keys: files, or memory for a log that lives there too. */
export interface LogKeys {
  /** The signing key; made when the log has none yet and `make` says so. Throws INTEGRITY_FAILURE for a file that is no key. */
  current(make: boolean): Promise<LogKey | undefined>;
  /** The key before the current one. */
  old(): Promise<LogKey | undefined>;
  /** The key of a rotation that is under way, or a new one. */
  next(): Promise<LogKey>;
  /** Ends a rotation: next becomes current, current becomes old. */
  turn(): Promise<void>;
}

export class MemoryKeys implements LogKeys {
  #current: LogKey | undefined;
  #old: LogKey | undefined;
  #next: LogKey | undefined;

  async current(make: boolean): Promise<LogKey | undefined> {
    if (make) this.#current ??= newKey();
    return this.#current;
  }

  async old(): Promise<LogKey | undefined> {
    return this.#old;
  }

  async next(): Promise<LogKey> {
    this.#next ??= newKey();
    return this.#next;
  }

  async turn(): Promise<void> {
    if (this.#next === undefined) return;
    this.#old = this.#current;
    this.#current = this.#next;
    this.#next = undefined;
  }
}

export class KeyFiles implements LogKeys {
  readonly #path: string;

  /** @param path of the signing key; its neighbours' names come from it. */
  constructor(path: string) {
    this.#path = path;
  }

  async current(make: boolean): Promise<LogKey | undefined> {
    return (await readKey(this.#path)) ?? (make ? await this.#make(this.#path) : undefined);
  }

  async old(): Promise<LogKey | undefined> {
    return await readKey(this.#beside("old"));
  }

  async next(): Promise<LogKey> {
    return (await readKey(this.#beside("next"))) ?? (await this.#make(this.#beside("next")));
  }

  async turn(): Promise<void> {
    try {
      // Both renames are redone by whoever finds the first without the second: `next` is still there then.
      if (existsSync(this.#path)) renameSync(this.#path, this.#beside("old"));
      renameSync(this.#beside("next"), this.#path);
      syncFolder(dirname(this.#path));
    } catch (error) {
      throw wrapError(error, "ENVIRONMENT_UNFIT", "the audit keys cannot be turned over");
    }
  }

  #beside(which: "old" | "next"): string {
    return this.#path.replace(/\.pem$/, `.${which}.pem`);
  }

  /** Mode 0600. Of two processes that make it at once, both end up with the same key. */
  async #make(path: string): Promise<LogKey> {
    makeFolder(dirname(path), 0o700);
    const fresh = `${path}.${newId("new")}`;
    try {
      writeFileSync(fresh, newKey().privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx", flush: true });
      linkSync(fresh, path);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    } finally {
      rmSync(fresh, { force: true });
    }
    syncFolder(dirname(path));
    syncFolder(dirname(dirname(path)));
    const made = await readKey(path);
    if (made === undefined) throw new CofferdamError("CONFLICT", `the audit key disappeared: ${path}`);
    return made;
  }
}

function newKey(): LogKey {
  return keyOf(generateKeyPairSync("ed25519").privateKey);
}

async function readKey(path: string): Promise<LogKey | undefined> {
  const pem = await readBounded(path, { maxBytes: 16 * 1024, what: "audit key" });
  if (pem === undefined) return undefined;
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === "ed25519") return keyOf(key);
  } catch (error) {
    throw new CofferdamError("INTEGRITY_FAILURE", `the audit key cannot be read: ${path}`, { cause: error });
  }
  throw new CofferdamError("INTEGRITY_FAILURE", `the audit key is not an Ed25519 key: ${path}`);
}

function keyOf(privateKey: KeyObject): LogKey {
  return { privateKey, raw: rawPublicKey(privateKey) };
}

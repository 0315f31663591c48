/**
 * Secrets that must be read again (of second factors) are sealed before they go into the database: AES-256-GCM with a key in a
 * file beside it, 0600. That keeps them out of copies of the database. It does not keep them from whoever may read the file.
 */
import { randomBytes } from "node:crypto";
import { linkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CofferdamError, errnoOf, lengthFramed, makeFolder, newId, openBytes, readBounded, sealBytes, wrapError } from "../../foundation/index.ts";

const KEY_BYTES = 32;

export class Sealing {
  readonly #path: string | undefined;
  #key: Buffer | undefined;

  /** @param directory state directory; without one the key is in memory, for a store that is there, too. */
  constructor(directory: string | undefined) {
    this.#path = directory === undefined ? undefined : join(directory, "keys", "identity.key");
  }

  /** @param about what the text belongs to: it opens for that alone. Throws ENVIRONMENT_UNFIT, INTEGRITY_FAILURE for a key file that is none. */
  async seal(text: Buffer, about: readonly string[]): Promise<string> {
    return sealBytes(await this.#theKey(true), text, additional(about)).toString("base64");
  }

  /** Throws INTEGRITY_FAILURE for what was not sealed with this key about this. */
  async open(sealed: string, about: readonly string[]): Promise<Buffer> {
    try {
      return openBytes(await this.#theKey(false), Buffer.from(sealed, "base64"), additional(about));
    } catch (error) {
      if (error instanceof CofferdamError) throw error;
      throw new CofferdamError("INTEGRITY_FAILURE", "a sealed secret of a second factor does not open", {
        hint: `is ${this.#path ?? "the key"} the one that belongs to this database? Else: cofferdam rbac recover`,
        cause: error,
      });
    }
  }

  async #theKey(make: boolean): Promise<Buffer> {
    if (this.#path === undefined) this.#key ??= randomBytes(KEY_BYTES);
    else this.#key ??= (await readKey(this.#path)) ?? (make ? await makeKey(this.#path) : undefined);
    if (this.#key === undefined)
      throw new CofferdamError("INTEGRITY_FAILURE", `the key of second factors is gone: ${this.#path ?? ""}`, {
        hint: "put it back, or take the second factors away: cofferdam rbac recover",
      });
    return this.#key;
  }
}

async function readKey(path: string): Promise<Buffer | undefined> {
  const bytes = await readBounded(path, { maxBytes: KEY_BYTES, what: "identity key" });
  if (bytes === undefined) return undefined;
  if (bytes.length !== KEY_BYTES) throw new CofferdamError("INTEGRITY_FAILURE", `the identity key is not ${KEY_BYTES} bytes: ${path}`);
  if ((statSync(path).mode & 0o077) !== 0)
    throw new CofferdamError("ENVIRONMENT_UNFIT", `others can read the identity key: ${path}`, { hint: `chmod 600 ${path}, and enrol second factors anew` });
  return bytes;
}

/** Of two processes that make it at once, both end up with the same key. */
async function makeKey(path: string): Promise<Buffer> {
  const fresh = `${path}.${newId("new")}`;
  try {
    makeFolder(dirname(path), 0o700);
    writeFileSync(fresh, randomBytes(KEY_BYTES), { mode: 0o600, flag: "wx", flush: true });
    linkSync(fresh, path);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw wrapError(error, "ENVIRONMENT_UNFIT", "the identity key cannot be made");
  } finally {
    rmSync(fresh, { force: true });
  }
  const made = await readKey(path);
  if (made === undefined) throw new CofferdamError("CONFLICT", `the identity key disappeared: ${path}`);
  return made;
}

function additional(about: readonly string[]): Buffer {
  return lengthFramed(["cofferdam identity v1", "aes-256-gcm", ...about]);
}

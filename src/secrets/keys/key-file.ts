/**
 * The master keys of a store in one private file: one key, or two while one follows the other. The file is replaced as a
 * whole, so that a crash leaves what was or what is to be; whoever meets a key that it does not know reads the file again.
 */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import { cannotOpen } from "../sealing/box.ts";
import { parseDocument } from "../sealing/document.ts";
import { type MasterKey, type MasterKeys, masterKeyId, newMasterKey, type PreparedKey } from "../sealing/master-key.ts";
import { createPrivate, readPrivate, replacePrivate } from "./private-file.ts";
import { type KeyProtection, type ProtectedKey, protectedKeySchema } from "./protection.ts";

const FORMAT = "cofferdam/secrets-keys/v1";
/** Keys a file may have; a rotation needs two. */
const MAX_KEYS = 4;
const MAX_BYTES = 1_000_000;

interface KeptKey {
  readonly id: string;
  readonly protection: ProtectedKey;
}

/** In order of age: the last one is current. */
interface KeyFileText {
  readonly format: typeof FORMAT;
  readonly keys: readonly KeptKey[];
}

const textSchema: z.ZodType<KeyFileText> = z.strictObject({
  format: z.literal(FORMAT),
  keys: z
    .array(z.strictObject({ id: z.string().regex(/^mk_[0-9a-f]{32}$/), protection: protectedKeySchema }))
    .min(1)
    .max(MAX_KEYS),
});

export interface KeyFileState {
  readonly keys: readonly { readonly id: string; readonly kind: ProtectedKey["kind"] }[];
}

export class KeyFile implements MasterKeys {
  readonly path: string;
  readonly #protection: KeyProtection;
  /** Opened keys by id: a passphrase and a command cost time. */
  readonly #opened = new Map<string, MasterKey>();

  constructor(path: string, protection: KeyProtection) {
    this.path = path;
    this.#protection = protection;
  }

  async current(make: boolean): Promise<MasterKey> {
    const kept = this.#read();
    const last = kept.at(-1);
    if (last !== undefined) return await this.#open(last);
    if (!make)
      throw new CofferdamError("FAILED_PRECONDITION", `the key of the secrets is not there: ${this.path}`, { hint: "cofferdam secret key restore FILE" });
    const made = newMasterKey();
    // Of two processes that make it at once, both end up with the same key.
    if (createPrivate(this.path, textOf([await this.#keep(made)]))) this.#opened.set(made.id, made);
    return await this.current(false);
  }

  async get(id: string): Promise<MasterKey | undefined> {
    const known = this.#opened.get(id);
    if (known !== undefined) return known;
    const kept = this.#read().find((key) => key.id === id);
    return kept === undefined ? undefined : await this.#open(kept);
  }

  async prepare(): Promise<PreparedKey> {
    const made = newMasterKey();
    const next = await this.#keep(made);
    // The one of an interrupted change is opened now, where it may take its time.
    if (this.#read().length > 1) await this.current(false);
    return {
      begin: async () => {
        const kept = this.#read();
        if (kept.length > 1) return await this.current(false);
        replacePrivate(this.path, textOf([...kept, next]));
        this.#opened.set(made.id, made);
        return made;
      },
    };
  }

  async end(keep: string): Promise<void> {
    const kept = this.#read();
    const left = kept.filter(({ id }) => id === keep);
    if (left.length === 0) throw new CofferdamError("FAILED_PRECONDITION", `the key file has no key ${keep}`);
    if (left.length < kept.length) replacePrivate(this.path, textOf(left));
    for (const id of this.#opened.keys()) if (id !== keep) this.#opened.delete(id);
  }

  /** Keeps the same keys in another way: after a new passphrase, or from file to command. */
  async protectAnew(protection: KeyProtection): Promise<void> {
    const kept: KeptKey[] = [];
    for (const one of this.#read()) kept.push({ id: one.id, protection: await protection.protect(one.id, (await this.#open(one)).key) });
    if (kept.length > 0) replacePrivate(this.path, textOf(kept));
  }

  /** Every key, opened: for a backup. */
  async all(): Promise<readonly MasterKey[]> {
    return await Promise.all(this.#read().map((kept) => this.#open(kept)));
  }

  /** Puts keys of a backup where there is no file. Throws CONFLICT when there is one. */
  async create(keys: readonly MasterKey[]): Promise<void> {
    const kept = await Promise.all(keys.map((key) => this.#keep(key)));
    if (!createPrivate(this.path, textOf(kept)))
      throw new CofferdamError("CONFLICT", `there is a key file already: ${this.path}`, { hint: "move it away first; nothing was changed" });
  }

  /** What the file has, without opening anything; undefined when there is none. */
  state(): KeyFileState | undefined {
    const kept = this.#read();
    return kept.length === 0 ? undefined : { keys: kept.map(({ id, protection }) => ({ id, kind: protection.kind })) };
  }

  async #open({ id, protection }: KeptKey): Promise<MasterKey> {
    const known = this.#opened.get(id);
    if (known !== undefined) return known;
    const key = await this.#protection.open(id, protection);
    if (masterKeyId(key) !== id) throw cannotOpen();
    const opened = { id, key };
    this.#opened.set(id, opened);
    return opened;
  }

  async #keep({ id, key }: MasterKey): Promise<KeptKey> {
    return { id, protection: await this.#protection.protect(id, key) };
  }

  #read(): readonly KeptKey[] {
    const bytes = readPrivate(this.path, "the key file of the secrets", MAX_BYTES);
    return bytes === undefined ? [] : parseDocument(textSchema, bytes.toString("utf8")).keys;
  }
}

function textOf(keys: readonly KeptKey[]): string {
  return `${JSON.stringify({ format: FORMAT, keys } satisfies KeyFileText)}\n`;
}

/**
 * How a master key is kept in its file: as it is (the file is private), under a passphrase, or wrapped by a command that talks
 * to a key service.
 */
import { z } from "zod";
import { CofferdamError } from "../../foundation/index.ts";
import { runProgram } from "../program.ts";
import { cannotOpen, KEY_BYTES } from "../sealing/box.ts";
import { COST_FLOOR, type KdfCost, openWithPassphrase, type PassphraseBox, passphraseBoxSchema, sealWithPassphrase } from "./passphrase.ts";

export type ProtectedKey =
  | { readonly kind: "file"; readonly key: string }
  | { readonly kind: "passphrase"; readonly box: PassphraseBox }
  | { readonly kind: "command"; readonly wrapped: string };

/** Most bytes that a command may make of a key. */
const MAX_WRAPPED = 64 * 1024;
const base64 = z.base64().max(2 * MAX_WRAPPED);

export const protectedKeySchema: z.ZodType<ProtectedKey> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("file"), key: base64 }),
  z.strictObject({ kind: z.literal("passphrase"), box: passphraseBoxSchema }),
  z.strictObject({ kind: z.literal("command"), wrapped: base64 }),
]);

/** What protects new keys, and what is needed to open those that are there. */
export interface ProtectionOptions {
  readonly kind: ProtectedKey["kind"];
  /** Asked when it is needed. */
  readonly passphrase?: (() => Promise<Uint8Array>) | undefined;
  readonly cost?: KdfCost | undefined;
  /**
   * Called with one more word: `wrap` gets the key in base64 on its standard input and answers with any bytes; `unwrap` gets
   * those bytes and answers with the key in base64.
   */
  readonly command?: readonly string[] | undefined;
  /** Longest time of the command, ms. */
  readonly timeout?: number | undefined;
}

const TIMEOUT = 30_000;

export class KeyProtection {
  readonly #options: ProtectionOptions;

  constructor(options: ProtectionOptions) {
    this.#options = options;
  }

  async protect(id: string, key: Uint8Array): Promise<ProtectedKey> {
    const { kind, cost = COST_FLOOR } = this.#options;
    switch (kind) {
      case "file":
        return { kind, key: Buffer.from(key).toString("base64") };
      case "passphrase":
        return { kind, box: await sealWithPassphrase(await this.#passphrase(), "passphrase", id, key, cost) };
      case "command": {
        const wrapped = await this.#command("wrap", Buffer.from(`${Buffer.from(key).toString("base64")}\n`));
        const made: ProtectedKey = { kind, wrapped: wrapped.toString("base64") };
        // A key that cannot be had back is found out before anything is sealed with it.
        if (!(await this.open(id, made)).equals(key)) throw new CofferdamError("UPSTREAM_UNAVAILABLE", "the key command does not unwrap what it wrapped");
        return made;
      }
    }
  }

  /** Throws INTEGRITY_FAILURE when it does not open, FAILED_PRECONDITION without what it needs, and what {@link runProgram} throws. */
  async open(id: string, kept: ProtectedKey): Promise<Buffer> {
    switch (kept.kind) {
      case "file":
        return keyOf(kept.key);
      case "passphrase":
        return await openWithPassphrase(await this.#passphrase(), "passphrase", id, kept.box);
      case "command":
        return keyOf((await this.#command("unwrap", Buffer.from(kept.wrapped, "base64"))).toString("latin1").trim());
    }
  }

  async #passphrase(): Promise<Uint8Array> {
    const { passphrase } = this.#options;
    if (passphrase === undefined)
      throw new CofferdamError("FAILED_PRECONDITION", "the key of the secrets is under a passphrase, and there is none", {
        hint: "name a file that holds it: secrets: {passphrase-file: PATH}",
      });
    return await passphrase();
  }

  async #command(verb: "wrap" | "unwrap", input: Buffer): Promise<Buffer> {
    const { command, timeout = TIMEOUT } = this.#options;
    if (command === undefined)
      throw new CofferdamError("FAILED_PRECONDITION", "the key of the secrets is wrapped by a command, and there is none", {
        hint: "secrets: {key-command: [PROGRAM, ARGUMENT]}",
      });
    return await runProgram({ argv: [...command, verb], input, timeout, maxBytes: MAX_WRAPPED });
  }
}

function keyOf(base64Text: string): Buffer {
  const key = Buffer.from(base64Text, "base64");
  if (key.length !== KEY_BYTES) throw cannotOpen();
  return key;
}

/** A secret on its way to a job. Printing it, or turning it into JSON, shows no value. */
import { CofferdamError } from "../foundation/index.ts";
import type { RetrievedSecret, StoredSecret } from "./contract.ts";

export class OpenedSecret implements RetrievedSecret {
  readonly secretId: string;
  readonly version: number;
  readonly canary: boolean;
  readonly validUntil: number | undefined;
  readonly #value: Uint8Array;

  constructor({ info }: StoredSecret, version: number, value: Uint8Array, validUntil: number | undefined) {
    this.secretId = info.secretId;
    this.version = version;
    this.canary = info.canary;
    this.validUntil = validUntil;
    this.#value = value;
  }

  get value(): Uint8Array {
    return this.#value;
  }

  text(): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#value);
    } catch {
      throw new CofferdamError("FAILED_PRECONDITION", `${this.secretId} is no text`, { hint: "use its bytes: value" });
    }
  }
}

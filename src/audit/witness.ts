/** Asking a witness for its cosignature: `add-checkpoint` of c2sp.org/tlog-witness, cosignatures of type cosignature/v1. */
import { CofferdamError } from "../foundation/index.ts";
import { witnessName } from "./copies/place.ts";
import { exchange, unreachable } from "./http.ts";
import { MAX_PROOF } from "./merkle.ts";
import { parseNote, parseSignatureLine, type VerifierKey, verifySignature } from "./note.ts";

export class Witness {
  readonly name: string;
  readonly #address: string;
  readonly #key: VerifierKey;
  /** Size of the last checkpoint that it cosigned, as far as we know. */
  #size = 0;

  /** @param address its submission prefix. @param key of type 0x04. Throws INVALID_ARGUMENT for another type. */
  constructor(address: string, key: VerifierKey) {
    this.name = witnessName(key);
    this.#address = address.replace(/\/$/, "");
    this.#key = key;
  }

  /**
   * The note with the witness's line added, or as it is when that is there already.
   * @param consistency proof from an older size to that of the note.
   * Throws UPSTREAM_UNAVAILABLE without an answer that makes sense, INTEGRITY_FAILURE when the witness says that the log is
   * not the one that it saw before, or its signature does not verify.
   */
  async cosign(note: string, consistency: (oldSize: number) => Promise<readonly Buffer[]>): Promise<string> {
    const { text, signatures } = parseNote(note);
    if (signatures.some(({ name, id }) => name === this.#key.name && id === this.#key.id)) return note;
    const size = Number(text.split("\n")[1]);
    let answer = await this.#submit(note, this.#size, consistency);
    if (answer.status === 409) {
      const known = Number(answer.text.trim());
      if (!/^\d{1,16}\n$/.test(answer.text) || known > size || known === this.#size) throw this.#refused("it knows a larger log, or another one of this size");
      this.#size = known;
      answer = await this.#submit(note, known, consistency);
    }
    if (answer.status === 422 || answer.status === 409) throw this.#refused("this log does not continue what it cosigned before");
    if (answer.status !== 200) throw unreachable(this.#address, `the witness answered ${answer.status}`);
    const line = this.#lineOf(text, answer.text);
    this.#size = size;
    return `${note}${line}\n`;
  }

  async #submit(note: string, oldSize: number, consistency: (oldSize: number) => Promise<readonly Buffer[]>): Promise<{ status: number; text: string }> {
    const proof = await consistency(oldSize);
    if (proof.length > MAX_PROOF) throw new CofferdamError("INTERNAL", "a proof that is too long");
    const lines = proof.map((hash) => `${hash.toString("base64")}\n`).join("");
    return await exchange("POST", `${this.#address}/add-checkpoint`, `old ${oldSize}\n${lines}\n${note}`);
  }

  /** The first line of the answer that is this witness's; lines of other keys are ignored. */
  #lineOf(text: string, answer: string): string {
    for (const line of answer.split("\n").slice(0, 100)) {
      if (line === "") continue;
      const signature = parseSignatureLine(line);
      if (signature.name !== this.#key.name || signature.id !== this.#key.id) continue;
      verifySignature(text, signature, this.#key);
      return line;
    }
    throw unreachable(this.#address, "the witness's answer has no signature of its key");
  }

  #refused(why: string): CofferdamError {
    return new CofferdamError("INTEGRITY_FAILURE", `witness ${this.#key.name} refused the checkpoint: ${why}`, { hint: "cofferdam audit verify" });
  }
}

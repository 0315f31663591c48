/** The values that may not be shown, and what takes them out of streams, texts and JSON. */
import { CofferdamError, type JsonObject, type JsonValue } from "../../foundation/index.ts";
import { Automaton } from "./automaton.ts";
import { formsOf, SHORTEST_MASKED } from "./forms.ts";
import { MASK, StreamMasker } from "./stream-masker.ts";

/** Values of one list. */
export const MOST_MASKED = 4096;
const DEEPEST = 64;

/**
 * @example
 * ```ts
 * import { MaskList } from "cofferdam/secrets";
 *
 * const masks = new MaskList();
 * masks.add(Buffer.from("correct horse"));
 * masks.text("say Y29ycmVjdCBob3JzZQ== or correct%20horse"); // "say *** or ***"
 * ```
 */
export class MaskList {
  readonly #values = new Map<string, readonly Buffer[]>();
  /** Of all values; undefined until it is needed again. */
  #automaton: Automaton | undefined;

  /** Values that are masked. */
  get size(): number {
    return this.#values.size;
  }

  /**
   * From now on it is masked, also in streams that are open. @returns why it is not: it is too short, or blank, and would stand
   * in too much that is none of it. Throws RESOURCE_EXHAUSTED for more than {@link MOST_MASKED} values.
   */
  add(value: Uint8Array): string | undefined {
    const forms = formsOf(value);
    if (forms.length === 0) return `shorter than ${SHORTEST_MASKED} bytes, or blank: it is not masked`;
    if (this.#values.size >= MOST_MASKED) throw new CofferdamError("RESOURCE_EXHAUSTED", `more than ${MOST_MASKED} values to be masked`);
    const key = Buffer.from(value).toString("latin1");
    if (this.#values.has(key)) return undefined;
    this.#values.set(key, forms);
    this.#automaton = undefined;
    return undefined;
  }

  /** Makes the tables now, so that no stream is the first to fail. Throws RESOURCE_EXHAUSTED for values that have too many forms. */
  prepare(): void {
    this.#patterns();
  }

  /** For one stream of bytes. */
  stream(): StreamMasker {
    return new StreamMasker(() => this.#patterns());
  }

  /** A text that ends with the beginning of a value, cut off, has that masked too. */
  text(text: string): string {
    if (this.#values.size === 0) return text;
    const bytes = Buffer.from(text);
    const stream = this.stream();
    const masked = Buffer.concat([stream.write(bytes), stream.flush()]);
    return masked.equals(bytes) ? text : masked.toString();
  }

  /** Every text and key in it, and numbers that are a value. Deeper than 64: masked as a whole. */
  json(value: JsonValue): JsonValue {
    return this.#values.size === 0 ? value : this.#json(value, 0);
  }

  /** As {@link json}. */
  object(value: JsonObject): JsonObject {
    return this.#values.size === 0 ? value : this.#object(value, 0);
  }

  #json(value: JsonValue, depth: number): JsonValue {
    if (depth > DEEPEST) return MASK;
    if (typeof value === "string") return this.text(value);
    if (typeof value === "number") return this.text(String(value)) === String(value) ? value : MASK;
    if (typeof value !== "object" || value === null) return value;
    return isList(value) ? value.map((one) => this.#json(one, depth + 1)) : this.#object(value, depth);
  }

  #object(value: JsonObject, depth: number): JsonObject {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [this.text(key), this.#json(one, depth + 1)]));
  }

  /** Tables are made when they are needed: adding many values makes them once. */
  #patterns(): Automaton {
    this.#automaton ??= new Automaton([...this.#values.values()].flat());
    return this.#automaton;
  }
}

function isList(value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/**
 * A random sample that anybody can draw again: the events whose SHA-256 of `seed`, a line feed and the event's number is
 * smallest. It depends on nothing else, neither on the order in which events come nor on how many there are.
 */
import { hash } from "node:crypto";

/** The rule, for those who want to draw the sample again. */
export const SAMPLE_METHOD = "the events with the smallest SHA-256 of seed, line feed (0x0A), sequence number in decimal; compared as hexadecimal text";

export class Sample {
  readonly #seed: string;
  readonly #size: number;
  #of = 0;
  /** By rank. */
  #drawn: { readonly rank: string; readonly seq: number }[] = [];

  constructor(seed: string, size: number) {
    this.#seed = seed;
    this.#size = size;
  }

  add(seq: number): void {
    this.#of += 1;
    const rank = sampleRank(this.#seed, seq);
    const last = this.#drawn.at(-1);
    if (this.#drawn.length === this.#size && last !== undefined && rank >= last.rank) return;
    const at = this.#drawn.findIndex((one) => one.rank > rank);
    this.#drawn.splice(at < 0 ? this.#drawn.length : at, 0, { rank, seq });
    this.#drawn = this.#drawn.slice(0, this.#size);
  }

  /** Events that the sample was drawn from. */
  get of(): number {
    return this.#of;
  }

  /** The sample in the order of the log. */
  get seqs(): readonly number[] {
    return this.#drawn.map(({ seq }) => seq).sort((a, b) => a - b);
  }
}

export function sampleRank(seed: string, seq: number): string {
  return hash("sha256", `${seed}\n${seq}`, "hex");
}

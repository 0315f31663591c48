/** Canaries: secrets that nothing should use. One that shows in the output of a job, in any form, is told at once, once a job. */
import type { OutputChunk } from "../engine/index.ts";
import type { MaskList, StreamMasker } from "../secrets/index.ts";

export class CanaryWatch {
  readonly #canaries: MaskList;
  readonly #seen: (source: OutputChunk["source"]) => void;
  readonly #streams = new Map<OutputChunk["source"], StreamMasker>();
  #told = false;

  constructor(canaries: MaskList, seen: (source: OutputChunk["source"]) => void) {
    this.#canaries = canaries;
    this.#seen = seen;
  }

  /** Output as it came. */
  heard({ source, bytes }: OutputChunk): void {
    if (this.#told || this.#canaries.size === 0) return;
    const stream = this.#streams.get(source) ?? this.#canaries.stream();
    this.#streams.set(source, stream);
    stream.write(bytes);
    if (!stream.hasMasked) return;
    this.#told = true;
    this.#seen(source);
  }
}

/**
 * What a job says, without its secrets: two streams, each with a state of its own. What may be the beginning of a secret is held
 * back until more comes, or until nothing came for a moment: a prompt that ends with one letter of a secret still shows.
 */
import type { OutputChunk } from "../engine/index.ts";
import type { MaskList, StreamMasker } from "../secrets/index.ts";

/** How long something is held back, ms. */
const LONGEST_HOLD = 100;

type Source = OutputChunk["source"];

export class MaskedOutput {
  readonly #masks: MaskList;
  readonly #write: (chunk: OutputChunk) => Promise<void>;
  readonly #streams = new Map<Source, StreamMasker>();
  readonly #timers = new Map<Source, NodeJS.Timeout>();
  /** What a timer lets go is written after what was before it; {@link end} waits for it. */
  #late: Promise<void> = Promise.resolve();

  /** @param write called in the order of the output. */
  constructor(masks: MaskList, write: (chunk: OutputChunk) => Promise<void>) {
    this.#masks = masks;
    this.#write = write;
  }

  async write({ source, bytes }: OutputChunk): Promise<void> {
    clearTimeout(this.#timers.get(source));
    const stream = this.#streams.get(source) ?? this.#masks.stream();
    this.#streams.set(source, stream);
    const shown = stream.write(bytes);
    await this.#late;
    await this.#show(source, shown);
    if (stream.held > 0) this.#timers.set(source, setTimeout(() => this.#flush(source, stream), LONGEST_HOLD).unref());
  }

  /** Shows what is held. Nothing may be written after it. */
  async end(): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    await this.#late;
    for (const [source, stream] of this.#streams) await this.#show(source, stream.flush());
  }

  #flush(source: Source, stream: StreamMasker): void {
    const shown = stream.flush();
    this.#late = this.#late.then(async () => await this.#show(source, shown)).catch(() => undefined);
  }

  async #show(source: Source, bytes: Buffer): Promise<void> {
    if (bytes.length > 0) await this.#write({ source, bytes });
  }
}

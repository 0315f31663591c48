/** Small reads near each other, served from a few large ones. */
import type { PackedSource } from "./gzip.ts";

const WINDOW: number = 512 * 1024;

interface Window {
  readonly start: number;
  readonly bytes: Buffer;
}

/** Keeps two windows: a zip's directory is read at one place and its files at another. */
export class ReadWindow implements PackedSource {
  readonly #source: PackedSource;
  /** The one used last comes first. */
  #windows: readonly Window[] = [];

  constructor(source: PackedSource) {
    this.#source = source;
  }

  get size(): number {
    return this.#source.size;
  }

  async read(position: number, length: number): Promise<Buffer> {
    if (length > WINDOW) return await this.#source.read(position, length);
    const end = Math.min(position + length, this.size);
    let window = this.#windows.find(({ start, bytes }) => start <= position && end <= start + bytes.length);
    if (window === undefined) window = { start: position, bytes: await this.#source.read(position, WINDOW) };
    const used = window;
    if (this.#windows[0] !== used) this.#windows = [used, ...this.#windows.filter((other) => other !== used).slice(0, 1)];
    return used.bytes.subarray(position - used.start, end - used.start);
  }
}

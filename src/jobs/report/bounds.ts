/**
 * Keeps a report within its bound: each text and each list has a share of the bytes, and what does not fit is counted by the
 * name of its place. Bytes are those of the JSON, where a control character takes six.
 */
export class Bounds {
  readonly #cut = new Map<string, number>();

  /** Entries left out of each list, and characters left out of texts. */
  get cut(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#cut].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** The beginning of a text, ending in `...` when it is not all of it. */
  text(text: string, maxBytes: number): string {
    const clean = text.toWellFormed();
    if (clean.length <= maxBytes / 6 || jsonBytes(clean) <= maxBytes) return clean;
    let room = maxBytes - 2 - "...".length;
    let end = 0;
    for (const character of clean) {
      room -= jsonBytes(character) - 2;
      if (room < 0) break;
      end += character.length;
    }
    this.#count("texts", clean.length - end);
    return `${clean.slice(0, end)}...`;
  }

  /** The first entries that fit, each made small by `shorten`. */
  list<T, U>(name: string, entries: readonly T[], limits: { readonly count: number; readonly bytes: number }, shorten: (entry: T) => U): U[] {
    const kept: U[] = [];
    let room = limits.bytes;
    for (const entry of entries.slice(0, limits.count)) {
      const short = shorten(entry);
      room -= jsonBytes(short) + 1;
      if (room < 0) break;
      kept.push(short);
    }
    this.#count(name, entries.length - kept.length);
    return kept;
  }

  /** The same, for a list of which both ends tell more than the middle. */
  ends<T, U>(name: string, entries: readonly T[], limits: { readonly count: number; readonly bytes: number }, shorten: (entry: T) => U): U[] {
    const half = { count: Math.floor(limits.count / 2), bytes: Math.floor(limits.bytes / 2) };
    if (entries.length <= half.count) return this.list(name, entries, limits, shorten);
    const tail = entries.slice(half.count);
    const first = this.list(name, entries.slice(0, half.count), half, shorten);
    return [...first, ...this.list(name, tail.toReversed(), half, shorten).toReversed()];
  }

  /** A value of any form, or the other one when it is larger. */
  value<T>(name: string, value: T, otherwise: T, maxBytes: number): T {
    if (jsonBytes(value) <= maxBytes) return value;
    this.#count(name, 1);
    return otherwise;
  }

  #count(name: string, more: number): void {
    if (more > 0) this.#cut.set(name, (this.#cut.get(name) ?? 0) + more);
  }
}

export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

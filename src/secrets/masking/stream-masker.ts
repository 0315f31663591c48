/**
 * Masks a stream: every byte of every form of a registered value becomes part of a `***`, wherever the pieces begin and end.
 * What may be the beginning of a value is held back until it is known; {@link StreamMasker.flush} bounds for how long.
 */
import type { Automaton } from "./automaton.ts";
import { SHORTEST_MASKED } from "./forms.ts";
import { readings } from "./readings.ts";
import { type Range, View } from "./view.ts";

export const MASK = "***";

const STARS: Buffer = Buffer.from(MASK);
/** Pieces that are scanned at once: small enough to stay near the processor. */
const PIECE = 64 * 1024;
/** Bytes that a reading looks at before it may sleep again. */
const STEP = 96;
/** Most bytes that are held back: a value with endless terminal codes inside is let go, masked as far as it came. */
const MOST_HELD: number = 2 ** 20;
const MOST_PIECES = 1024;

/** Of one stream; standard output and standard error have one each. */
export class StreamMasker {
  readonly #patterns: () => Automaton;
  #automaton: Automaton | undefined;
  #views: readonly View[] = [];
  #state = 0;
  /** Bytes that came and are held, and the place of the first of them in the stream. */
  #held: Buffer[] = [];
  #from = 0;
  #end = 0;
  #ranges: Range[] = [];
  /** Place behind the last byte that was masked. */
  #maskedTo = -1;

  /** @param patterns what is looked for by now: another one whenever that changed. */
  constructor(patterns: () => Automaton) {
    this.#patterns = patterns;
  }

  /** Bytes that are held back. */
  get held(): number {
    return this.#end - this.#from;
  }

  /** Whether anything was masked so far. */
  get hasMasked(): boolean {
    return this.#maskedTo >= 0;
  }

  /** @returns what can be shown by now: `bytes` itself where there is nothing to mask. */
  write(bytes: Buffer): Buffer {
    const out: Buffer[] = [];
    this.#follow(out);
    if (this.#automaton?.isEmpty === true) return bytes;
    for (let at = 0; at < bytes.length; at += PIECE) this.#feed(bytes.subarray(at, at + PIECE), out);
    return joined(out);
  }

  /**
   * What is held is shown; of a beginning of a value that has {@link SHORTEST_MASKED} bytes or more, a mask. Should the rest of
   * it come later, that is masked.
   */
  flush(): Buffer {
    const out: Buffer[] = [];
    this.#follow(out);
    this.#release(out);
    return joined(out);
  }

  #feed(piece: Buffer, out: Buffer[]): void {
    this.#held.push(piece);
    this.#scan(piece);
    this.#emit(this.#safe(), out);
    if (this.held > MOST_HELD) this.#release(out);
    // What is kept is ours: the caller may fill its buffer anew.
    const last = this.#held.pop();
    if (last !== undefined) this.#held.push(Buffer.from(last));
    if (this.#held.length > MOST_PIECES) this.#held = [Buffer.concat(this.#held)];
  }

  /** In steps that end where a reading has to wake, and short ones while one is awake: it sleeps again as soon as it can. */
  #scan(piece: Buffer): void {
    const automaton = this.#automaton;
    if (automaton === undefined) return;
    const found = (range: Range): void => void this.#ranges.push(range);
    for (const view of this.#views) view.turn();
    for (let at = 0; at < piece.length; ) {
      let to = piece.length;
      for (const view of this.#views) {
        if (!view.awake && view.next(piece, at) === at) view.wake(this.#end, this.#state);
        to = Math.min(to, view.awake ? at + STEP : view.next(piece, at));
      }
      const base = this.#end - at;
      this.#state = automaton.scan(piece, at, to, this.#state, (end, length) => found([base + end - length, base + end]));
      const begun = automaton.depth(this.#state);
      for (const view of this.#views) if (view.awake) view.feed(piece.subarray(at, to), begun, found);
      this.#end += to - at;
      at = to;
    }
  }

  /** More or other values: what is held is looked through once more. */
  #follow(out: Buffer[]): void {
    const automaton = this.#patterns();
    if (automaton === this.#automaton) return;
    this.#automaton = automaton;
    this.#views = readings().map((reading) => new View(automaton, reading));
    this.#state = 0;
    this.#end = this.#from;
    const held = this.#held;
    this.#held = [];
    for (const piece of held) this.#feed(piece, out);
  }

  /** Up to where it is decided. What is masked already stays so, whatever else it is the beginning of. */
  #safe(): number {
    const own = this.#end - (this.#automaton?.depth(this.#state) ?? 0);
    const known = this.#views.reduce((least, view) => (view.awake ? Math.min(least, view.hold) : least), own);
    return merged(this.#ranges).find(([from, to]) => from <= known && to > known)?.[1] ?? known;
  }

  #release(out: Buffer[]): void {
    const begun = this.#automaton?.depth(this.#state) ?? 0;
    if (begun >= SHORTEST_MASKED) this.#ranges.push([this.#end - begun, this.#end]);
    for (const view of this.#views) {
      view.settle((range) => this.#ranges.push(range));
      if (view.begun >= SHORTEST_MASKED) this.#ranges.push(view.beginning);
    }
    this.#emit(this.#end, out);
  }

  /** Everything before `to`. */
  #emit(to: number, out: Buffer[]): void {
    const ranges = this.#ranges.length === 0 ? [] : merged(this.#ranges);
    this.#ranges = ranges.filter(([, end]) => end > to);
    for (const [start, end] of ranges) {
      const [from, until] = [Math.max(start, this.#from), Math.min(end, to)];
      if (from >= until) continue;
      this.#take(from, out);
      if (this.#maskedTo !== from) out.push(STARS);
      this.#take(until, undefined);
      this.#maskedTo = until;
    }
    this.#take(to, out);
  }

  /** Held bytes before `to` leave. */
  #take(to: number, out: Buffer[] | undefined): void {
    let done = 0;
    for (const piece of this.#held) {
      const length = Math.min(piece.length, to - this.#from);
      if (length <= 0) break;
      out?.push(piece.subarray(0, length));
      this.#from += length;
      if (length < piece.length) {
        this.#held[done] = piece.subarray(length);
        break;
      }
      done++;
    }
    if (done > 0) this.#held.splice(0, done);
  }
}

/** In order, those that touch as one. */
function merged(ranges: readonly Range[]): readonly Range[] {
  const all: Range[] = [];
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    const before = all.at(-1);
    if (before !== undefined && from <= before[1]) all[all.length - 1] = [before[0], Math.max(before[1], to)];
    else all.push([from, to]);
  }
  return all;
}

function joined(pieces: readonly Buffer[]): Buffer {
  const [only] = pieces;
  return only !== undefined && pieces.length === 1 ? only : Buffer.concat(pieces);
}

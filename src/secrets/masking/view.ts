/**
 * One {@link Reading} of a stream: what it comes to is scanned, and what is found is told by its place in the stream itself. It
 * sleeps while nothing is written its way: then it would say what the stream as it is says.
 */
import type { Automaton } from "./automaton.ts";
import type { Reading } from "./readings.ts";

/** Places in the stream: the first byte, and the one after the last. */
export type Range = readonly [from: number, to: number];

const NOTHING: Buffer = Buffer.alloc(0);

export class View {
  readonly #automaton: Automaton;
  readonly #reading: Reading;
  readonly #places = new Places();
  #scratch: Buffer = NOTHING;
  #awake = false;
  #next = -1;
  #state = 0;
  /** Bytes that were read, as this reading counts them. */
  #count = 0;
  /** How many since the last one that stood for others. */
  #plain = 0;
  /** The beginning of something that is not all there yet. */
  #rest: Buffer = NOTHING;
  /** Place in the stream behind everything that came. */
  #end = 0;

  constructor(automaton: Automaton, reading: Reading) {
    this.#automaton = automaton;
    this.#reading = reading;
  }

  get awake(): boolean {
    return this.#awake;
  }

  /** While it sleeps: where in `bytes`, from `from` on, it has to be woken; their length for nowhere. Of one piece until {@link turn}. */
  next(bytes: Buffer, from: number): number {
    if (this.#next < from) {
      const at = bytes.indexOf(this.#reading.trigger, from);
      this.#next = at < 0 ? bytes.length : at;
    }
    return this.#next;
  }

  /** Another piece comes. */
  turn(): void {
    this.#next = -1;
  }

  /** @param place in the stream; what comes next is written its way. @param state of the stream as it is, before that. */
  wake(place: number, state: number): void {
    this.#awake = true;
    this.#state = state;
    this.#count = place;
    this.#end = place;
    this.#plain = 0;
    this.#places.reset();
  }

  /** Only while it is awake. @param begun how much of a pattern the stream as it is may have begun behind `bytes`. */
  feed(bytes: Buffer, begun: number, found: (range: Range) => void): void {
    this.#end += bytes.length;
    this.#scan(this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]), false, found);
    const own = this.begun;
    this.#places.forget(this.#count - own);
    // All that either of them still goes by is written plainly: they say the same from here on.
    if (this.#rest.length === 0 && own <= this.#plain && begun <= this.#plain) this.#awake = false;
  }

  /** What is not all there is taken for what it looks like now. */
  settle(found: (range: Range) => void): void {
    if (this.#rest.length > 0) this.#scan(this.#rest, true, found);
  }

  /** Place of the first byte that may yet turn out to belong to a value. Only while it is awake. */
  get hold(): number {
    const begun = this.#automaton.depth(this.#state);
    if (begun > 0) return this.#places.start(this.#count - begun);
    // A terminal code stands for nothing: no value begins in it.
    return this.#reading.bytes.length === 0 ? this.#end : this.#end - this.#rest.length;
  }

  /** How much of a value may have begun. */
  get begun(): number {
    return this.#awake ? this.#automaton.depth(this.#state) : 0;
  }

  /** Where that is. */
  get beginning(): Range {
    return [this.#places.start(this.#count - this.begun), this.#places.end(this.#count)];
  }

  #scan(bytes: Buffer, final: boolean, found: (range: Range) => void): void {
    const from = this.#count;
    const length = this.#read(bytes, final);
    this.#state = this.#automaton.scan(this.#scratch, 0, length, this.#state, (end, size) => {
      found([this.#places.start(from + end - size), this.#places.end(from + end)]);
    });
    this.#count = from + length;
  }

  /** Fills the scratch with what `bytes` come to. @returns how many. */
  #read(bytes: Buffer, final: boolean): number {
    if (this.#scratch.length < bytes.length) this.#scratch = Buffer.allocUnsafe(2 * bytes.length);
    const [reading, scratch] = [this.#reading, this.#scratch];
    const { trigger } = reading;
    const base = this.#end - bytes.length;
    let [length, at] = [0, 0];
    while (at < bytes.length) {
      const byte = bytes[at] ?? 0;
      const width = byte === trigger ? reading.read(bytes, at, bytes.length) : 0;
      if (width < 0 && !final) break;
      if (width <= 0) {
        scratch[length++] = byte;
        at++;
        continue;
      }
      const next = at + width;
      this.#places.jump(this.#count + length, base + at, base + (reading.count === 0 ? next : at));
      for (let index = 0; index < reading.count; index++) scratch[length++] = reading.bytes[index] ?? 0;
      if (reading.count > 0) this.#places.jump(this.#count + length, base + next, base + next);
      at = next;
      this.#plain = -length;
    }
    this.#plain += length;
    this.#rest = at === bytes.length ? NOTHING : Buffer.from(bytes.subarray(at));
    return length;
  }
}

/** From a count of this reading's bytes to places in the stream: in steps, plain bytes between them. */
class Places {
  /** Counts from which on a step holds, rising; the place of that byte, and the place behind the byte before it. */
  #from: number[] = [0];
  #place: number[] = [0];
  #behind: number[] = [0];

  /** From now on both are the same. */
  reset(): void {
    [this.#from, this.#place, this.#behind] = [[0], [0], [0]];
  }

  jump(from: number, behind: number, place: number): void {
    if (this.#from.at(-1) === from) {
      this.#place[this.#place.length - 1] = place;
      return;
    }
    this.#from.push(from);
    this.#place.push(place);
    this.#behind.push(behind);
  }

  start(count: number): number {
    const step = this.#step(count);
    return (this.#place[step] ?? 0) + count - (this.#from[step] ?? 0);
  }

  /** Behind the byte before `count`. */
  end(count: number): number {
    const step = this.#step(count);
    return this.#from[step] === count ? (this.#behind[step] ?? 0) : this.start(count - 1) + 1;
  }

  /** Steps before that count are not asked for any more. */
  forget(count: number): void {
    const step = this.#step(count);
    if (step < 64) return;
    for (const list of [this.#from, this.#place, this.#behind]) list.splice(0, step);
  }

  #step(count: number): number {
    let [low, high] = [0, this.#from.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#from[middle] ?? 0) <= count) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Text of a child, bounded: the first half and the last half are kept, and how much was cut is said. */
export class BoundedText {
  readonly #half: number;
  #head = "";
  #tail = "";
  #cut = 0;

  /** @param limit most UTF-16 units kept. */
  constructor(limit: number) {
    this.#half = Math.floor(limit / 2);
  }

  add(text: string): void {
    const room = this.#half - this.#head.length;
    this.#head += text.slice(0, Math.max(0, room));
    const rest = room > 0 ? text.slice(room) : text;
    if (rest === "") return;
    const tail = this.#tail + rest;
    const over = Math.max(0, tail.length - this.#half);
    this.#tail = tail.slice(over);
    this.#cut += over;
  }

  text(): string {
    return this.#cut === 0 ? this.#head + this.#tail : `${this.#head}\n[... ${this.#cut} characters cut ...]\n${this.#tail}`;
  }
}

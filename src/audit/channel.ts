/** Hands values from a producer to one consumer, one at a time: the producer waits until the value is taken. */
export class Channel<T> implements AsyncIterable<T> {
  #value: { readonly item: T } | undefined;
  #ended: { readonly error: unknown } | undefined;
  #stopped = false;
  #taken: (() => void) | undefined;
  #filled: (() => void) | undefined;

  /** Resolves when the value was taken; false when the consumer has gone. */
  async put(item: T): Promise<boolean> {
    if (this.#stopped) return false;
    this.#value = { item };
    const taken = new Promise<void>((resolve) => {
      this.#taken = resolve;
    });
    this.#filled?.();
    await taken;
    return !this.#stopped;
  }

  end(error?: unknown): void {
    this.#ended = { error };
    this.#filled?.();
  }

  /** The consumer will not take any more. */
  stop(): void {
    this.#stopped = true;
    this.#taken?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      if (this.#value === undefined && this.#ended === undefined) {
        await new Promise<void>((resolve) => {
          this.#filled = resolve;
        });
      }
      if (this.#value !== undefined) {
        const { item } = this.#value;
        this.#value = undefined;
        yield item;
        this.#taken?.();
      } else if (this.#ended !== undefined) {
        if (this.#ended.error !== undefined) throw this.#ended.error;
        return;
      }
    }
  }
}

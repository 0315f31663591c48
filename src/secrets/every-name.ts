/** Names that come in pages, one by one. */

/** @param next a page of names that come after the one that is given; an empty one is the end. */
export async function* everyName(next: (after: string | undefined) => Promise<readonly string[]>): AsyncGenerator<string> {
  for (let after: string | undefined; ; ) {
    const names = await next(after);
    yield* names;
    after = names.at(-1);
    if (after === undefined) return;
  }
}

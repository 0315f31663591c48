/** Documents of a stream, one a line, each bounded. */
import { nonsense } from "./failure.ts";

/** An event carries all labels of its container. */
const MAX_LINE: number = 4 * 2 ** 20;

/** The lines that are not empty, the last one also without a line break. Throws UPSTREAM_UNAVAILABLE past the limit. */
export async function* jsonLines(chunks: AsyncIterable<Buffer>, what: string): AsyncGenerator<string> {
  let held: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      held.push(chunk.subarray(from, at));
      from = at + 1;
      const line = Buffer.concat(held).toString("utf8").trim();
      held = [];
      length = 0;
      if (line !== "") yield line;
    }
    if (from === chunk.length) continue;
    held.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > MAX_LINE) throw nonsense(what, `a line of more than ${MAX_LINE} bytes`);
  }
  const rest = Buffer.concat(held).toString("utf8").trim();
  if (rest !== "") yield rest;
}

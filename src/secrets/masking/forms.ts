/**
 * How a value looks where it is printed, as byte patterns: itself, its lines, base64 wherever it stands in what was encoded,
 * hex, and quoted for a shell. Percent signs, backslashes, entities and terminal codes need no patterns: readings.ts undoes them.
 */

/** Bytes. What is shorter stands in too many other words. */
export const SHORTEST_MASKED = 6;

/** Columns at which encoders break lines: RFC 2045, and RFC 7468. */
const WRAPS = [76, 64];
/** Says what it is and nothing else of it. */
const BOUNDARY = /^-----(BEGIN|END) [A-Z0-9 ]{1,64}-----$/;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const QUOTE = Buffer.from("'");

/** None is shorter than {@link SHORTEST_MASKED}; none at all for a value that is shorter, or blank. */
export function formsOf(value: Uint8Array): readonly Buffer[] {
  const whole = Buffer.from(value);
  // Shells drop the newline that a file ends with.
  const bare = trimmed(whole);
  if (bare.length < SHORTEST_MASKED || isBlank(bare)) return [];
  const forms = [whole, bare, ...linesOf(bare)];
  for (const one of bare.length === whole.length ? [whole] : [whole, bare]) {
    const hex = one.toString("hex");
    forms.push(...base64Of(one), Buffer.from(hex), Buffer.from(hex.toUpperCase()));
    forms.push(replaced(one, QUOTE, Buffer.from("'\\''")), replaced(one, QUOTE, Buffer.from("'\"'\"'")), replaced(one, Buffer.from(" "), Buffer.from("+")));
  }
  return forms.filter((form) => form.length >= SHORTEST_MASKED);
}

function trimmed(value: Buffer): Buffer {
  let end = value.length;
  while (end > 0 && (value[end - 1] === LINE_FEED || value[end - 1] === CARRIAGE_RETURN)) end--;
  return value.subarray(0, end);
}

function isBlank(value: Buffer): boolean {
  return value.every((byte) => byte <= 0x20);
}

/** Without the blanks around each; a terminal or a log may break them apart. */
function linesOf(value: Buffer): Buffer[] {
  if (!value.includes(LINE_FEED)) return [];
  // Latin-1 keeps every byte.
  return value
    .toString("latin1")
    .split("\n")
    .map((line) => line.replace(/^[ \t\r]+|[ \t\r]+$/g, ""))
    .filter((line) => line.length >= SHORTEST_MASKED && !BOUNDARY.test(line))
    .map((line) => Buffer.from(line, "latin1"));
}

/**
 * The letters that the value alone decides, at each of the three places that it can have in a group; and with what stands at
 * its end when nothing follows. A letter that it shares with what stands before it stays.
 */
function base64Of(value: Buffer): Buffer[] {
  const texts: string[] = [];
  for (const shift of [0, 1, 2]) {
    const padded = Buffer.concat([Buffer.alloc(shift), value]).toString("base64");
    const from = shift === 0 ? 0 : shift + 1;
    const own = padded.slice(from, Math.floor(((shift + value.length) * 8) / 6));
    texts.push(own, padded.slice(from).replace(/=+$/, ""), padded.slice(from));
    if (shift === 0)
      for (const columns of WRAPS) for (let at = 0; padded.length > columns && at < padded.length; at += columns) texts.push(padded.slice(at, at + columns));
  }
  return [...texts, ...texts.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"))].map((text) => Buffer.from(text));
}

function replaced(value: Buffer, what: Buffer, by: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let at = value.indexOf(what); at >= 0; at = value.indexOf(what, from)) {
    pieces.push(value.subarray(from, at), by);
    from = at + what.length;
  }
  return Buffer.concat([...pieces, value.subarray(from)]);
}

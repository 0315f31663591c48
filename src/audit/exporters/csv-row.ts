/**
 * Rows of CSV (RFC 4180) from texts that anybody may have chosen, safe to open with a spreadsheet.
 *
 * - A text that a spreadsheet would run as a formula gets an apostrophe in front, and so does one that begins like such a
 *   result: taking one apostrophe away gives back what was recorded.
 * - Control characters but tab, CR and LF, lone surrogates, and characters that turn the direction of text stand as `\uXXXX`:
 *   a reader that ends texts at NUL loses nothing, and a row shows what it holds. In a column of JSON that is the same JSON.
 */

/** One row with its CR LF. Undefined and null are empty fields. */
export function csvRow(values: readonly (string | number | null | undefined)[]): string {
  return `${values.map(field).join(",")}\r\n`;
}

// The full-width forms too: some spreadsheets take them for the ASCII ones.
const FORMULA = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const UNSEEN = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

function field(value: string | number | null | undefined): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(value);
  const seen = value.replace(UNSEEN, (one) => (one === "\t" || one === "\r" || one === "\n" ? one : `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`));
  const text = FORMULA.test(seen) ? `'${seen}` : seen;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

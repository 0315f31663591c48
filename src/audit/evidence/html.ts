/** Text in HTML: whatever it holds, it is text, and what would be hidden is seen. */

const MARKS: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** For element content and quoted attributes. Control characters and those that turn the direction of text stand as `\uXXXX`. */
export function escapeHtml(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .replace(/[&<>"']/g, (mark) => MARKS[mark] ?? "");
}

/** A table. Cells that are not yet HTML are escaped. */
export function tableHtml(header: readonly string[], rows: readonly (readonly (string | number | Html)[])[]): string {
  const cell = (value: string | number | Html): string => `<td>${typeof value === "object" ? value.html : `<bdi>${escapeHtml(String(value))}</bdi>`}</td>`;
  return [
    `<table><thead><tr>${header.map((name) => `<th>${escapeHtml(name)}</th>`).join("")}</tr></thead><tbody>`,
    ...rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`),
    "</tbody></table>",
  ].join("\n");
}

/** What is HTML already. */
export interface Html {
  readonly html: string;
}

/** CSV (RFC 4180), one row an event. */
import type { AuditEvent } from "../event.ts";
import type { Exporter } from "./format.ts";

export const csv: Exporter = {
  async *write({ events }) {
    yield `${COLUMNS.map(([name]) => name).join(",")}\r\n`;
    for await (const event of events) yield `${COLUMNS.map(([, value]) => csvField(value(event))).join(",")}\r\n`;
  },
};

const COLUMNS: readonly (readonly [string, (event: AuditEvent) => string | number | undefined])[] = [
  ["seq", (event) => event.seq],
  ["id", (event) => event.id],
  ["timestamp", (event) => event.timestamp],
  ["category", (event) => event.category],
  ["action", (event) => event.action],
  ["result", (event) => event.result],
  ["userId", (event) => event.userId],
  ["sessionId", (event) => event.sessionId],
  ["resourceType", (event) => event.resourceType],
  ["resourceId", (event) => event.resourceId],
  ["details", (event) => (event.details === undefined ? undefined : JSON.stringify(event.details))],
  ["compliance", (event) => (event.compliance === undefined ? undefined : JSON.stringify(event.compliance))],
  ["hash", (event) => event.integrity.hash],
  ["previousHash", (event) => event.integrity.previousHash],
];

/**
 * Quoted where RFC 4180 asks for it; a text that a spreadsheet would run as a formula gets an apostrophe in front, and so
 * does one that begins like such a result, so that taking one apostrophe away gives back what was recorded.
 */
function csvField(value: string | number | undefined): string {
  if (value === undefined) return "";
  const text = typeof value === "string" && /^'*[=+\-@\t\r\n]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

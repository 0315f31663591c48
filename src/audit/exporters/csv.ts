/** CSV, one row an event; what its texts are changed to, and why, is in csv-row.ts. */
import type { AuditEvent } from "../event.ts";
import { csvRow } from "./csv-row.ts";
import type { Exporter } from "./format.ts";

export const csv: Exporter = {
  async *write({ events }) {
    yield csvRow(COLUMNS.map(([name]) => name));
    for await (const event of events) yield csvRow(COLUMNS.map(([, value]) => value(event)));
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

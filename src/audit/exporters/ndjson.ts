/**
 * One event a line: the exact text that was hashed, with `integrity` as one more member at its end. Taking that member away
 * gives the hashed text again, byte for byte; parsing and printing it anew need not.
 */
import { CofferdamError } from "../../foundation/index.ts";
import { eventOf } from "../log-table.ts";
import { matchingRows } from "../search.ts";
import type { Exporter } from "./format.ts";

export const ndjson: Exporter = {
  async *write({ tx, log, query, signal }) {
    for await (const row of matchingRows(tx, query, signal)) {
      const { seq, integrity } = eventOf(row, log);
      const text = String(row["body"]);
      // Canonical JSON has no control characters outside its escapes; a line feed here would make two lines of one event.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these.
      if (!/^\{[^\0-\x1f]*\}$/.test(text))
        throw new CofferdamError("INTEGRITY_FAILURE", `the text of event ${seq} is not canonical JSON: it was changed`, { hint: "cofferdam audit verify" });
      yield `${text.slice(0, -1)},"integrity":${JSON.stringify(integrity)}}\n`;
    }
  },
};

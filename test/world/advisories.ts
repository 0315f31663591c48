/** An advisory database as a machine has it that was updated a moment ago. */
import { AdvisoryDatabase } from "../../src/vulnerability/index.ts";
import { raw, record, type TestRecord } from "./osv.ts";

/**
 * Fills `directory`, which is then what `STATE/advisories` is. Says nothing of the packages that tests use, unless told.
 * @param at how fresh everything is.
 */
export async function fillAdvisories(directory: string, records: readonly TestRecord[] = [], at: string = new Date().toISOString()): Promise<void> {
  await using database = new AdvisoryDatabase({ directory });
  const fresh = record("GHSA-2222-2222-2222", "nobody-depends-on-this", [{ introduced: "0" }], { modified: at });
  await database.importRecords(raw([fresh, ...records]), { source: "osv:npm", full: true });
  await database.importKev({
    released: at,
    entries: [{ cve: "CVE-1999-0001", dateAdded: "2024-01-01", ransomware: false }],
    faults: [],
    unparsable: 0,
  });
}

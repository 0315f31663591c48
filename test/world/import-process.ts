/** A process of its own that imports records: DIRECTORY PREFIX COUNT. */
import { AdvisoryDatabase } from "../../src/vulnerability/index.ts";
import { raw, record } from "./osv.ts";

const [directory = "", prefix = "", count = "0"] = process.argv.slice(2);
await using database = new AdvisoryDatabase({ directory });
const records = Array.from({ length: Number(count) }, (_, i) => record(`${prefix}-${i}`, `${prefix.toLowerCase()}-${i}`, [{ introduced: "0" }]));
await database.importRecords(raw(records), { source: "osv:npm", full: false });

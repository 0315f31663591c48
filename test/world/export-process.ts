/** A child process that exports a log to nowhere and prints how many bytes that were, and its peak memory in KiB: argv is directory, format. */
import { AuditLogger, EXPORT_FORMATS } from "../../src/audit/index.ts";

const [directory = "", word = ""] = process.argv.slice(2);
const format = EXPORT_FORMATS.find((one) => one === word);
if (format === undefined) throw new Error(`no format ${word}`);
const audit = new AuditLogger({ storage: { directory } });
await audit.initialize();
let bytes = 0;
for await (const piece of audit.exportStream({}, format)) bytes += Buffer.byteLength(piece);
await audit.close();
process.stdout.write(JSON.stringify({ bytes, peak: process.resourceUsage().maxRSS }));

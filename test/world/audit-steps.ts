/** A child process that records one event for each line it is given, and answers with the event's number or the error's code. */
import { createInterface } from "node:readline";
import { AuditLogger } from "../../src/audit/index.ts";

const [directory = ""] = process.argv.slice(2);
const audit = new AuditLogger({ storage: { directory }, checkpoint: { events: 1_000_000, interval: 1e12 } });
await audit.initialize();
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await audit.log({ category: "test", action: "step", result: "success", details: { line } }).then(
    ({ seq }) => String(seq),
    (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : "?"),
  );
  process.stdout.write(`${answer}\n`);
}
await audit.close();

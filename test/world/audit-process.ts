/** A child process that appends events and prints the sequence number of each one that was acknowledged. */
import { AuditLogger } from "../../src/audit/index.ts";

const [directory = "", count = "0", name = ""] = process.argv.slice(2);
const audit = new AuditLogger({ storage: { directory } });
await audit.initialize();
const pending = Array.from({ length: Number(count) }, async (_, i) => {
  // Some at once and some after others, as real callers do.
  await new Promise((resolve) => setTimeout(resolve, Math.floor(i / 10)));
  const { seq } = await audit.log({ category: "test", action: "append", result: "success", userId: name, details: { i } });
  process.stdout.write(`${seq}\n`);
});
await Promise.all(pending);
await audit.close();

/** A child process that updates from an export and prints one line of JSON for every step, to be killed in the middle. */

import { AdvisoryDatabase } from "../../src/vulnerability/database.ts";
import { EnvironmentHttpClient } from "../../src/vulnerability/sources/http-client.ts";
import { updateFromOsv } from "../../src/vulnerability/sources/osv-export.ts";

const [base = "", folder = ""] = process.argv.slice(2);
await using database = new AdvisoryDatabase({ directory: folder });
await using http = new EnvironmentHttpClient({ env: {}, userAgent: "cofferdam-test" });
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const result = await updateFromOsv(database, {
  base: new URL(base),
  ecosystem: "npm",
  folder,
  http,
  signal: new AbortController().signal,
  onProgress: say,
  pause: async () => undefined,
});
say(result);

/** What the gate refused, on record: a client that asks again and again does not fill the trail. A real log on the disk. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AuditLogger } from "../../audit/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { loadPolicy } from "../../policy/index.ts";
import { parseClientCommand } from "./command.ts";
import { InstallRecord } from "./record.ts";
import { emptyResult } from "./result.ts";

test("500 equal refusals: the first 20 each for itself, the rest counted; none is missing when the outcome is recorded", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-record-"));
  try {
    await using audit = new AuditLogger({ storage: { directory } });
    await audit.initialize();
    const record = new InstallRecord(audit, "/srv/project", "run_1");
    const error = new CofferdamError("SECURITY_VIOLATION", "x is not in the judged lockfile");
    // Nobody waits for the last ones: the client is gone, and the outcome comes.
    const asked = Array.from({ length: 500 }, (_, i) => record.refused({ what: `/x${i % 30}`, error }));
    const policy = await loadPolicy({ cwd: directory, env: { HOME: directory }, etcFolder: directory });
    await record.outcome(emptyResult(parseClientCommand(["npm", "ci"], {}), "/srv/project", policy, undefined));
    await Promise.all(asked);
    const events = await audit.search({ sessionId: "run_1" });
    const refusals = events.filter(({ action }) => action === "RequestRefused");
    expect(refusals).toHaveLength(21);
    expect(refusals[0]).toMatchObject({ result: "failure", resourceType: "registry_path", resourceId: "/x0", details: { code: "SECURITY_VIOLATION" } });
    expect(refusals.at(-1)).toMatchObject({ details: { coalesced: { count: 480, moreResources: true } } });
    expect(events.at(-1)).toMatchObject({ action: "PackageInstall", seq: 22 });
    expect(record.range).toEqual([1, 22]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/**
 * A child process that prunes evidence: argv is the state directory, and the step before which it kills itself (0: none). A step
 * is what is there before and after an event is on record, and before and after a file is gone.
 */
import fs from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { AuditLogger } from "../../src/audit/index.ts";
import { systemClock } from "../../src/foundation/index.ts";
import { JobBook, pruneEvidence } from "../../src/jobs/index.ts";
import { loadPolicy } from "../../src/policy/index.ts";
import { SqliteStore } from "../../src/store/index.ts";

const [stateDir = "", killBefore = "0"] = process.argv.slice(2);
let steps = 0;

function step(): void {
  if (++steps === Number(killBefore)) process.kill(process.pid, "SIGKILL");
}

const rm = fs.rm;
Object.assign(fs, {
  rm: async (...args: Parameters<typeof rm>): Promise<void> => {
    step();
    await rm(...args);
    step();
  },
});
syncBuiltinESMExports();

await using store = new SqliteStore({ path: join(stateDir, "cofferdam.db") });
await using audit = new AuditLogger({ store, storage: { directory: stateDir } });
await audit.initialize();
const book = new JobBook({ store, audit, clock: systemClock, stateDir, isGone: () => true });
await book.initialize();
const trail: Parameters<typeof pruneEvidence>[0]["audit"] = {
  holdOn: async (session) => await audit.holdOn(session),
  ageOf: async (time) => await audit.ageOf(time),
  log: async (event) => {
    step();
    const logged = await audit.log(event);
    step();
    return logged;
  },
};
const policy = await loadPolicy({ cwd: stateDir, env: {}, configPath: join(stateDir, "policy.yaml") });
const { removed, kept } = await pruneEvidence({ book, audit: trail, stateDir }, { policy, clock: systemClock, by: "test" });
process.stdout.write(`${JSON.stringify({ steps, removed: removed.map(({ sha256 }) => sha256), kept })}\n`);

/**
 * A process that uses identity on a store that others use, too.
 *   verify FOLDER          verifies each session id that comes as a line, and answers with the user or the code
 *   die FOLDER USER        revokes the sessions of a user, and is killed when the change is made and its event is not recorded
 */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { AuditLogger } from "../../src/audit/index.ts";
import { CofferdamError } from "../../src/foundation/index.ts";
import { Identity } from "../../src/rbac/identity/identity.ts";
import { SqliteStore } from "../../src/store/index.ts";
import { SetTime, UserTable } from "./identity.ts";

const [what = "", folder = "", user = ""] = process.argv.slice(2);
const store = new SqliteStore({ path: join(folder, "cofferdam.db") });
const audit = new AuditLogger({ store, storage: { directory: folder } });
await audit.initialize();
const time = new SetTime();
const killer = { log: (): Promise<unknown> => Promise.resolve(process.kill(process.pid, "SIGKILL")), denied: (): Promise<unknown> => Promise.resolve() };
const identity = new Identity({
  store,
  users: new UserTable(store),
  audit: what === "die" ? killer : audit,
  directory: folder,
  clock: time.clock,
  uptime: time.uptime,
});
await identity.initialize();
if (what === "die") await identity.sessions.revokeUserSessions(user);
for await (const line of createInterface({ input: process.stdin })) {
  try {
    process.stdout.write(`${(await identity.sessions.verifySession(line)).userId}\n`);
  } catch (error) {
    process.stdout.write(`${error instanceof CofferdamError ? error.code : String(error)}\n`);
  }
}

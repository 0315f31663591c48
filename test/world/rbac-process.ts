/**
 * A process that changes roles; argv is the state directory and what it does. `toggle` takes a role from ada and gives it back,
 * telling each time it is done and waiting for a word in between; `grow` makes users as fast as it can until it is killed.
 */
import { once } from "node:events";
import { AuditLogger } from "../../src/audit/index.ts";
import { RBACSystem } from "../../src/rbac/index.ts";
import { SqliteStore } from "../../src/store/index.ts";

const tell = (word: string): unknown => process.send?.(word);
const [directory = "", what = ""] = process.argv.slice(2);
await using store = new SqliteStore({ path: `${directory}/cofferdam.db` });
await using audit = new AuditLogger({ store, storage: { directory } });
await audit.initialize();
await using rbac = new RBACSystem(audit, { store, storage: { directory } });
await rbac.initialize();

if (what === "toggle") {
  for (;;) {
    const [word] = await once(process, "message");
    if (word === "end") break;
    if (word === "take") await rbac.revokeRole("ada", "developer");
    else await rbac.assignRole("ada", "developer");
    tell("done");
  }
  process.disconnect?.();
} else {
  for (let i = 0; ; i++) {
    const { id } = await rbac.createUser({ username: `${process.pid}-${i}` });
    await rbac.assignRole(id, "viewer");
    tell(id);
  }
}

/** A child process that makes a workspace, says where, and waits to be killed: argv is database file, folder, job id. */
import { ResourceQuotaManager } from "../../src/quota/index.ts";
import { SqliteStore } from "../../src/store/index.ts";

const [path = "", workspaces = "", jobId = ""] = process.argv.slice(2);
const quota = new ResourceQuotaManager(undefined, { store: new SqliteStore({ path }), workspaces, slots: 4 });
await quota.initialize();
await quota.allocateResources(jobId, { requestedResources: { disk: "16MiB", memory: "6MiB", cpu: 0.1 } });
const made = await quota.createWorkspace(jobId, { uid: 1234, gid: 1234 });
process.stdout.write(`${made.path}\n`);
setInterval(() => undefined, 60_000);

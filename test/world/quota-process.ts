/** A child process that takes resources: argv is database file, prefix of job ids, times, and what it does with them. */
import { setTimeout as delay } from "node:timers/promises";
import { ResourceQuotaManager } from "../../src/quota/index.ts";
import { SqliteStore } from "../../src/store/index.ts";

const [path = "", prefix = "", times = "0", then = "release"] = process.argv.slice(2);
await using store = new SqliteStore({ path });
await using quota = new ResourceQuotaManager(undefined, { store, slots: 4, defaults: { memory: "6MiB", disk: "1MiB" } });
await quota.initialize();

async function job(id: string): Promise<void> {
  const cpu = (1 + Math.floor(Math.random() * 40)) / 100;
  await quota.allocateResources(id, { requestedResources: { cpu }, wait: 60_000 });
  if (then === "hold") return;
  await delay(Math.random() * 10);
  await quota.releaseResources(id);
}

await Promise.all(Array.from({ length: Number(times) }, (_, i) => job(`${prefix}-${i}`)));
process.stdout.write("done\n");
// Whoever holds is killed by the test.
if (then === "hold") setInterval(() => undefined, 60_000);

/** NetworkIsolationManager as a process of its own, told what to do in lines of JSON: it can stand in any namespace, and be killed. */
import { createInterface } from "node:readline";
import { EngineClient } from "../../../src/engine/index.ts";
import { NetworkIsolationManager } from "../../../src/network/index.ts";
import { SqliteStore } from "../../../src/store/index.ts";

const [socket = "", database = "", options = "{}"] = process.argv.slice(2);
const engine = new EngineClient(socket);
const store = new SqliteStore({ path: database });
const manager = new NetworkIsolationManager(engine, { ...JSON.parse(options), store });

function say(words: object): void {
  process.stdout.write(`${JSON.stringify(words)}\n`);
}

say({ left: await manager.initialize() });
manager.events.on("networkLost", (lost) => say({ lost }));
for await (const text of createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(text);
  try {
    const method = Reflect.get(manager, call);
    say({ answer: (await Reflect.apply(method, manager, args)) ?? null });
  } catch (error) {
    say({ error: String(error) });
  }
}
await manager.close();
await store.close();
await engine.close();

/**
 * A child process that changes or reads secrets: argv is folder, what it does, and the step before which it kills itself (0:
 * none). A step is whatever makes something durable: a sync, a new name of a file, the begin or the end of a transaction.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../src/foundation/index.ts";
import { openSecrets, versionOf } from "./secret-store.ts";

const [folder = "", action = "", killBefore = "0"] = process.argv.slice(2);
let steps = 0;

function step<A extends readonly unknown[], R>(work: (...args: A) => R, isStep: (...args: A) => boolean): (...args: A) => R {
  return function (this: unknown, ...args: A): R {
    if (isStep(...args) && ++steps === Number(killBefore)) process.kill(process.pid, "SIGKILL");
    return Reflect.apply(work, this, args);
  };
}

await using opened = openSecrets(folder, systemClock);
const { backend } = opened;
await backend.initialize();
const always = (): boolean => true;
Object.assign(fs, { fsyncSync: step(fs.fsyncSync, always), fdatasyncSync: step(fs.fdatasyncSync, always) });
Object.assign(fs, { renameSync: step(fs.renameSync, always), linkSync: step(fs.linkSync, always) });
syncBuiltinESMExports();
DatabaseSync.prototype.exec = step(DatabaseSync.prototype.exec, (sql: string) => sql === "BEGIN IMMEDIATE" || sql === "COMMIT");

switch (action) {
  case "rewrap":
    await backend.rewrap();
    break;
  case "add":
    await backend.add("a", versionOf("next", { after: 1, grace: 3_600_000 }));
    break;
  case "remove":
    await backend.remove("a");
    break;
  case "count": {
    // As many reads as there are to be had.
    let had = 0;
    try {
      for (; ; had++) await backend.countRead("a", `job-${process.pid}`, undefined);
    } catch {
      process.stdout.write(`${had} `);
    }
    break;
  }
  default:
    throw new Error(`unknown: ${action}`);
}
process.stdout.write(`${steps}\n`);

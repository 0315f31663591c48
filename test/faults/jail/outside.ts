/** Runs an attack without any jail, as the jail's caller would run the script today. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attack } from "./attack.ts";
import type { Victim } from "./victim.ts";

/** Longer than any attack takes by far: then it hangs, and the corpus is wrong. */
const DEADLINE = 20_000;

export async function runOutside(attack: Attack, victim: Victim): Promise<{ output: string }> {
  const [program, flag] = attack.program === "node" ? [reachableNode(), "-e"] : attack.program === "perl" ? ["perl", "-e"] : ["sh", "-c"];
  const child = spawn(program, [flag, attack.code(victim)], {
    cwd: attack.at === "project" ? victim.project : victim.own,
    env: victim.environment,
    stdio: victim.stdio(),
    ...victim.ids,
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  const timer = setTimeout(() => child.kill("SIGKILL"), DEADLINE);
  const closed = once(child, "close");
  await once(child, "exit");
  clearTimeout(timer);
  // An orphan that holds the output open would keep "close" away for as long as it lives.
  await Promise.race([closed, sleep(300)]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return { output: Buffer.concat(chunks).toString("latin1") };
}

let copy: string | undefined;
/** This Node, or a copy of it if it lies under a folder that the ordinary user cannot pass (a checkout in /root). */
export function reachableNode(): string {
  const open = (path: string): boolean => (statSync(path).mode & 0o001) !== 0 && (path === "/" || open(dirname(path)));
  if (process.getuid?.() !== 0 || open(process.execPath)) return process.execPath;
  if (copy === undefined) {
    const folder = mkdtempSync("/var/tmp/cofferdam-node-");
    process.once("exit", () => rmSync(folder, { recursive: true }));
    chmodSync(folder, 0o755);
    copy = join(folder, "node");
    copyFileSync(process.execPath, copy);
  }
  return copy;
}

/** Runs an attack in the jail that install scripts get, in a process of its own that has what a real caller has open. */
import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { locateJailHelper } from "../../../src/sandbox/index.ts";
import type { Attack, RunInJail } from "./attack.ts";
import type { InsideRequest } from "./inside-process.ts";
import { reachableNode } from "./outside.ts";

const PROCESS = fileURLToPath(new URL("./inside-process.ts", import.meta.url));
const answerSchema = z.object({ output: z.string(), killedBy: z.string().optional() });

export const runInJail: RunInJail = async (attack, victim) => {
  const request: InsideRequest = {
    command: commandOf(attack, attack.code(victim)),
    project: victim.project,
    at: attack.at ?? "package",
    node: reachableNode(),
    helper: reachableHelper(),
    ids: victim.ids,
    limits: limitsOf(attack),
  };
  const stdio = victim.stdio();
  stdio[0] = "pipe";
  // Most of its short life is loading: with room for young objects it collects no garbage meanwhile.
  const child = spawn(process.execPath, ["--min-semi-space-size=16", PROCESS], { env: victim.environment, cwd: victim.project, stdio });
  child.stdin?.end(JSON.stringify(request));
  const pieces: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout?.on("data", (piece: Buffer) => pieces.push(piece));
  child.stderr?.on("data", (piece: Buffer) => errors.push(piece));
  await new Promise((resolve) => child.once("close", resolve));
  const text = Buffer.concat(pieces).toString("utf8");
  if (text === "") throw new Error(`no answer from the jail: ${Buffer.concat(errors).toString("utf8").slice(-2000)}`);
  const { output, killedBy } = answerSchema.parse(JSON.parse(text));
  return killedBy === undefined ? { output } : { output, killedBy };
};

function commandOf({ program }: Attack, code: string): string[] {
  return program === "node" ? ["node", "-e", code] : program === "perl" ? ["perl", "-e", code] : ["sh", "-c", code];
}

function limitsOf({ limits = {} }: Attack): InsideRequest["limits"] {
  const { memoryBytes, pids, tmpBytes, tmpInodes, fileBytes, cpuSeconds, timeoutMs, outputBytes } = limits;
  const given = {
    memory: memoryBytes,
    pids,
    disk: tmpBytes,
    inodes: tmpInodes,
    fileSize: fileBytes,
    cpuTime: cpuSeconds === undefined ? undefined : cpuSeconds * 1000,
    timeout: timeoutMs,
    output: outputBytes,
  };
  return Object.fromEntries(Object.entries(given).filter((pair): pair is [string, number] => pair[1] !== undefined));
}

let copy: string | undefined;
/** The helper, or a copy of it where the checkout lies below a private folder. */
function reachableHelper(): string {
  const helper = locateJailHelper();
  const open = (path: string): boolean => (statSync(path).mode & 0o001) !== 0 && (path === "/" || open(dirname(path)));
  if (open(helper)) return helper;
  if (copy === undefined) {
    const folder = mkdtempSync("/var/tmp/cofferdam-helper-");
    process.once("exit", () => rmSync(folder, { recursive: true }));
    chmodSync(folder, 0o755);
    copy = join(folder, "cofferdam-jail");
    copyFileSync(helper, copy);
    chmodSync(copy, 0o755);
  }
  return copy;
}

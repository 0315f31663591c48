/** Runs a system program for its answer: from the system's own folders, with a clean environment, bounded in time and output. */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { BoundedText } from "./bounded-text.ts";
import { CofferdamError } from "./errors.ts";

/** What runs as root is never looked for in the caller's PATH. */
const FOLDERS = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"] as const;
const TIMEOUT = 10_000;
const MAX_OUTPUT = 1_000_000;

export interface CommandOptions {
  /** Descriptor that the program has as its number 3. */
  readonly descriptor?: number | undefined;
  /** Milliseconds; 10 s unless told. */
  readonly timeout?: number | undefined;
}

/** Path of a program, or undefined when it is not installed. */
export function programPath(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find(isExecutable);
}

/**
 * Its stdout. Throws ENVIRONMENT_UNFIT when it is not installed, DEADLINE_EXCEEDED past the time, and INTERNAL with
 * `details.stderr` when it fails.
 */
export async function runCommand(name: string, args: readonly string[], { descriptor, timeout = TIMEOUT }: CommandOptions = {}): Promise<string> {
  const path = programPath(name);
  if (path === undefined) throw new CofferdamError("ENVIRONMENT_UNFIT", `${name} is not installed`, { details: { program: name } });
  const child = spawn(path, args, {
    stdio: ["ignore", "pipe", "pipe", ...(descriptor === undefined ? [] : [descriptor])],
    env: { PATH: FOLDERS.join(":"), LC_ALL: "C" },
    timeout,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = [new BoundedText(MAX_OUTPUT), new BoundedText(4000)];
  child.stdout?.on("data", (chunk: Buffer) => stdout.add(chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => stderr.add(chunk.toString()));
  const { code, killed } = await new Promise<{ code: number | null; killed: boolean }>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exit) => resolve({ code: exit, killed: child.killed }));
  });
  if (killed) throw new CofferdamError("DEADLINE_EXCEEDED", `${name} did not end within ${timeout} ms`, { details: { program: name } });
  const said = stderr.text().trim();
  if (code !== 0)
    throw new CofferdamError("INTERNAL", `${name} ${args[0] ?? ""} failed: ${said.split("\n")[0] ?? `exit ${code}`}`, {
      details: { program: name, exit: code, stderr: said },
    });
  return stdout.text();
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

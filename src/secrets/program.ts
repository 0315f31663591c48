/**
 * Runs a program of the operator's for a secret: what it is told goes to its standard input, what it answers is what it writes
 * to its standard output, neither ever to its arguments. Bounded in time and size.
 */
import { execFile } from "node:child_process";
import { CofferdamError, messageOf } from "../foundation/index.ts";

export interface ProgramCall {
  /** Program and arguments; no shell looks at them. */
  readonly argv: readonly string[];
  readonly input: Uint8Array;
  /** Milliseconds; then it is killed. */
  readonly timeout: number;
  /** Most bytes of its answer. */
  readonly maxBytes: number;
  /** Variables besides those of this process. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** Throws DEADLINE_EXCEEDED, PAYLOAD_TOO_LARGE, and UPSTREAM_UNAVAILABLE when it cannot be started or fails. Its words are not passed on: they may hold the secret. */
export async function runProgram({ argv, input, timeout, maxBytes, env }: ProgramCall): Promise<Buffer> {
  const [program, ...args] = argv;
  if (program === undefined) throw new CofferdamError("INVALID_ARGUMENT", "a command has at least one word");
  return await new Promise((resolve, reject) => {
    const options = { timeout, maxBuffer: maxBytes, killSignal: "SIGKILL", encoding: "buffer", env: { ...process.env, ...env } } as const;
    const child = execFile(program, args, options, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(failureOf(error, program, timeout, maxBytes));
    });
    // A program that does not read what it is told is judged by its answer.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

function failureOf(error: Error & { readonly code?: unknown; readonly killed?: unknown }, program: string, timeout: number, maxBytes: number): CofferdamError {
  const details = { program, exit: typeof error.code === "number" ? error.code : null };
  if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
    return new CofferdamError("PAYLOAD_TOO_LARGE", `${program} answered with more than ${maxBytes} bytes`, { details });
  if (error.killed === true) return new CofferdamError("DEADLINE_EXCEEDED", `${program} did not end within ${timeout} ms`, { details });
  const why = typeof error.code === "number" ? `exit ${error.code}` : typeof error.code === "string" ? error.code : messageOf(error).split("\n")[0];
  return new CofferdamError("UPSTREAM_UNAVAILABLE", `${program} failed: ${why}`, {
    details,
    hint: "run it by hand: what it writes to its error stream is not shown here",
  });
}

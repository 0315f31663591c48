/** The jail of {@link SecurityService.executePackageScript}, and how its end becomes a result or an error. */
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { CofferdamError, type ErrorCode, homeFolder } from "../foundation/index.ts";
import type { Level } from "../policy/index.ts";
import { type JailRequest, type JailResult, type Refusal, stopCode, toolchain } from "../sandbox/index.ts";

export interface ScriptRequest {
  readonly name: string;
  /** Lifecycle event: `postinstall`. */
  readonly script: string;
  readonly scriptPath: string;
  readonly cwd: string;
  readonly level: Level;
  /** Names that it may reach, `host:port`. */
  readonly net: readonly string[];
  /** ms. */
  readonly timeout: number;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly signal: AbortSignal;
}

/** Throws NOT_FOUND for a script or folder that is not there, INVALID_ARGUMENT for one that is something else. */
export function scriptRequest(request: ScriptRequest): JailRequest {
  const { name, script, env } = request;
  const scriptPath = existing(request.scriptPath, "script");
  const cwd = existing(request.cwd, "working directory");
  if (!statSync(scriptPath).isFile()) throw new CofferdamError("INVALID_ARGUMENT", `${scriptPath} is not a file`);
  if (!statSync(cwd).isDirectory()) throw new CofferdamError("INVALID_ARGUMENT", `${cwd} is not a folder`);
  const tools = toolchain(env["PATH"] ?? "");
  return {
    command: isProgram(scriptPath) ? [scriptPath] : ["/bin/sh", scriptPath],
    cwd,
    env: { PATH: tools.path, LANG: "C.UTF-8", npm_package_name: name, npm_lifecycle_event: script, INIT_CWD: cwd },
    readable: [scriptPath, ...tools.readable],
    writable: [{ path: cwd, mode: "staged", except: ["node_modules", ".git"] }],
    net: request.net,
    hidden: [...new Set([homeFolder(env), "/root", "/home"])],
    limits: { timeout: request.timeout },
    level: request.level,
    keep: "on-success",
    output: "capture",
    signal: request.signal,
  };
}

/** What {@link JailResult} comes to for a caller that must not take a failure for a success. */
export function failureOf(subject: string, result: JailResult): CofferdamError | undefined {
  const { exit, signal, killedBy, refused } = result;
  if (exit === 0 && killedBy === undefined) return undefined;
  const how = killedBy !== undefined ? `was stopped: ${killedBy}` : exit !== undefined ? `exited ${exit}` : `was ended by signal ${signal}`;
  const details = {
    exit: exit ?? null,
    signal: signal ?? null,
    refused: refused.map(({ kind, what, why }: Refusal) => ({ kind, what, why })),
    stderr: result.stderr.slice(-4000),
  };
  return new CofferdamError(codeOf(result), `${subject} ${how}${refused.length === 0 ? "" : `, after ${refused.length} refusals`}`, { details });
}

function codeOf({ killedBy, refused }: JailResult): ErrorCode {
  if (killedBy !== undefined) return stopCode(killedBy);
  return refused.length > 0 ? "SECURITY_VIOLATION" : "FAILED_PRECONDITION";
}

function existing(path: string, what: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new CofferdamError("NOT_FOUND", `no ${what} ${path.slice(0, 200)}`, { cause: error });
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `cofferdam sandbox run -- CMD`: any command in the jail, with what it was given and nothing else. */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { requireOutside } from "../../audit/index.ts";
import { CofferdamError, ERROR_TABLE, type ErrorCode, homeFolder, parseBytes, parseDuration, systemClock } from "../../foundation/index.ts";
import { jailTools } from "../../packages/index.ts";
import {
  DEFAULT_LIMITS,
  type JailLimits,
  type JailRequest,
  type JailResult,
  maskedNodes,
  parseNetTarget,
  runJail,
  stopCode,
  toolchain,
  type WritableTree,
} from "../../sandbox/index.ts";
import type { Command, CommandContext, CommandGroup, OptionValue } from "./command.ts";
import { sandboxReport } from "./sandbox-report.ts";
import { openPolicy, withState } from "./session.ts";

const run: Command = {
  name: "run",
  summary: "Runs a command in the jail: the project read-only, a home and /tmp of its own, no network, bounded.",
  usage: "[OPTIONS] -- COMMAND [ARGS]",
  examples: [
    "cofferdam sandbox run -- npm test",
    "cofferdam sandbox run --rw dist --memory 1GiB --timeout 5m -- npm run build",
    "cofferdam sandbox run --net registry.example:443 -- node fetch.js",
  ],
  options: {
    rw: { type: "string", value: "DIR", multiple: true, describe: "a folder that may be written (again for more)" },
    ro: { type: "string", value: "PATH", multiple: true, describe: "another file or folder that can be read" },
    net: { type: "string", value: "HOST:PORT", multiple: true, describe: "a name that can be reached, through HTTPS_PROXY" },
    env: { type: "string", value: "NAME[=VALUE]", multiple: true, describe: "a variable to pass on; without a value, the caller's" },
    memory: { type: "string", value: "SIZE", describe: "all processes together (default 2GiB)" },
    pids: { type: "string", value: "N", describe: "processes and threads at once (default 512)" },
    cpus: { type: "string", value: "N", describe: "cores, e.g. 1.5 (default all; needs a cgroup)" },
    disk: { type: "string", value: "SIZE", describe: "/tmp, home and staged folders together, in memory (default 1GiB)" },
    output: { type: "string", value: "SIZE", describe: "most output (default 64MiB; a terminal is not counted)" },
    "unix-sockets": { type: "boolean", describe: "let the command make unix sockets" },
  },
  passthrough: "after-dashes",
  run: execute,
};

export const sandboxCommands: CommandGroup = { name: "sandbox", summary: "A command on this host in a jail.", commands: [run] };

/** Passed on without being asked for: they change how programs look and speak, and hold no secrets. */
const PASSED = ["LANG", "LC_ALL", "TERM", "TZ", "CI", "NODE_ENV", "NO_COLOR", "FORCE_COLOR", "COLORTERM"];
/** Below a folder that may be written: what the host's git obeys later (hooks, config, and every file that names others). */
const NEVER_WRITTEN = [".git", ".github"];

async function execute(context: CommandContext): Promise<number> {
  const { args, globals, out, env, signal } = context;
  if (args.length === 0) throw new CofferdamError("INVALID_ARGUMENT", "which command?", { hint: "cofferdam sandbox run -- npm test" });
  const policy = await openPolicy(context);
  for (const notice of policy.notices) out.note(`cofferdam: ${notice}`);
  const tools = jailTools(env["PATH"] ?? "");
  const request = jailRequest(context, policy.values.level, signal);
  const result = await withState(context, async ({ audit }) => {
    const unseen = await requireOutside(audit, policy.values, systemClock);
    if (unseen !== undefined) out.note(`cofferdam: ${unseen}`);
    const done = await runJail(request, tools);
    await audit.log({
      category: "sandbox",
      action: "RuntimeProtection",
      result: done.exit === 0 ? "success" : "failure",
      resourceType: "command",
      resourceId: args.join(" ").slice(0, 1024),
      details: {
        level: policy.values.level,
        policy: policy.digest,
        cwd: request.cwd,
        net: [...request.net],
        reached: done.reached.map(({ target }) => target),
        exit: done.exit ?? null,
        signal: done.signal ?? null,
        killedBy: done.killedBy ?? null,
        refused: done.refused.slice(0, 100).map(({ kind, what, why }) => ({ kind, what: what.slice(0, 300), why })),
        landlock: done.layers.landlock,
        cgroup: [...done.layers.cgroup],
      },
    });
    return done;
  });
  const stoppedBy = result.killedBy === undefined ? undefined : stopCode(result.killedBy);
  if (globals.json) out.json(sandboxDocument(result, stoppedBy));
  else {
    const report = sandboxReport(result, request);
    if (report !== "") out.note(report);
  }
  if (stoppedBy !== undefined) out.fault(`cofferdam: stopped ${stoppedBy}`);
  return stoppedBy === undefined ? (result.exit ?? 128 + (result.signal ?? 9)) : ERROR_TABLE[stoppedBy].exit;
}

function jailRequest(context: CommandContext, level: JailRequest["level"], signal: AbortSignal): JailRequest {
  const { args, values, env, cwd: here, globals } = context;
  const cwd = realpathSync(here);
  const home = homeFolder(env);
  const project = projectOf(cwd, home);
  const tools = toolchain(env["PATH"] ?? "");
  const rw = list(values["rw"]).map((path) => folder(path, cwd));
  // The jail's own /tmp stands where the host's would; there is nothing of the host to show then.
  const shown = [...(project === "/tmp" ? [] : [project]), ...list(values["ro"]).map((path) => existing(path, cwd))];
  // Level low: the project may be written, as the table of levels says.
  if (level === "low" && rw.length === 0 && project !== "/tmp") rw.push(project);
  const root = process.geteuid?.() === 0;
  return {
    command: args,
    cwd,
    env: {
      ...Object.fromEntries(PASSED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
      ...variables(values["env"], env),
      PATH: tools.path,
    },
    readable: [...new Set([...shown, ...tools.readable])],
    writable: rw.map((path): WritableTree => ({ path, mode: root ? "staged" : "direct", except: NEVER_WRITTEN })),
    // Looked through for sockets and FIFOs: what the user works on, not the toolchain, which has none and may be large.
    masked: [...shown, ...(root ? [] : rw)].flatMap((path) => maskedNodes(path)),
    net: list(values["net"]).map((target) => parseNetTarget(target)),
    unixSockets: values["unix-sockets"] === true,
    hidden: [...new Set(["/root", "/home", home])],
    limits: limits(values),
    level,
    stdin: "inherit",
    keep: "always",
    // One JSON document on standard output: what the command prints goes to the other one.
    output: { stdout: globals.json ? process.stderr : process.stdout, stderr: process.stderr },
    signal,
  };
}

/** The repository around a folder, else the folder. Throws INVALID_ARGUMENT where that would show the home as a whole. */
function projectOf(cwd: string, home: string): string {
  if (cwd === "/" || cwd === home || home.startsWith(`${cwd}/`)) {
    throw new CofferdamError(
      "INVALID_ARGUMENT",
      `${cwd} cannot be the working folder: the command would see all of ${cwd === "/" ? "the machine" : "your home"}`,
      {
        hint: "change to the folder of a project",
      },
    );
  }
  for (let at = cwd; at !== "/" && at !== home; at = dirname(at)) if (existsSync(join(at, ".git"))) return at;
  return cwd;
}

function limits(values: CommandContext["values"]): Partial<JailLimits> {
  const size = (name: string): number | undefined => (typeof values[name] === "string" ? parseBytes(values[name]) : undefined);
  const count = (name: string, max: number, whole: boolean): number | undefined => {
    const text = values[name];
    if (typeof text !== "string") return undefined;
    const value = Number(text);
    if (!(value > 0 && value <= max) || (whole && !Number.isInteger(value)))
      throw new CofferdamError("INVALID_ARGUMENT", `--${name} ${text.slice(0, 40)}: a number up to ${max}`);
    return value;
  };
  const timeout = typeof values["timeout"] === "string" ? parseDuration(values["timeout"]) : 86_400_000;
  const given = { memory: size("memory"), disk: size("disk"), output: size("output"), pids: count("pids", 100_000, true), cpus: count("cpus", 4096, false) };
  const disk = given.disk ?? DEFAULT_LIMITS.disk;
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    fileSize: Math.max(DEFAULT_LIMITS.fileSize, disk),
    timeout,
  };
}

function variables(value: OptionValue, env: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  return Object.fromEntries(
    list(value).flatMap((text) => {
      const at = text.indexOf("=");
      const name = at < 0 ? text : text.slice(0, at);
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new CofferdamError("INVALID_ARGUMENT", `--env ${text.slice(0, 40)}: not the name of a variable`);
      const own = at < 0 ? env[name] : text.slice(at + 1);
      return own === undefined ? [] : [[name, own]];
    }),
  );
}

function folder(path: string, cwd: string): string {
  const full = existing(path, cwd);
  if (full === "/") throw new CofferdamError("INVALID_ARGUMENT", "--rw / would leave nothing of the jail");
  return full;
}

function existing(path: string, cwd: string): string {
  try {
    return realpathSync(resolve(cwd, path));
  } catch {
    throw new CofferdamError("NOT_FOUND", `${path.slice(0, 200)} does not exist`, { hint: "make it first: a jail only shows what is there" });
  }
}

function list(value: OptionValue): readonly string[] {
  return typeof value === "string" ? [value] : Array.isArray(value) ? value.map(String) : [];
}

/** Fields may be added, never renamed. */
function sandboxDocument(result: JailResult, stoppedBy: ErrorCode | undefined): object {
  const { stdout: _, stderr: __, exit, signal, killedBy, ...rest } = result;
  return {
    schema: "cofferdam/sandbox-run/v1",
    exit: exit ?? null,
    ...(signal === undefined ? {} : { signal }),
    ...(killedBy === undefined ? {} : { killedBy }),
    ...(stoppedBy === undefined ? {} : { stoppedBy }),
    ...rest,
  };
}

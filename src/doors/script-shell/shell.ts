/**
 * The shell that npm runs scripts with when `cofferdam shell-init` said so: called as `cofferdam-script-shell -c SCRIPT`, it
 * runs SCRIPT in the jail that its package gets. Everything else is refused, and where no jail can be had nothing runs.
 */
import { join } from "node:path";
import { AuditLogger, requireOutside } from "../../audit/index.ts";
import { CofferdamError, ERROR_TABLE, messageOf, stateDirectory, systemClock, wrapError } from "../../foundation/index.ts";
import { type DecidedScript, decideShellScript, jailTools, runOf, type ScriptOutcome, type ShellJail, shellJail, whoAsks } from "../../packages/index.ts";
import { loadPolicy } from "../../policy/index.ts";
import { type JailResult, runJail, stopCode } from "../../sandbox/index.ts";
import { SqliteStore } from "../../store/index.ts";
import { type Output, TerminalOutput } from "../cli/output.ts";
import { checkpointOptions } from "../cli/trail-policy.ts";
import { plainShell } from "./plain.ts";
import { ranEvent, skippedEvent, type Trail } from "./record.ts";
import { shellReport, skippedReport } from "./report.ts";

export interface ShellHost {
  readonly argv: readonly string[];
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly cwd: string;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Aborted by the user. */
  readonly signal: AbortSignal;
}

/** Never throws. @returns the exit code. */
export async function scriptShell(host: ShellHost): Promise<number> {
  const out = new TerminalOutput(host, { quiet: false, color: host.stderr.isTTY === true && (host.env["NO_COLOR"] ?? "") === "" });
  try {
    return await run(host, out);
  } catch (thrown) {
    const error = wrapError(thrown, "INTERNAL", "unexpected");
    out.fault(`cofferdam: not run: ${error.message}${error.hint === undefined ? "" : `\n  ${error.hint}`}\n  ${error.code}`);
    if (host.env["COFFERDAM_DEBUG"] === "1") out.fault(error.stack ?? "");
    return error.exitCode;
  }
}

async function run(host: ShellHost, out: Output): Promise<number> {
  const { env } = host;
  const body = bodyOf(host);
  const asker = await whoAsks(host.cwd, env);
  // A workflow file may have set the environment: it may ask for more, never for less.
  const policy = await loadPolicy({ cwd: asker.root, env, untrustedEnvironment: true });
  for (const notice of policy.notices) out.note(`cofferdam: ${notice}`);
  const script = await decideShellScript({ asker, body, env, policy });
  await using trail = await openTrail(stateOf(host, asker.root), script, out);
  if (script.decision.run === "skipped") {
    await trail.log(skippedEvent(script));
    const denied = script.decision.basis === "denied";
    out.fault(skippedReport(script, denied));
    return denied ? 0 : ERROR_TABLE.SECURITY_VIOLATION.exit;
  }
  const unseen = await trail.outside();
  if (unseen !== undefined) out.note(`cofferdam: ${unseen}`);
  const outcome = await inJail(script, host);
  if (outcome instanceof CofferdamError) {
    if (policy.values.level !== "low") throw outcome;
    out.fault(`cofferdam: WITHOUT A JAIL, because level low allows it: ${script.decision.package} ${asker.event} (${outcome.message})`);
    await trail.log(skippedEvent(script, "unjailed"));
    return await plainShell(body, host);
  }
  await trail.log(ranEvent(script, outcome));
  const report = shellReport(outcome, asker.root, policy.values.level);
  if (report !== "") out.fault(report);
  const killedBy = outcome.run?.killedBy;
  const stoppedBy = killedBy === undefined ? undefined : stopCode(killedBy);
  if (stoppedBy !== undefined) out.fault(`cofferdam: stopped ${stoppedBy}`);
  return stoppedBy === undefined ? (outcome.run?.exit ?? 128 + (outcome.run?.signal ?? 9)) : ERROR_TABLE[stoppedBy].exit;
}

/** Exactly `-c SCRIPT`. `npx` without a command asks for the shell itself: that is an interactive one, in the jail. */
function bodyOf({ argv, env }: ShellHost): string {
  const [flag, body] = argv;
  if (argv.length !== 2 || flag !== "-c" || body === undefined)
    throw new CofferdamError("INVALID_ARGUMENT", "this is a shell for npm's scripts: cofferdam-script-shell -c SCRIPT", {
      hint: "cofferdam shell-init --help",
    });
  return body === env["npm_config_script_shell"] ? "exec /bin/sh" : body;
}

/** Throws FAILED_PRECONDITION when scripts of the project could read it, INVALID_ARGUMENT when it depends on the folder. */
function stateOf({ env, cwd }: ShellHost, root: string): string {
  const named = env["COFFERDAM_STATE"] ?? "";
  if (named !== "" && !named.startsWith("/"))
    throw new CofferdamError("INVALID_ARGUMENT", "COFFERDAM_STATE must be an absolute path here: scripts run in many folders");
  const state = stateDirectory(undefined, env, cwd);
  if (state !== root && !state.startsWith(`${root}/`)) return state;
  throw new CofferdamError("FAILED_PRECONDITION", `the state directory is in the project: ${state}`, { hint: "set COFFERDAM_STATE to a folder elsewhere" });
}

interface OpenTrail extends Trail, AsyncDisposable {
  /** Whether checkpoints leave this host as the policy asks for; see requireOutside. */
  outside(): Promise<string | undefined>;
}

/** Opened before anything runs. Without it nothing does, but at level low. */
async function openTrail(state: string, { policy }: DecidedScript, out: Output): Promise<OpenTrail> {
  const lenient = policy.values.level === "low";
  const fail = (error: unknown): void => {
    if (!lenient) throw error;
    out.fault(`cofferdam: not recorded, because level low allows it: ${messageOf(error)}`);
  };
  const open: AsyncDisposable[] = [];
  const close = async (): Promise<void> => {
    for (const one of open.reverse()) await one[Symbol.asyncDispose]();
  };
  try {
    const store = new SqliteStore({ path: join(state, "cofferdam.db") });
    open.push(store);
    const audit = new AuditLogger({ store, storage: { directory: state }, checkpoint: checkpointOptions(policy) });
    open.push(audit);
    await audit.initialize();
    return {
      log: async (event) => {
        await audit.log(event).catch(fail);
      },
      outside: () => requireOutside(audit, policy.values, systemClock),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    fail(unavailable(error));
    return { log: async () => undefined, outside: async () => undefined, [Symbol.asyncDispose]: async () => undefined };
  }
}

function unavailable(error: unknown): CofferdamError {
  const cause = wrapError(error, "AUDIT_UNAVAILABLE", "the audit trail cannot be opened");
  return cause.code === "INTEGRITY_FAILURE" ? cause : new CofferdamError("AUDIT_UNAVAILABLE", cause.message, { hint: "cofferdam doctor", cause: error });
}

/** @returns the error when there is no jail here: nothing ran then. */
async function inJail(script: DecidedScript, host: ShellHost): Promise<ScriptOutcome | CofferdamError> {
  const { asker, decision, env } = script;
  let result: JailResult;
  let exceptions: readonly string[];
  let held: ReturnType<ShellJail["hold"]> = [];
  try {
    const tools = jailTools(env["PATH"] ?? "");
    const jail = shellJail(script, host);
    exceptions = jail.exceptions;
    try {
      result = await runJail(jail.request, tools);
    } finally {
      held = jail.hold();
      jail.close();
    }
  } catch (error) {
    if (error instanceof CofferdamError && error.code === "ENVIRONMENT_UNFIT") return error;
    throw error;
  }
  const event = asker.event === "" ? "script" : asker.event;
  const run = runOf(result, asker.root, exceptions);
  const leftOut = [...run.leftOut, ...held];
  return { ...{ package: decision.package, path: decision.subject.path, event, decision, optional: false }, run: { ...run, leftOut } };
}

/** The install's scripts: gathered, decided and run after the tree was compared, and the tree compared again when any ran. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { CofferdamError, messageOf, wrapError } from "../../foundation/index.ts";
import type { LockedPackage, NpmLockfile } from "../../inventory/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { JailTools } from "../../sandbox/index.ts";
import type { Telemetry } from "../../telemetry/index.ts";
import { lookUp } from "../client/npmrc.ts";
import type { ClientSetup } from "../client/setup.ts";
import type { TarballSummary } from "../gate/index.ts";
import { grantFor, NpmApprovals, type ScriptOutcome, ScriptRunner, subjectOf } from "../scripts/index.ts";
import type { JudgedTree, TreeChecker, TreeResult } from "../tree/tree.ts";
import type { ClientCommand } from "./command.ts";
import type { ScriptMemory } from "./script-memory.ts";

export interface ScriptPhaseOptions {
  readonly root: string;
  readonly cwd: string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly setup: ClientSetup;
  readonly command: ClientCommand;
  readonly policy: EffectivePolicy;
  /** Throws ENVIRONMENT_UNFIT where no jail can be had: scripts are then skipped, and said so. */
  readonly tools: () => JailTools;
  readonly lockfile: NpmLockfile;
  readonly treeChanged: boolean;
  /** The verified tarball of a package. */
  readonly summaryOf: (locked: LockedPackage) => TarballSummary | undefined;
  readonly memory: ScriptMemory;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  readonly onStart: (script: { readonly package: string; readonly event: string }) => void;
}

export interface ScriptPhaseResult {
  /** Every script that had its turn, with what became of it. */
  readonly outcomes: readonly ScriptOutcome[];
  /** Why there may be more: an interruption, or a jail that could not be made. What ran before has run all the same. */
  readonly error: CofferdamError | undefined;
}

/** Runs what is to run. */
export async function runScripts(options: ScriptPhaseOptions): Promise<ScriptPhaseResult> {
  const { setup, command, policy, lockfile, root } = options;
  // Of the user's own configuration: a project's .npmrc may not say whose scripts run.
  const own = setup.npmrc.trusted;
  const lists = lookUp(own, "allow-scripts") ?? [];
  const runner = new ScriptRunner({
    ...{ root, lockfile, command, treeChanged: options.treeChanged, signal: options.signal, onStart: options.onStart, telemetry: options.telemetry },
    initCwd: options.cwd,
    client: setup.client,
    nodeVersion: await nodeVersion(setup.client.node),
    policy: policy.values,
    approvals: await new NpmApprovals(root, typeof lists === "string" ? [lists] : lists).read(),
    ignoreScripts: command.ignoreScripts || lookUp(own, "ignore-scripts") === "true",
    caller: options.env,
    hasScripts: scriptHolders(lockfile, options.summaryOf),
    isDone: (locked) => options.memory.isDone(locked, grantOf(locked, policy.values)),
    ...toolsOrWhy(options.tools),
  });
  try {
    await runner.run();
    return { outcomes: runner.outcomes, error: undefined };
  } catch (error) {
    return { outcomes: runner.outcomes, error: wrapError(error, "INTERNAL", "scripts") };
  }
}

/** The tree after its scripts: as judged, but for what they were let to write. Undefined when none ran. */
export async function compareAgain(checker: TreeChecker, tree: JudgedTree, outcomes: readonly ScriptOutcome[]): Promise<TreeResult | undefined> {
  if (!outcomes.some(({ run }) => run !== undefined)) return undefined;
  const touched = new Set(outcomes.flatMap(({ run }) => [...(run?.written ?? []), ...(run?.removed ?? [])]).map((path) => path.replace(/\/$/, "")));
  return await checker.compare({ ...tree, touched });
}

function grantOf(locked: LockedPackage, policy: EffectivePolicy["values"]): { readonly net: readonly string[]; readonly write: readonly string[] } {
  const subject = subjectOf(locked);
  // As the decision has it, so that an entry that was written meanwhile makes the script run again.
  const level = policy.mode === "observe" ? "low" : policy.level;
  const grant = subject === undefined ? undefined : grantFor({ level, grants: policy["scripts.grants"] }, subject)?.grant;
  return { net: grant?.net ?? [], write: grant?.write ?? [] };
}

/** By what the verified bytes say: a lockfile's hasInstallScript is only a promise. */
function scriptHolders(lockfile: NpmLockfile, summaryOf: ScriptPhaseOptions["summaryOf"]): (locked: LockedPackage) => boolean {
  const bundled = new Set<string>();
  for (const outer of lockfile.packages)
    for (const inner of summaryOf(outer)?.bundled ?? []) if (inner.installScripts.length > 0) bundled.add(`${outer.path}/${inner.path}`);
  return (locked) => (locked.kind === "bundled" ? bundled.has(locked.path) : (summaryOf(locked)?.installScripts.length ?? 0) > 0);
}

function toolsOrWhy(tools: () => JailTools): { readonly tools: JailTools } | { readonly unfit: string } {
  try {
    return { tools: tools() };
  } catch (error) {
    return { unfit: messageOf(error) };
  }
}

async function nodeVersion(node: string): Promise<string> {
  if (node === process.execPath) return process.version;
  try {
    return (await promisify(execFile)(node, ["--version"], { env: {}, timeout: 10_000, maxBuffer: 1024 })).stdout.trim();
  } catch (error) {
    throw new CofferdamError("ENVIRONMENT_UNFIT", `${node} does not say its version`, { cause: error });
  }
}

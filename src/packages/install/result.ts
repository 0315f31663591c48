/** What a guarded install came to: the facts that the report, the JSON document and the audit trail are all made from. */
import type { ErrorCode } from "../../foundation/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import type { BoxLayers } from "../box/box.ts";
import type { ScriptOutcome, ScriptRun } from "../scripts/index.ts";
import type { TreeResult } from "../tree/tree.ts";
import type { AdvisorySummary } from "./advisories.ts";
import type { ClientCommand } from "./command.ts";

/** A judgement on one package, key or fact. `deny` stops the install, `review` leaves a decision open, `warn` only says. */
export interface InstallFinding {
  /** Kebab-case rule id: `missing-hash`, `npmrc-key`, `tarball`... */
  readonly code: string;
  readonly decision: "deny" | "review" | "warn";
  /** `name@version`, an .npmrc key, a path: what it is about. */
  readonly subject: string;
  readonly message: string;
  /** file:line, relative to the project. */
  readonly where?: string;
  readonly fix?: string;
  /** What `cofferdam policy allow` takes to accept it; absent where nothing can. */
  readonly allow?: string;
}

/** A check of the product that this run did not make, and why. Never shown as fine. */
export interface NotChecked {
  readonly check: "signatures" | "advisories" | "age" | "provenance";
  readonly why: string;
}

export type Decision = "allowed" | "denied" | "stopped" | "failed";

export interface InstallResult {
  readonly manager: string;
  /** The project's real path. */
  readonly root: string;
  /** The command as the user gave it, without options: `npm ci`. */
  readonly command: string;
  readonly level: string;
  readonly mode: "enforce" | "observe";
  readonly policyDigest: string;
  /** Files the policy came from, nearest first; empty for a bare preset. */
  readonly policySources: readonly string[];
  readonly decision: Decision;
  /** Why the decision is not `allowed`. */
  readonly stoppedBy?: { readonly code: ErrorCode; readonly message: string; readonly hint?: string };
  readonly findings: readonly InstallFinding[];
  /** What was known to be bad, denied or not; undefined when the run ended before anything was looked up. */
  readonly advisories: AdvisorySummary | undefined;
  /** Packages of the judged set. */
  readonly packages: number;
  /** Tarballs whose hash and structure were verified (in this run or an earlier one). */
  readonly verified: number;
  /** Tarballs asked of a registry; those of them that verified, and their bytes. */
  readonly fetched: { readonly asked: number; readonly count: number; readonly bytes: number };
  /** Every script of the tree, run or skipped, in order; empty until the tree was compared. */
  readonly scripts: readonly ScriptOutcome[];
  readonly notChecked: readonly NotChecked[];
  readonly layers: BoxLayers | undefined;
  readonly tree: TreeResult | undefined;
  readonly client: { readonly exit: number | undefined; readonly signal: string | undefined; readonly output: string } | undefined;
  /** A run of this project that was killed before; what was done about it. */
  readonly repaired: string | undefined;
  /** Where a refused tree was moved. */
  readonly movedTo: string | undefined;
  readonly times: { readonly totalMs: number; readonly clientMs: number; readonly scriptsMs: number };
  /** First and last sequence number on record; undefined when nothing could be written. */
  readonly auditRange: readonly [number, number] | undefined;
}

/** Exit code of the command line: ours when we stopped it, else the client's. */
export function exitOf(result: InstallResult, codes: Readonly<Record<ErrorCode, { readonly exit: number }>>): number {
  if (result.stoppedBy !== undefined) return codes[result.stoppedBy.code].exit;
  const failed = failedScript(result);
  if (failed !== undefined) return exitOfScript(failed.run);
  if (result.client?.signal !== undefined) return 128 + (SIGNAL_NUMBERS[result.client.signal] ?? 9);
  const exit = result.client?.exit ?? 0;
  if (exit !== 0) return exit;
  const open = result.findings.some((finding) => finding.decision === "review") || result.scripts.some(({ decision }) => decision.review !== undefined);
  return open ? 3 : 0;
}

/** The script whose failure failed the install. */
export function failedScript({ scripts }: Pick<InstallResult, "scripts">): (ScriptOutcome & { readonly run: ScriptRun }) | undefined {
  for (const one of scripts) if (one.run !== undefined && one.run.exit !== 0 && !one.optional) return { ...one, run: one.run };
  return undefined;
}

/** 3 after a refusal of ours, since that may be why; else its own code. What we stopped it for stands in `stoppedBy`. */
function exitOfScript({ refused, exit, signal }: ScriptRun): number {
  return refused.length > 0 ? 3 : (exit ?? 128 + (signal ?? 9));
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 };

/** What this version never checks. The list shrinks as the product grows; it is never left out of a report. */
export const NOT_BUILT: readonly NotChecked[] = [
  { check: "signatures", why: "registry signatures are not verified in this version" },
  { check: "provenance", why: "attestations are not verified in this version" },
  { check: "age", why: "publication times are not looked at in this version" },
];

/** Before anything happened. */
export function emptyResult(command: ClientCommand, root: string, policy: EffectivePolicy, repaired: string | undefined): InstallResult {
  return {
    manager: command.manager,
    root,
    command: `${command.manager} ${command.verb}`,
    level: policy.values.level,
    mode: policy.values.mode,
    policyDigest: policy.digest,
    policySources: policy.sources,
    decision: "stopped",
    findings: [],
    advisories: undefined,
    packages: 0,
    verified: 0,
    fetched: { asked: 0, count: 0, bytes: 0 },
    scripts: [],
    notChecked: NOT_BUILT,
    layers: undefined,
    tree: undefined,
    client: undefined,
    repaired,
    movedTo: undefined,
    times: { totalMs: 0, clientMs: 0, scriptsMs: 0 },
    auditRange: undefined,
  };
}

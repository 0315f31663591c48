/**
 * Runs the scripts of an install, each in a jail of its own: dependencies first, a package's own folder writable as a copy
 * whose changes are looked at before they count, the rest of the project read-only, no network but what was granted.
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { CofferdamError } from "../../foundation/index.ts";
import { type LockedPackage, type NpmLockfile, Places } from "../../inventory/index.ts";
import type { PolicyValues } from "../../policy/index.ts";
import { type JailResult, type JailTools, maskedNodes, type Refusal, runJail } from "../../sandbox/index.ts";
import type { Telemetry } from "../../telemetry/index.ts";
import type { NpmClient } from "../client/locate.ts";
import type { ClientCommand } from "../install/command.ts";
import type { Approvals } from "./approvals.ts";
import { decide, type ScriptDecision } from "./decide.ts";
import { scriptJail } from "./jail.ts";
import { hasBindingGyp, readScriptManifest, type Script, type ScriptManifest, scriptsFor } from "./manifest.ts";
import { npmSkipsUnlisted } from "./npm-approvals.ts";
import { eventsOf, inOrder, projectEvents } from "./order.ts";
import { labelOf, projectSubject, type ScriptSubject, subjectOf } from "./subject.ts";

export interface ScriptRunnerOptions {
  /** The project's real path, and where the user called. */
  readonly root: string;
  readonly initCwd: string;
  readonly lockfile: NpmLockfile;
  readonly command: ClientCommand;
  readonly client: NpmClient;
  /** Of the client's Node: `v26.1.0`. */
  readonly nodeVersion: string;
  /** False when the command left node_modules as it was: then npm runs no `dependencies` scripts. */
  readonly treeChanged: boolean;
  readonly policy: PolicyValues;
  readonly approvals: Approvals;
  readonly ignoreScripts: boolean;
  readonly caller: Readonly<NodeJS.ProcessEnv>;
  /** Whether the verified tarball of a package has install scripts: what its own bytes say, not the lockfile. */
  readonly hasScripts: (locked: LockedPackage) => boolean;
  /** True for a package whose scripts ran in an earlier install and whose outputs are as they were left. */
  readonly isDone: (locked: LockedPackage) => boolean;
  /** Absent where no jail can be had; {@link unfit} says why, and nothing runs. */
  readonly tools?: JailTools;
  readonly unfit?: string;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  readonly onStart?: (script: { readonly package: string; readonly event: string }) => void;
}

/** One script and what became of it. */
export interface ScriptOutcome {
  /** `name@version`, and its place from the project's root (empty for the project). */
  readonly package: string;
  readonly path: string;
  readonly event: string;
  readonly decision: ScriptDecision;
  /** Undefined when it was skipped. */
  readonly run: ScriptRun | undefined;
  /** True when its failure does not fail the install. */
  readonly optional: boolean;
}

export interface ScriptRun {
  readonly exit: number | undefined;
  readonly signal: number | undefined;
  readonly killedBy: JailResult["killedBy"];
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly maxRssBytes: number;
  readonly refused: readonly Refusal[];
  readonly reached: JailResult["reached"];
  /** From the project's root. */
  readonly written: readonly string[];
  readonly removed: readonly string[];
  /** Outputs that were not taken over. */
  readonly leftOut: readonly { readonly path: string; readonly why: string }[];
  readonly layers: JailResult["layers"];
  readonly notes: readonly string[];
  /** Names of shipped exceptions that applied. */
  readonly exceptions: readonly string[];
  /** Both streams, bounded. */
  readonly output: string;
}

export class ScriptRunner {
  readonly #options: ScriptRunnerOptions;
  readonly #places: Places<LockedPackage>;
  readonly #outcomes: ScriptOutcome[] = [];
  #masked: readonly string[] | undefined;

  constructor(options: ScriptRunnerOptions) {
    this.#options = options;
    this.#places = new Places(options.lockfile);
  }

  /** Every script that had its turn, run or skipped, in order: all of them after {@link run}, fewer when it threw. */
  get outcomes(): readonly ScriptOutcome[] {
    return this.#outcomes;
  }

  /** Ends after the first failure of a script that is not optional. */
  async run(): Promise<void> {
    const { command, client, root, treeChanged } = this.#options;
    const named = command.args.some((arg) => !arg.startsWith("-"));
    const all = projectEvents(command.verb, named, client.version);
    const events = { first: all.first, last: treeChanged ? all.last : all.last.filter((event) => !event.endsWith("dependencies")) };
    const own = await readScriptManifest(root);
    const project = own === undefined ? undefined : { subject: projectSubject(own.name || "the project", own.version || undefined), manifest: own };
    if (project !== undefined && !(await this.#package(project.subject, project.manifest, events.first))) return;
    if (!(await this.#packages())) return;
    if (project !== undefined) await this.#package(project.subject, project.manifest, events.last);
  }

  async #packages(): Promise<boolean> {
    const { lockfile, root, hasScripts, isDone } = this.#options;
    const subjects = new Map<string, ScriptSubject>();
    for (const locked of lockfile.packages) {
      const subject = subjectOf(locked);
      if (subject === undefined || isDone(locked) || !(subject.origin === "own" || hasScripts(locked)) || !isFolder(join(root, locked.path))) continue;
      subjects.set(locked.path, subject);
    }
    for (const path of inOrder(lockfile, new Set(subjects.keys()))) {
      const subject = subjects.get(path);
      const manifest = subject === undefined ? undefined : await readScriptManifest(join(root, path));
      if (subject !== undefined && manifest !== undefined && !(await this.#package(subject, manifest, eventsOf(subject.origin)))) return false;
    }
    return true;
  }

  /** @returns false when a script failed that must not. */
  async #package(subject: ScriptSubject, manifest: ScriptManifest, events: readonly string[]): Promise<boolean> {
    const { policy, approvals, client, ignoreScripts, root, signal } = this.#options;
    const scripts = scriptsFor(manifest, events, hasBindingGyp(join(root, subject.path)));
    if (scripts.length === 0) return true;
    const rules = {
      // Observing lets go on what would be refused; it still goes on in the jail.
      level: policy.mode === "observe" ? "low" : policy.level,
      approvals,
      clientSkipsUnlisted: npmSkipsUnlisted(client.version),
      ignoreScripts,
      approved: policy["scripts.approved"],
      grants: policy["scripts.grants"],
    };
    const decision = this.#possible(decide(rules, subject));
    const optional = subject.locked?.optional === true;
    for (const script of scripts) {
      if (signal.aborted) throw new CofferdamError("CANCELLED", "interrupted");
      const run = decision.run === "skipped" ? undefined : await this.#script(subject, manifest, script, decision);
      this.#outcomes.push({ package: labelOf(subject), path: subject.path, event: script.event, decision, run, optional });
      if (run !== undefined && run.exit !== 0) return optional;
    }
    return true;
  }

  /** Without a jail nothing runs, whoever approved it. */
  #possible(decision: ScriptDecision): ScriptDecision {
    const { unfit = "no jail here" } = this.#options;
    if (decision.run === "skipped" || this.#options.tools !== undefined) return decision;
    const review = { message: `install script, not run: ${unfit}`, read: `cofferdam scripts show ${decision.package}`, allow: undefined };
    return { ...decision, run: "skipped", why: unfit, review };
  }

  async #script(subject: ScriptSubject, manifest: ScriptManifest, script: Script, decision: ScriptDecision): Promise<ScriptRun> {
    const { root, onStart, tools, telemetry } = this.#options;
    if (tools === undefined) throw new CofferdamError("INTERNAL", "a script without a jail");
    onStart?.({ package: labelOf(subject), event: script.event });
    this.#masked ??= maskedNodes(root);
    const jail = scriptJail({
      ...{ subject, manifest, script, decision, masked: this.#masked, options: this.#options },
      resolve: (name) => this.#places.resolve(subject.path, name),
    });
    try {
      const result = await telemetry.time("script", () => runJail(jail.request, tools));
      if (this.#options.signal.aborted) throw new CofferdamError("CANCELLED", "interrupted");
      return runOf(result, root, jail.exceptions);
    } finally {
      jail.close();
    }
  }
}

export function runOf(result: JailResult, root: string, exceptions: readonly string[]): ScriptRun {
  const { exit, signal, killedBy, wallMs, cpuMs, maxRssBytes, refused, reached, layers, notes, outputs, stdout, stderr } = result;
  const place = (tree: string, path: string): string => `${tree}/${path}`.slice(root.length + 1);
  return {
    ...{ exit: killedBy === undefined ? exit : undefined, signal, killedBy, wallMs, cpuMs, maxRssBytes, refused, reached, layers, notes, exceptions },
    written: outputs.flatMap((tree) => tree.written.map((path) => place(tree.path, path))),
    removed: outputs.flatMap((tree) => tree.removed.map((path) => place(tree.path, path))),
    leftOut: outputs.flatMap((tree) => tree.refused.map(({ path, why }) => ({ path: place(tree.path, path), why }))),
    output: [stdout, stderr].filter((text) => text !== "").join("\n"),
  };
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

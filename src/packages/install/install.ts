/**
 * The guarded install, in the order of its promise: judge, fetch and verify, run the client in the box, compare the tree,
 * record. Each step that fails ends the run there; nothing later may assume what was not checked. Past 500 lines in one file, since the
 * order is the promise: whoever reviews it reads every step, and what each leaves to the next, from the top.
 */
import { realpathSync } from "node:fs";
import { type GuardedTrail, requireOutside } from "../../audit/index.ts";
import { type Clock, CofferdamError, messageOf, newId, wrapError } from "../../foundation/index.ts";
import type { LockedPackage, NpmLockfile } from "../../inventory/index.ts";
import type { EffectivePolicy } from "../../policy/index.ts";
import { type JailTools, stopCode } from "../../sandbox/index.ts";
import { Facts, type Store } from "../../store/index.ts";
import type { Telemetry } from "../../telemetry/index.ts";
import type { AdvisoryDatabase } from "../../vulnerability/index.ts";
import { type BoxRequest, layersOf, startBox, type WaitingBox } from "../box/box.ts";
import { type ClientSetup, setUpClient } from "../client/setup.ts";
import {
  type Gate,
  type GateLimits,
  strongestDigest,
  TarballSource,
  TarballStore,
  type TarballSummary,
  Upstream,
  Verifier,
  type WantedTarball,
} from "../gate/index.ts";
import { rememberInstall } from "../installs/remember.ts";
import { judge, judgeBundles } from "../judge/judge.ts";
import { scannedPackages } from "../scan/target.ts";
import { type JudgedTree, TreeChecker } from "../tree/tree.ts";
import { InstallAdvisories } from "./advisories.ts";
import { mayLink } from "./client-box.ts";
import { type ClientCommand, parseClientCommand } from "./command.ts";
import { fetchAll, keyOfTarball } from "./fetch.ts";
import { GuardedClient, gateLimits } from "./guarded-client.ts";
import { type JudgedSet, judgedTree, type PlannedTarball, wantedTarballs } from "./judged-set.ts";
import { openProject, type Project, readLockfile } from "./project.ts";
import { ProjectLock } from "./project-lock.ts";
import { InstallRecord } from "./record.ts";
import { clearHalfWritten, keepManifests, repairInterrupted, restoreManifests, setAside } from "./repair.ts";
import { type Decision, emptyResult, failedScript, type InstallFinding, type InstallResult, NOT_BUILT } from "./result.ts";
import { RunFolder } from "./run-folder.ts";
import { ScriptMemory } from "./script-memory.ts";
import { compareAgain, runScripts } from "./script-phase.ts";

export interface InstallRequest {
  /** The client's command: `["npm", "ci"]`. */
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  readonly policy: EffectivePolicy;
  readonly stateDir: string;
  /** Opened on the same state directory, as is {@link advisories}. */
  readonly store: Store;
  readonly advisories: AdvisoryDatabase;
  readonly audit: GuardedTrail;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  /** Path of bubblewrap; undefined when there is none. */
  readonly bubblewrap: string | undefined;
  /** What install scripts are jailed with. Throws ENVIRONMENT_UNFIT where that cannot be had. */
  readonly jail: () => JailTools;
  readonly onProgress?: (progress: InstallProgress) => void;
  readonly onClientOutput?: (text: string) => void;
}

export interface InstallProgress {
  readonly phase: "fetch" | "client" | "compare" | "scripts";
  /** What is being done: `esbuild@0.25.2 postinstall`. */
  readonly what?: string;
  readonly done: number;
  readonly total: number;
}

const DAY = 86_400_000;

/**
 * Runs a guarded install. Refusals and failures of the client are results; throws INVALID_ARGUMENT (the command, the
 * project), NOT_FOUND (no package.json), CONFLICT (another run), ENVIRONMENT_UNFIT (no npm), AUDIT_UNAVAILABLE.
 */
export async function guardedInstall(request: InstallRequest): Promise<InstallResult> {
  const command = parseClientCommand(request.command, request.env);
  const project = await openProject(request.cwd);
  const setup = await setUpClient({ env: request.env, project: project.root, settings: command.settings, store: request.store, clock: request.clock });
  const runId = newId("run");
  const lock = await ProjectLock.take(request.store, project.root, runId, request.clock);
  try {
    const repaired = repairInterrupted(project.root, request.stateDir, lock.interrupted);
    const run = RunFolder.create(request.stateDir, runId);
    try {
      return await new Installation(request, command, project, setup, lock, run, runId, repaired).run();
    } finally {
      run.remove();
    }
  } finally {
    await lock.release();
  }
}

interface Compared {
  readonly lockfile: NpmLockfile;
  readonly tree: JudgedTree;
}

class Installation {
  readonly #request: InstallRequest;
  readonly #command: ClientCommand;
  readonly #project: Project;
  readonly #setup: ClientSetup;
  readonly #lock: ProjectLock;
  readonly #run: RunFolder;
  readonly #record: InstallRecord;
  readonly #store: TarballStore;
  readonly #verifier: Verifier;
  readonly #upstream: Upstream;
  readonly #source: TarballSource;
  readonly #limits: GateLimits;
  readonly #client: GuardedClient;
  readonly #memory: ScriptMemory;
  readonly #started: number;
  readonly #runId: string;
  /** The last that was judged. */
  #lockfile: NpmLockfile | undefined;
  #result: InstallResult;

  constructor(
    request: InstallRequest,
    command: ClientCommand,
    project: Project,
    setup: ClientSetup,
    lock: ProjectLock,
    run: RunFolder,
    runId: string,
    repaired: string | undefined,
  ) {
    this.#request = request;
    this.#command = command;
    this.#project = project;
    this.#setup = setup;
    this.#lock = lock;
    this.#run = run;
    this.#runId = runId;
    const { audit, telemetry } = request;
    this.#record = new InstallRecord(
      { log: (event) => telemetry.time("audit", () => audit.log(event)), denied: (event) => audit.denied(event) },
      project.root,
      runId,
    );
    this.#limits = gateLimits(request.policy);
    this.#store = new TarballStore(request.stateDir, run.incoming);
    this.#verifier = new Verifier(request.stateDir, run.incoming, this.#limits, ({ wallMs, cpuMs }, ok) =>
      telemetry.add("integrity", ok ? "success" : "failure", wallMs, cpuMs),
    );
    this.#upstream = new Upstream(setup.connection, this.#limits);
    this.#source = new TarballSource({
      store: this.#store,
      upstream: this.#upstream,
      verifier: this.#verifier,
      registries: setup.registries,
      limits: this.#limits,
    });
    this.#client = new GuardedClient({
      ...{ cwd: request.cwd, policy: request.policy, bubblewrap: request.bubblewrap, signal: request.signal, onOutput: request.onClientOutput },
      ...{ command, project, setup, run, store: this.#store, upstream: this.#upstream, source: this.#source, limits: this.#limits },
      refused: (refusal) => this.#record.refused(refusal),
    });
    this.#memory = new ScriptMemory(request.store, project.root, request.clock);
    this.#started = request.clock.monotonic();
    this.#result = emptyResult(command, project.root, request.policy, repaired);
  }

  async run(): Promise<InstallResult> {
    try {
      await this.#install();
    } catch (error) {
      this.#stop(this.#request.signal.aborted ? interruption(this.#request.signal) : wrapError(error, "INTERNAL", "install"));
    } finally {
      await Promise.all([this.#verifier.close(), this.#upstream.close()]);
    }
    const { asked, fetched, bytes } = this.#source.counts;
    this.#set({ fetched: { asked, count: fetched, bytes }, times: { ...this.#result.times, totalMs: this.#request.clock.monotonic() - this.#started } });
    await this.#recordOutcome();
    await this.#prune();
    return this.#result;
  }

  /** Once a day, what nobody asks for any more leaves the store. */
  async #prune(): Promise<void> {
    const { store, clock, policy, signal } = this.#request;
    const now = clock.now();
    const facts = new Facts(store, "tarball-store");
    try {
      await facts.initialize();
      const last = Number((await facts.get("pruned-at")) ?? Number.NaN);
      if (signal.aborted || (last <= now && now - last < DAY)) return;
      this.#store.prune(policy.values["packages.keep"], now);
      await facts.put("pruned-at", JSON.stringify(now), now);
    } catch {
      // Housekeeping: the install stands without it, and the next run tries again.
    }
  }

  async #install(): Promise<void> {
    const { audit, policy, clock } = this.#request;
    const unseen = await requireOutside(audit, policy.values, clock);
    if (unseen !== undefined) this.#set({ findings: [{ code: "trail-unseen", decision: "warn", subject: "audit trail", message: unseen }] });
    const read = await readLockfile(this.#project);
    this.#lockfile = read?.lockfile;
    const advisories = await InstallAdvisories.open({ ...this.#request, root: this.#project.root, lockfileName: this.#project.lockfileName });
    if (!(await this.#judge(read?.lockfile, read?.lineOf, advisories))) return;
    const wanted = wantedTarballs(read?.lockfile, this.#project.root, this.#setup, policy.values["packages.registries"]);
    this.#set({ packages: wanted.length });
    await this.#lock.enter("fetch");
    // Box and comparison threads come up while tarballs are fetched. The client is not loaded before it is told to go.
    const box = await this.#client.prepare(wanted, read?.lockfile, this.#result.findings);
    const checker = new TreeChecker(this.#project.root, this.#request.stateDir);
    const starting = this.#request.telemetry.time("protection", () => startBox(box));
    // It may fail (Ctrl-C ends it) while the fetch is still going on; whoever awaits it hears of it then.
    starting.catch(() => undefined);
    try {
      const summaries = await this.#fetch(wanted, read?.lineOf);
      this.#set({ verified: summaries.size });
      const bundled = (outer: LockedPackage): TarballSummary["bundled"] | undefined =>
        summaries.get(keyOfTarball(outer.name, outer.version, outer.integrity))?.bundled;
      if (!this.#judgeBundles(read?.lockfile, read?.lineOf, bundled)) return;
      await this.#record.integrity(wanted, { policy: policy.digest, lockfile: read?.lockfile.sha256 ?? null });
      this.#set({ layers: layersOf(box) });
      await this.#runClient(await starting, box, checker, wanted, read?.lockfile, advisories);
    } finally {
      // Still waiting at the door when the fetch was refused; gone already in every other case.
      await starting.then(
        (waiting) => waiting.kill(),
        () => undefined,
      );
      await checker.close();
    }
  }

  /** A tarball that is not what the lockfile names becomes a finding with its line, besides ending the run. */
  async #fetch(wanted: readonly PlannedTarball[], lineOf: ((path: string) => number | undefined) | undefined): Promise<Map<string, TarballSummary>> {
    const { signal } = this.#request;
    try {
      return await fetchAll(wanted, this.#source, this.#command.omit, this.#limits.concurrency, signal, (done, total) => this.#progress("fetch", done, total));
    } catch (error) {
      if (!(error instanceof CofferdamError) || error.code !== "INTEGRITY_FAILURE") throw error;
      const { subject, expected, actual } = error.details;
      const planned = wanted.find((one) => `${one.name}@${one.version}` === subject);
      const line = planned === undefined ? undefined : lineOf?.(planned.locked.path);
      const digests =
        typeof expected === "string" && typeof actual === "string"
          ? `; the lockfile names ${expected.slice(0, 40)}, the registry sends ${actual.slice(0, 40)}`
          : "";
      this.#set({
        findings: [
          {
            code: "tarball",
            decision: "deny",
            subject: typeof subject === "string" ? subject : "a tarball",
            message: `${error.message.replace(`${String(subject)}: `, "")}${digests}`,
            where: `${this.#project.lockfileName}${line === undefined ? "" : `:${line}`}`,
            fix: "restore the lockfile from version control; if it is right, the registry is not",
          },
          ...this.#result.findings,
        ],
      });
      throw error;
    }
  }

  /** The tarballs have the last word on what they bundle; it is asked before the client starts. */
  #judgeBundles(
    lockfile: NpmLockfile | undefined,
    lineOf: ((path: string) => number | undefined) | undefined,
    bundledBy: (outer: LockedPackage) => TarballSummary["bundled"] | undefined,
  ): boolean {
    const { policy } = this.#request;
    const findings = judgeBundles(
      {
        lockfileName: this.#project.lockfileName,
        lineOf: lineOf ?? (() => undefined),
        level: policy.values.level,
        allows: (what) => policy.allowance(what) !== undefined,
      },
      lockfile?.packages ?? [],
      bundledBy,
    );
    return this.#accept(findings);
  }

  /** False when something is denied. In observe mode denials are said and do not stop. */
  async #judge(lockfile: NpmLockfile | undefined, lineOf: LineOf | undefined, advisories: InstallAdvisories): Promise<boolean> {
    const { policy } = this.#request;
    const known = await advisories.judge(lockfile, lineOf ?? (() => undefined));
    const { notChecked } = advisories;
    this.#set({ advisories: advisories.summary, notChecked: notChecked === undefined ? NOT_BUILT : [notChecked, ...NOT_BUILT] });
    if (lockfile !== undefined) {
      this.#set({ packages: scannedPackages(lockfile.packages).length });
      await this.#record.advisories(advisories.summary, policy.digest);
    }
    const findings = judge({
      lockfile,
      lockfileName: this.#project.lockfileName,
      lineOf: lineOf ?? (() => undefined),
      npmrc: this.#setup.npmrc.project,
      registries: this.#setup.trustedRegistries,
      trusted: policy.values["packages.registries"],
      magicOrigin: this.#setup.magicOrigin,
      level: policy.values.level,
      allows: (what) => policy.allowance(what) !== undefined,
      nodeModulesCommitted: this.#project.nodeModulesCommitted,
      declared: this.#command.verb === "ci" ? this.#project.declared : undefined,
      mayLink: (target) => mayLink(this.#project, target),
    });
    const accepted = this.#accept([...known, ...findings]);
    if (accepted && advisories.refusal !== undefined) {
      this.#stop(advisories.refusal);
      return false;
    }
    if (this.#command.verb === "ci" && lockfile === undefined) {
      this.#stop(
        new CofferdamError("FAILED_PRECONDITION", `npm ci needs ${this.#project.lockfileName}`, { hint: "npm install --package-lock-only, and commit it" }),
      );
      return false;
    }
    return accepted;
  }

  /** Adds findings to the result. False, and stopped, when one of them denies. */
  #accept(findings: readonly InstallFinding[]): boolean {
    const now = this.#request.policy.values.mode === "observe" ? findings.map(observed) : findings;
    // A second judgement (of the lockfile that npm install wrote) adds to the first, which saw what was there before.
    const earlier = this.#result.findings.filter((one) => !now.some((two) => two.code === one.code && two.subject === one.subject));
    this.#set({ findings: [...now, ...earlier] });
    const denied = this.#result.findings.filter((finding) => finding.decision === "deny");
    if (denied.length === 0) return true;
    this.#stop(new CofferdamError("SECURITY_VIOLATION", `${denied.length} refused before ${this.#command.manager} started`), "denied");
    return false;
  }

  async #runClient(
    waiting: WaitingBox,
    box: BoxRequest,
    checker: TreeChecker,
    wanted: readonly WantedTarball[],
    before: NpmLockfile | undefined,
    advisories: InstallAdvisories,
  ): Promise<void> {
    const { clock, signal } = this.#request;
    keepManifests(this.#project.root, this.#run.path);
    await this.#lock.enter("client");
    const clientStarted = clock.monotonic();
    const gate = this.#client.serve(waiting, wanted, box.owner, advisories);
    this.#progress("client", 0, wanted.length);
    const [client, expected] = await Promise.all([waiting.go().finally(() => gate.close()), this.#expected(checker, before)]);
    this.#set({ client, times: { totalMs: 0, clientMs: clock.monotonic() - clientStarted, scriptsMs: 0 } });
    if (signal.aborted) {
      this.#set({ repaired: clearHalfWritten(this.#project.root, this.#run.path) });
      throw interruption(signal);
    }
    if (client.exit !== 0) {
      this.#clientFailed(gate);
      return;
    }
    const compared = await this.#compare(checker, before, gate, expected, advisories);
    if (compared !== undefined) await this.#scripts(checker, compared.lockfile, compared.tree, before?.sha256);
  }

  /** What ci must leave is known before it starts: the comparison gets ready on the core that npm does not use yet. */
  async #expected(checker: TreeChecker, before: NpmLockfile | undefined): Promise<JudgedSet | undefined> {
    if (this.#command.verb !== "ci" || before === undefined) return undefined;
    const judged = this.#judgedSet(before);
    checker.expect(judged.tree);
    return judged;
  }

  #judgedSet(lockfile: NpmLockfile): JudgedSet {
    return judgedTree(lockfile, this.#store, this.#command, this.#command.partial || realpathSync(this.#request.cwd) !== this.#project.root);
  }

  async #compare(
    checker: TreeChecker,
    before: NpmLockfile | undefined,
    gate: Gate,
    expected: JudgedSet | undefined,
    advisories: InstallAdvisories,
  ): Promise<Compared | undefined> {
    await this.#lock.enter("compare");
    const after = this.#command.verb === "ci" ? before : (await readLockfile(this.#project))?.lockfile;
    if (after === undefined)
      throw new CofferdamError("FAILED_PRECONDITION", "npm left no lockfile: the tree cannot be compared with anything", {
        hint: "remove package-lock=false from your npm configuration",
      });
    this.#lockfile = after;
    const stored = (outer: LockedPackage): TarballSummary["bundled"] | undefined => {
      const digest = outer.integrity === undefined ? undefined : strongestDigest(outer.integrity);
      return digest === undefined ? undefined : this.#store.find(digest)?.bundled;
    };
    if (this.#command.verb !== "ci" && !((await this.#judge(after, undefined, advisories)) && this.#judgeBundles(after, undefined, stored))) {
      this.#giveBack();
      return undefined;
    }
    const wanted = wantedTarballs(after, this.#project.root, this.#setup, this.#request.policy.values["packages.registries"]);
    if (gate.admitted.length > 0) await this.#record.integrity(gate.admitted, { policy: this.#request.policy.digest, lockfile: after.sha256 });
    this.#progress("compare", 0, wanted.length);
    const { tree, unverified, verified } = expected ?? this.#judgedSet(after);
    // `npm ci` starts anew; every other command leaves what earlier scripts built.
    if (this.#command.verb !== "ci") await this.#memory.recall(after);
    const result = await checker.compare({ ...tree, outputs: this.#memory.all });
    this.#set({ tree: result, packages: wanted.length, verified });
    if (unverified.length > 0)
      this.#stop(
        new CofferdamError("INTEGRITY_FAILURE", `installed, but never verified: ${unverified.slice(0, 5).join(", ")}`, {
          details: { unverified: unverified.slice(0, 100) },
        }),
      );
    else if (result.differenceCount > 0)
      this.#stop(new CofferdamError("INTEGRITY_FAILURE", `node_modules is not what was judged: ${result.differenceCount} differences`));
    else {
      this.#set({ decision: "allowed" });
      return { lockfile: after, tree };
    }
    if (this.#request.policy.values.mode === "enforce") this.#giveBack();
    return undefined;
  }

  /** Only over a tree that is as judged; what a script changed is looked at before anybody is told that all is well. */
  async #scripts(checker: TreeChecker, lockfile: NpmLockfile, tree: JudgedTree, before: string | undefined): Promise<void> {
    const { cwd, env, policy, jail, telemetry, signal, clock } = this.#request;
    const started = clock.monotonic();
    await this.#lock.enter("scripts");
    const { outcomes, error } = await runScripts({
      ...{
        root: this.#project.root,
        cwd,
        env,
        setup: this.#setup,
        command: this.#command,
        policy,
        tools: jail,
        lockfile,
        telemetry,
        signal,
        memory: this.#memory,
      },
      treeChanged: this.#command.verb === "ci" || before !== lockfile.sha256,
      summaryOf: (locked) => {
        const digest = locked.integrity === undefined ? undefined : strongestDigest(locked.integrity);
        return digest === undefined ? undefined : this.#store.find(digest);
      },
      onStart: ({ package: name, event }) => this.#request.onProgress?.({ phase: "scripts", done: 0, total: 0, what: `${name} ${event}` }),
    });
    this.#set({ scripts: outcomes, times: { ...this.#result.times, scriptsMs: clock.monotonic() - started } });
    await this.#record.scripts(outcomes);
    const again = await compareAgain(checker, { ...tree, outputs: this.#memory.all }, outcomes);
    await this.#memory.remember(outcomes, error === undefined);
    if (again !== undefined && again.differenceCount > 0) {
      this.#set({ tree: again });
      this.#stop(new CofferdamError("INTEGRITY_FAILURE", `node_modules is not what was judged, after its scripts: ${again.differenceCount} differences`));
      this.#giveBack();
    } else if (error !== undefined) throw error;
    else this.#scriptFailed(failedScript(this.#result));
  }

  #scriptFailed(failed: ReturnType<typeof failedScript>): void {
    if (failed === undefined) return;
    const { killedBy } = failed.run;
    if (killedBy === undefined) this.#set({ decision: "failed" });
    else this.#stop(new CofferdamError(stopCode(killedBy), `${failed.package} ${failed.event}: its ${killedBy} limit was reached`), "failed");
  }

  /** A tree that must not be used is moved aside, and the manifests are as they were. */
  #giveBack(): void {
    const movedTo = setAside(this.#project);
    if (this.#command.verb !== "ci") restoreManifests(this.#project.root, this.#run.path);
    if (movedTo !== undefined) this.#set({ movedTo });
  }

  #clientFailed(gate: Gate): void {
    // The client's own words on a refusal are an HTTP status; ours say what and why.
    const refusal = gate.refusals[0];
    if (refusal === undefined) this.#set({ decision: "failed" });
    else this.#stop(refusal.error);
  }

  async #recordOutcome(): Promise<void> {
    try {
      await this.#record.outcome(this.#result);
    } catch (error) {
      // What is not on record did not happen with our word for it: at medium and above the tree goes.
      if (this.#result.decision === "allowed" && this.#request.policy.values.level !== "low") this.#giveBack();
      this.#stop(error instanceof CofferdamError ? error : new CofferdamError("AUDIT_UNAVAILABLE", messageOf(error)));
    }
    this.#set({ auditRange: this.#record.range });
    const { store, clock } = this.#request;
    const forgotten = await rememberInstall({ store, clock, runId: this.#runId, result: this.#result, lockfile: this.#lockfile });
    if (forgotten !== undefined) this.#set({ findings: [...this.#result.findings, forgotten] });
  }

  #stop(error: CofferdamError, decision: Decision = "stopped"): void {
    this.#set({ decision, stoppedBy: { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) } });
  }

  #progress(phase: InstallProgress["phase"], done: number, total: number): void {
    this.#request.onProgress?.({ phase, done, total });
  }

  #set(change: Partial<InstallResult>): void {
    this.#result = { ...this.#result, ...change };
  }
}

type LineOf = (path: string) => number | undefined;

/** Malware is refused even where everything else is only watched. */
function observed(finding: InstallFinding): InstallFinding {
  return finding.decision === "deny" && finding.code !== "malware"
    ? { ...finding, decision: "warn", message: `${finding.message} (would be refused)` }
    : finding;
}

function interruption(signal: AbortSignal): CofferdamError {
  const reason: unknown = signal.reason;
  if (reason instanceof CofferdamError) return reason;
  return new CofferdamError("CANCELLED", "interrupted", { hint: "run it again: what was verified is kept" });
}

/**
 * One job's container from its making to its end, in the order of its promise: written down, prepared, created, started with
 * the gate shut, proven, let go, watched, collected. Whatever fails ends it there; nothing is left that the store does not name.
 */
import { join } from "node:path";
import type { Attachment, ContainerEngine, ContainerExit, ImageInspect, OutputChunk } from "../engine/index.ts";
import { type Clock, CofferdamError, messageOf } from "../foundation/index.ts";
import type { NetworkIsolationManager } from "../network/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { Allocation, ResourceQuotaManager } from "../quota/index.ts";
import type { SecretReader } from "../secrets/index.ts";
import { CanaryWatch } from "./canary-watch.ts";
import { type CreatePlan, planContainer } from "./container/create-body.ts";
import { type Ended, Gate } from "./container/gate.ts";
import { withUser } from "./container/hardened.ts";
import { makeJobFolder, releaseJobFolder } from "./container/job-folder.ts";
import { type ContainerProfile, containerProfile } from "./container/profile.ts";
import { prove, requireProof } from "./container/prove.ts";
import type { JobMount } from "./container/spec.ts";
import { trustVariables } from "./container/trust.ts";
import { either, sooner } from "./interruption.ts";
import { JobLeaks } from "./job-leaks.ts";
import { JobLog } from "./job-log.ts";
import { connectJob } from "./job-network.ts";
import { JobSecrets } from "./job-secrets.ts";
import type { JobSpec } from "./job-spec.ts";
import type { JobHoldings, JobStore } from "./job-store.ts";
import { JobWatch, type JobWatchParts } from "./job-watch.ts";
import { collectJobWorkspace, type PreparedWorkspace, prepareJobWorkspace, WORKSPACE_TARGET } from "./job-workspace.ts";
import type { LiveJob } from "./live-job.ts";
import { MaskedOutput } from "./masked-output.ts";
import type { ThreatInput } from "./threats/threat.ts";

export interface RunHooks {
  /** Output as it comes. The next piece is taken from the engine when it has settled. */
  readonly onOutput?: (chunk: OutputChunk) => void | Promise<void>;
  /** Standard input of the job, where the spec asks for it. */
  readonly stdin?: NodeJS.ReadableStream | undefined;
  /** The workload waits to be let go until it has settled: its terminal is then as large as it should be. */
  readonly onAttached?: (attachment: Attachment, containerId: string) => void | Promise<void>;
  readonly onStarted?: () => void;
}

/** As the engine showed it when it was decided on. */
export type JobImage = Pick<ImageInspect, "Id" | "Config">;

export interface ContainerRunParts {
  readonly engine: ContainerEngine;
  readonly quota: ResourceQuotaManager;
  readonly networks: NetworkIsolationManager | undefined;
  readonly jobs: JobStore;
  readonly policy: EffectivePolicy;
  readonly clock: Clock;
  readonly watch: JobWatchParts;
  /** Absent: a job that asks for secrets is refused. */
  readonly secrets: SecretReader | undefined;
  /** What a level does about one. */
  readonly threat: (threat: ThreatInput) => Promise<unknown>;
  /** Root's own folder, short: sockets are made below it. */
  readonly folder: string;
  readonly logFile: string;
}

/** How long process 1 has to come to the gate, and waits there for the proof, s. */
const GATE_SECONDS = 30;
/** What is interrupted may end by itself for so long, s. */
const GRACE_SECONDS = 2;
const REMOVE_MS = 60_000;
/** Output that is still on its way when its container is gone, ms. */
const DRAIN_MS = 5000;

/** What a run comes to have, by its id alone: written down before any of it is made. */
export function holdingsOf(jobId: string, folder: string): JobHoldings {
  return { container: containerName(jobId), folder: join(folder, jobId) };
}

export function containerName(jobId: string): string {
  return `cofferdam-${jobId}`;
}

export class ContainerRun {
  readonly #parts: ContainerRunParts;
  readonly #job: LiveJob;
  readonly #spec: JobSpec;
  readonly #hooks: RunHooks;
  #containerId: string | undefined;
  #gate: Gate | undefined;
  #workspace: PreparedWorkspace | undefined;
  #secrets: JobSecrets | undefined;
  #watch: JobWatch | undefined;
  #attachment: Attachment | undefined;
  #output: Promise<void> = Promise.resolve();
  #folder: string | undefined;
  #log: JobLog | undefined;
  readonly #leaks: JobLeaks;
  #mayExist = false;
  #exited = false;
  /** Why it is left frozen, when it is. */
  #kept: string | undefined;

  constructor(parts: ContainerRunParts, job: LiveJob, spec: JobSpec, hooks: RunHooks) {
    this.#parts = parts;
    this.#job = job;
    this.#spec = spec;
    this.#hooks = hooks;
    this.#leaks = new JobLeaks(parts.clock);
  }

  get containerId(): string | undefined {
    return this.#containerId;
  }

  /** Nothing that quota has for the job is in use by its container: no workspace to be unmounted first, nothing kept. */
  get isApart(): boolean {
    return this.#workspace === undefined && this.#kept === undefined;
  }

  /** Its container stays as it is, frozen, after the end of the job. */
  keep(why: string): void {
    this.#kept = why;
  }

  /** Runs the workload to its end. Throws what stopped it; {@link end} must follow in any case. */
  async run(allocation: Allocation, image: JobImage, signal: AbortSignal): Promise<void> {
    const { engine, jobs, networks, quota } = this.#parts;
    const { jobId } = this.#job.identity;
    const imageId = image.Id;
    // Where it must be watched, nothing is made before that is known; elsewhere the sensor comes up while the container does.
    if (this.#parts.watch.monitoring === "require") await JobWatch.ready(this.#parts.watch, this.#job);
    const { body, expected, notes } = await this.#prepare(allocation, image, signal);
    this.#job.refused.push(...notes);
    signal.throwIfAborted();
    this.#mayExist = true;
    const { Id: id } = await engine.containers.create(body, { name: containerName(jobId), signal });
    this.#containerId = id;
    const attaching = engine.containers.attach(id, { tty: body.Tty === true, stdin: this.#spec.stdin === true });
    const waiting = engine.containers.startWait(id, { condition: "next-exit", timeoutMs: REMOVE_MS });
    const [{ exit }, attachment] = await Promise.all([waiting, attaching, this.#secrets?.load()]);
    const over = watchExit(exit);
    this.#attachment = attachment;
    this.#output = this.#follow(this.#attachment);
    await engine.containers.start(id, { signal });
    const gate = this.#openGate();
    const probes = await sooner(gate.arrival(GATE_SECONDS * 1000, either(signal, over.signal)), signal, over.signal);
    const inspect = await engine.containers.inspect(id, { signal });
    const network = await connectJob(networks, this.#job, inspect);
    const proof = prove({ container: inspect, imageId, expected, shim: gate.shim, probes, network });
    this.#job.proof = proof;
    requireProof(proof);
    this.#secrets?.giveTo(proof);
    const hostNetwork = network === undefined ? undefined : networks?.linksPath(jobId);
    const limiting = quota.applyResourceLimits(id, jobId, { inspect, created: true, hostNetwork });
    const watching = JobWatch.begin(this.#parts.watch, this.#job, inspect);
    // Neither is left on its way by the other's failure: the end has to find what they made.
    await Promise.allSettled([limiting, watching]);
    this.#watch = await watching;
    this.#job.limited(await limiting, expected.profile.readOnlyRoot);
    this.#job.applied.push(...proof.held);
    const { files, variables } = this.#job.secrets;
    const record = this.#job.record("JobStarted", "success", {
      ...{ container: id.slice(0, 12), image: imageId, controls: [...proof.held] },
      ...(this.#secrets === undefined ? {} : { secrets: { files: [...files], variables: [...variables] } }),
    });
    await Promise.all([jobs.move(jobId, ["initializing"], "running"), record]);
    signal.throwIfAborted();
    await this.#hooks.onAttached?.(this.#attachment, id);
    this.#job.workloadStarted();
    gate.lastLook(async () => await quota.monitorResourceUsage(jobId));
    const trust = this.#job.network?.authority === undefined ? {} : trustVariables(this.#spec.env ?? {});
    const started = await gate.go({ ...trust, ...this.#secrets?.variables }, signal);
    if (started.kind === "started") {
      this.#hooks.onStarted?.();
      if (this.#spec.stdin === true) this.#hooks.stdin?.pipe(this.#attachment.stdin);
    }
    const lost = over.lost;
    const ended = started.kind === "failed" ? undefined : await sooner(gate.ended(either(signal, lost)), signal, lost);
    if (ended !== undefined) {
      // Process 1 alone is left, and goes. Its engine takes some hundredths of a second to say so.
      this.#job.workloadEnded(exitOf(ended));
      void this.#watch?.end();
    }
    const { exitCode } = await sooner(exit, signal, lost);
    this.#exited = true;
    this.#job.workloadEnded(ended === undefined ? exitCode : exitOf(ended));
    if (exitCode === 128 + 9) this.#job.outOfMemory = (await engine.containers.inspect(id, { signal })).State.OOMKilled;
    await sooner(this.#output, signal, lost);
  }

  /**
   * Ends the container, takes over its results, and takes everything away. Never throws: what is left is in the report, and
   * returned for the book. Idempotent.
   */
  async end(): Promise<JobHoldings> {
    await this.#watch?.end();
    if (this.#kept !== undefined && this.#containerId !== undefined) return this.#leave(this.#containerId, this.#kept);
    const { jobId } = this.#job.identity;
    const { code } = this.#job.stoppedBy ?? {};
    const id = this.#containerId;
    this.#hooks.stdin?.unpipe(this.#attachment?.stdin);
    if (this.#job.started && !this.#exited && id !== undefined && (code === "CANCELLED" || code === "DEADLINE_EXCEEDED"))
      await this.#parts.engine.containers.stop(id, { graceSeconds: GRACE_SECONDS, timeoutMs: 1000 * GRACE_SECONDS + 5000 }).catch(() => false);
    if (this.#job.started) this.#job.workloadEnded(this.#job.exit);
    // By its name too: a create that was cut off may have made it all the same.
    const removed = this.#mayExist
      ? this.#job.attempt("container", async () => {
          await removeContainer(this.#parts.engine, id ?? containerName(jobId));
          this.#containerId = undefined;
          this.#mayExist = false;
        })
      : undefined;
    // The shim ends with its gate, also where the engine does not answer.
    this.#gate?.close();
    await removed;
    await this.#takeSecrets();
    await Promise.race([this.#output, new Promise((resolve) => setTimeout(resolve, DRAIN_MS).unref())]);
    this.#attachment?.close();
    this.#log?.close();
    if (this.#log !== undefined) this.#job.log = this.#log.facts;
    if (!this.#mayExist && this.#job.started) await this.#job.attempt("results", () => this.#collect());
    if (this.#job.started)
      await this.#job.attempt("look for leaked secrets", async () => {
        this.#job.leaks = await this.#leaks.end(this.#parts.policy, jobId);
      });
    const folder = this.#folder;
    if (folder !== undefined)
      await this.#job.attempt("folder", async () => {
        await releaseJobFolder(folder);
        this.#folder = undefined;
      });
    return { container: this.#mayExist ? containerName(jobId) : undefined, folder: this.#folder };
  }

  /** Evidence: processes stand where they were, and what they had open and mounted with them. */
  async #leave(id: string, why: string): Promise<JobHoldings> {
    this.#attachment?.close();
    this.#log?.close();
    if (this.#log !== undefined) this.#job.log = this.#log.facts;
    this.#job.leftBehind.push({ what: `container ${id.slice(0, 12)}, frozen`, why });
    // What it read it may still have in its memory; what it did not, nobody reads any more.
    await this.#takeSecrets();
    return { container: containerName(this.#job.identity.jobId), folder: this.#folder, kept: why };
  }

  async #takeSecrets(): Promise<void> {
    const secrets = this.#secrets;
    if (secrets !== undefined) await this.#job.attempt("secrets", async () => await secrets.close());
  }

  async #prepare(allocation: Allocation, { Id: imageId, Config: imageConfig }: JobImage, signal: AbortSignal): Promise<CreatePlan> {
    const { engine, policy, quota, logFile } = this.#parts;
    const { jobId, level } = this.#job.identity;
    const folder = join(this.#parts.folder, jobId);
    this.#folder = makeJobFolder(this.#parts.folder, jobId);
    this.#log = new JobLog(logFile, policy.values["jobs.log"]);
    const usual = containerProfile(level, policy.values["jobs.profile"], process.arch === "arm64" ? "arm64" : "x64");
    const gate = join(folder, "gate");
    this.#gate = await Gate.open(gate, this.#job.network?.gateway, this.#job.network?.authority);
    const { command, env = {}, user, tty = false, stdin = false, workspace, workingDir } = this.#spec;
    const limits = quota.createLimits(allocation);
    const place = workingDir ?? (workspace === undefined ? undefined : (workspace.target ?? WORKSPACE_TARGET));
    const asked = { jobId, imageId, command, env, user, tty, stdin, limits, mounts: [], scratch: [], workingDir: place };
    const container = await withUser(engine, asked, imageConfig.User ?? "", usual, signal);
    const secretParts = { reader: this.#parts.secrets, policy, clock: this.#parts.clock, job: this.#job, folder };
    if (JobSecrets.areAsked(secretParts, this.#spec.secrets)) this.#secrets = await JobSecrets.prepare(secretParts, this.#spec.secrets);
    const secrets = this.#secrets === undefined ? [] : [this.#secrets.mount];
    // What the engine would keep of its output is what it says itself, with its secrets.
    const profile: ContainerProfile = this.#secrets === undefined ? usual : { ...usual, log: { type: "none", config: {} } };
    const plan = (mounts: readonly JobMount[]): CreatePlan =>
      planContainer({ container: { ...container, mounts: [...secrets, ...mounts] }, profile, imageConfig, folder, gate, waitSeconds: GATE_SECONDS });
    if (workspace === undefined) return plan([]);
    // Who the job is decides whose the workspace is, and does not depend on it.
    const who = plan([]).expected.user ?? { uid: 0, gid: 0 };
    this.#workspace = await prepareJobWorkspace({ jobId, asked: workspace, profile, who, allocation, quota, folder }, signal);
    this.#job.workspace = { mode: this.#workspace.mode, path: this.#workspace.path, leftOut: [] };
    return plan([this.#workspace.workspace.mount]);
  }

  #openGate(): Gate {
    if (this.#gate === undefined) throw new CofferdamError("INTERNAL", "a container without a gate");
    return this.#gate;
  }

  async #collect(): Promise<void> {
    const workspace = this.#workspace;
    this.#workspace = undefined;
    if (workspace === undefined) return;
    const { outcome, written } = await collectJobWorkspace(workspace);
    this.#job.workspace = outcome;
    if (outcome.mode === "bind") this.#leaks.leaveOut("the mounted folder");
    else await this.#leaks.look(workspace.workspace.mount.source, written, (outcome.copiedOut?.files ?? 0) - written.length);
  }

  async #follow({ output }: Attachment): Promise<void> {
    const canaries = new CanaryWatch(this.#job.canaries, (source) => this.#canarySeen(source));
    const masked = new MaskedOutput(this.#job.masks, async (chunk) => {
      this.#log?.write(chunk.bytes);
      this.#leaks.heard(chunk.bytes);
      await this.#hooks.onOutput?.(chunk);
    });
    try {
      for await (const chunk of output) {
        canaries.heard(chunk);
        await masked.write(chunk);
      }
    } catch {
      // The end of a container may cut its stream; what came is kept, and how it ended is told elsewhere.
    }
    await masked.end().catch(() => undefined);
  }

  #canarySeen(source: string): void {
    const { jobId } = this.#job.identity;
    const threat = { type: "canary_seen", severity: "critical", source: "masking", jobId, details: { where: source } } as const;
    this.#parts.threat(threat).catch((error: unknown) => this.#job.remains("a canary was seen", error));
  }
}

/** As a shell has it. */
function exitOf({ exit, signal }: Ended): number | undefined {
  return exit ?? (signal === undefined ? undefined : 128 + signal);
}

/** @returns whether there was one. */
export async function removeContainer(engine: ContainerEngine, idOrName: string): Promise<boolean> {
  try {
    await engine.containers.remove(idOrName, { force: true, volumes: true, timeoutMs: REMOVE_MS });
    return true;
  } catch (error) {
    if (error instanceof CofferdamError && error.code === "NOT_FOUND") return false;
    throw error;
  }
}

interface ExitWatch {
  /** Aborted with the container's end. */
  readonly signal: AbortSignal;
  /** Aborted when nobody can tell any more how it ends: the engine is gone. */
  readonly lost: AbortSignal;
}

function watchExit(exit: Promise<ContainerExit>): ExitWatch {
  const over = new AbortController();
  const lost = new AbortController();
  exit.then(
    ({ exitCode, error }) => {
      const why = error === undefined ? "" : `: ${error.slice(0, 200)}`;
      over.abort(
        new CofferdamError("SECURITY_VIOLATION", `the container ended before it was proven (exit ${exitCode}${why})`, {
          details: { control: "proven-before-start" },
        }),
      );
    },
    (error: unknown) => {
      const why = new CofferdamError("UPSTREAM_UNAVAILABLE", `the container engine is gone: ${messageOf(error).slice(0, 300)}`, { cause: error });
      lost.abort(why);
      over.abort(why);
    },
  );
  return { signal: over.signal, lost: lost.signal };
}

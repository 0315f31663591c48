/**
 * One job's container from its making to its end, in the order of its promise: written down, prepared, created, started with
 * the gate shut, proven, let go, watched, collected. Whatever fails ends it there; nothing is left that the store does not name.
 */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { Attachment, ContainerEngine, OutputChunk } from "../engine/index.ts";
import { CofferdamError, formatDuration } from "../foundation/index.ts";
import type { EffectivePolicy } from "../policy/index.ts";
import type { Allocation, ResourceQuotaManager } from "../quota/index.ts";
import { planContainer } from "./container/create-body.ts";
import { Gate } from "./container/gate.ts";
import { makeJobFolder, releaseJobFolder } from "./container/job-folder.ts";
import { type ContainerProfile, containerProfile, UNPRIVILEGED } from "./container/profile.ts";
import { prove, requireProof } from "./container/prove.ts";
import type { JobMount } from "./container/spec.ts";
import { Workspace } from "./container/workspace.ts";
import { JobLog } from "./job-log.ts";
import type { JobSpec } from "./job-spec.ts";
import type { JobStore } from "./job-store.ts";
import type { LiveJob } from "./live-job.ts";

export interface RunHooks {
  readonly onOutput?: (chunk: OutputChunk) => void;
  /** Standard input of the job, where the spec asks for it. */
  readonly stdin?: NodeJS.ReadableStream | undefined;
  readonly onAttached?: (attachment: Attachment, containerId: string) => void;
  readonly onStarted?: () => void;
}

export interface ContainerRunParts {
  readonly engine: ContainerEngine;
  readonly quota: ResourceQuotaManager;
  readonly jobs: JobStore;
  readonly policy: EffectivePolicy;
  /** Root's own folder, short: sockets are made below it. */
  readonly folder: string;
  readonly logs: string;
}

/** How long process 1 has to come to the gate, and waits there for the proof, s. */
const GATE_SECONDS = 30;
const COLLECT_TIMEOUT = 120_000;
const MAX_ENTRIES = 1_000_000;
const TARGET = "/workspace";

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
  #workspace: Workspace | undefined;
  #attachment: Attachment | undefined;
  #folder: string | undefined;
  #log: JobLog | undefined;

  constructor(parts: ContainerRunParts, job: LiveJob, spec: JobSpec, hooks: RunHooks) {
    this.#parts = parts;
    this.#job = job;
    this.#spec = spec;
    this.#hooks = hooks;
  }

  get containerId(): string | undefined {
    return this.#containerId;
  }

  /** Runs the workload to its end. Throws what stopped it; {@link end} must follow in any case. */
  async run(allocation: Allocation, imageId: string, signal: AbortSignal): Promise<void> {
    const { engine, jobs, policy, quota } = this.#parts;
    const { jobId } = this.#job.identity;
    const name = containerName(jobId);
    const folder = join(this.#parts.folder, jobId);
    // First what will be there, then the making of it: a killed process leaves nothing that nobody knows of.
    await jobs.hold(jobId, { container: name, folder });
    makeJobFolder(this.#parts.folder, jobId);
    this.#folder = folder;
    this.#log = new JobLog(join(this.#parts.logs, `${jobId}.log`), policy.values["jobs.log"]);
    const profile = containerProfile(this.#job.identity.level, policy.values["jobs.profile"], process.arch === "arm64" ? "arm64" : "x64");
    const image = await engine.images.inspect(imageId, { signal });
    this.#gate = await Gate.open(join(folder, "gate"));
    const plan = (mounts: readonly JobMount[]): ReturnType<typeof planContainer> =>
      planContainer({
        container: {
          ...{ jobId, imageId, command: this.#spec.command, env: this.#spec.env ?? {}, user: this.#spec.user, tty: this.#spec.tty === true },
          ...{ stdin: this.#spec.stdin === true, limits: quota.createLimits(allocation), mounts, scratch: [] },
          workingDir: this.#spec.workingDir ?? (this.#spec.workspace === undefined ? undefined : (this.#spec.workspace.target ?? TARGET)),
        },
        ...{ profile, imageConfig: image.Config, folder, gate: join(folder, "gate"), waitSeconds: GATE_SECONDS },
      });
    // Who the job is decides whose the workspace is, and does not depend on it.
    const who = plan([]).expected.user ?? { uid: 0, gid: 0 };
    await this.#prepareWorkspace(profile, who, allocation, signal);
    const { body, expected, notes } = plan(this.#workspace === undefined ? [] : [this.#workspace.mount]);
    this.#job.refused.push(...notes);
    const created = await engine.containers.create(body, { name, signal });
    this.#containerId = created.Id;
    const { exit } = await engine.containers.startWait(created.Id, { condition: "next-exit", timeoutMs: 60_000 });
    exit.catch(() => undefined);
    this.#attachment = await engine.containers.attach(created.Id, { tty: body.Tty === true, stdin: this.#spec.stdin === true, signal });
    const output = this.#follow(this.#attachment);
    await engine.containers.start(created.Id, { signal });
    const probes = await this.#gate.arrival(GATE_SECONDS * 1000, signal);
    await quota.applyResourceLimits(created.Id, jobId);
    const proof = prove({ container: await engine.containers.inspect(created.Id, { signal }), imageId, expected, shim: this.#gate.shim, probes });
    this.#job.proof = proof;
    requireProof(proof);
    this.#job.applied.push(...proof.held);
    await jobs.move(jobId, ["ready"], "running");
    await this.#job.record("JobStarted", "success", { container: created.Id.slice(0, 12), image: imageId, controls: [...proof.held] });
    signal.throwIfAborted();
    const started = await this.#gate.go({}, signal);
    if (started.kind === "failed") {
      this.#job.workloadStarted();
      this.#job.workloadEnded(started.errno === 2 ? 127 : 126);
      return;
    }
    this.#job.workloadStarted();
    this.#hooks.onStarted?.();
    this.#feed(this.#attachment);
    const ended = await this.#gate.ended(signal);
    const { exitCode } = await raced(exit, signal);
    this.#job.workloadEnded(ended?.exit ?? (ended?.signal === undefined ? exitCode : 128 + ended.signal));
    await output;
  }

  /** Ends the container, takes over its results, and takes everything away. Never throws: what is left is in the report. Idempotent. */
  async end(): Promise<void> {
    const { engine, jobs } = this.#parts;
    const { jobId } = this.#job.identity;
    const id = this.#containerId;
    this.#attachment?.close();
    if (this.#job.started) this.#job.workloadEnded(this.#job.exit);
    // By its name too: a create that was cut off may have made it all the same.
    await this.#try("container", async () => {
      try {
        await engine.containers.remove(id ?? containerName(jobId), { force: true, volumes: true, timeoutMs: 60_000 });
      } catch (error) {
        if (!(error instanceof CofferdamError && error.code === "NOT_FOUND")) throw error;
      }
      this.#containerId = undefined;
    });
    this.#gate?.close();
    this.#log?.close();
    if (this.#log !== undefined) this.#job.log = this.#log.facts;
    if (this.#containerId === undefined && this.#job.started) await this.#try("results", () => this.#collect());
    const folder = this.#folder;
    if (folder !== undefined) {
      await this.#try("folder", async () => {
        await releaseJobFolder(folder);
        this.#folder = undefined;
      });
    }
    if (this.#containerId === undefined && this.#folder === undefined) await this.#try("record", () => jobs.hold(jobId, {}));
  }

  async #prepareWorkspace(profile: ContainerProfile, who: { uid: number; gid: number }, allocation: Allocation, signal: AbortSignal): Promise<void> {
    const asked = this.#spec.workspace;
    if (asked === undefined) {
      this.#job.disk = {
        resource: "disk",
        by: profile.readOnlyRoot ? "kernel" : "none",
        ...(profile.readOnlyRoot ? {} : { note: "the image's own layer is not bounded" }),
      };
      return;
    }
    const path = realpathSync(asked.path);
    const { jobId } = this.#job.identity;
    const copy = profile.workspace === "copy" || asked.mode === "copy" || (asked.mode === undefined && process.getuid?.() === 0);
    const quota = copy && allocation.limits.disk !== undefined ? await this.#parts.quota.createWorkspace(jobId, who) : undefined;
    if (quota !== undefined)
      this.#job.disk = {
        resource: "disk",
        by: quota.enforcement === "enforced" ? "kernel" : "watched",
        ...(quota.why === undefined ? {} : { note: quota.why }),
      };
    else this.#job.disk = { resource: "disk", by: "none", note: copy ? "no disk limit was set" : "a bound folder is not bounded in size" };
    this.#workspace = await Workspace.prepare(
      {
        ...{ mode: copy ? ("copy" as const) : ("bind" as const), place: { root: "/", path: path.slice(1) || "." }, target: asked.target ?? TARGET },
        ...{ readOnly: asked.readOnly === true, who: who.uid === 0 && profile.nonRoot ? UNPRIVILEGED : who, folder: join(this.#parts.folder, jobId) },
        ...{ into: quota?.path, bounds: { bytes: allocation.limits.disk ?? 10 * 2 ** 30, entries: MAX_ENTRIES } },
      },
      signal,
    );
    this.#job.workspace = { mode: copy ? "copy" : "bind", path, leftOut: [] };
  }

  async #collect(): Promise<void> {
    const workspace = this.#workspace;
    if (workspace === undefined) return;
    this.#workspace = undefined;
    const { written, refused, planted, more } = await workspace.collect(AbortSignal.timeout(COLLECT_TIMEOUT));
    this.#job.workspace = {
      ...this.#job.workspace,
      ...(this.#job.workspace.mode === "copy" ? { copiedOut: { files: written.length + more, bytes: 0 } } : {}),
      leftOut: [...refused, ...planted.map((path) => ({ path, why: "a later command may run it: look at it" }))],
    };
  }

  async #follow({ output }: Attachment): Promise<void> {
    try {
      for await (const chunk of output) {
        this.#log?.write(chunk.bytes);
        this.#hooks.onOutput?.(chunk);
      }
    } catch {
      // The end of a container may cut its stream; what came is kept, and how it ended is told elsewhere.
    }
  }

  #feed({ stdin }: Attachment): void {
    if (this.#spec.stdin === true) this.#hooks.stdin?.pipe(stdin);
  }

  async #try(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#job.leftBehind.push({ what, why: (error instanceof Error ? error.message : String(error)).slice(0, 500) });
    }
  }
}

/** The engine's answer, or the end of our patience: a stopped daemon answers nothing. */
async function raced<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    const fail = (): void => reject(signal.reason instanceof CofferdamError ? signal.reason : new CofferdamError("CANCELLED", "interrupted"));
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
  return await Promise.race([answer, aborted]);
}

/** Aborted by the caller, or when the time is over. */
export function withDeadline(signal: AbortSignal, ms: number): { readonly signal: AbortSignal; done(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new CofferdamError("DEADLINE_EXCEEDED", `the job ran longer than ${formatDuration(ms)}`)), ms);
  return { signal: AbortSignal.any([signal, controller.signal]), done: () => clearTimeout(timer) };
}

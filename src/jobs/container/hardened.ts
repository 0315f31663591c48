/**
 * A job's container, in the order that matters: created with what its level asks, started with the shim as its only program,
 * proven from the kernel, and only then let go. Whatever fails on the way, the container and everything it was given is gone.
 */
import type { ContainerEngine, ContainerExit, ContainerInspect } from "../../engine/index.ts";
import { CofferdamError } from "../../foundation/index.ts";
import { type CreatePlan, planContainer } from "./create-body.ts";
import { type Ended, Gate, type Probes, type Started } from "./gate.ts";
import { resolveImageUser } from "./image-user.ts";
import { releaseJobFolder } from "./job-folder.ts";
import type { ContainerProfile } from "./profile.ts";
import { type Proof, type ProvenNetwork, prove, requireProof } from "./prove.ts";
import type { JobContainer } from "./spec.ts";

export interface HardenedRequest {
  readonly container: JobContainer;
  readonly profile: ContainerProfile;
  /** From {@link makeJobFolder}. It goes with {@link HardenedContainer.remove}. */
  readonly folder: string;
  /** Name that the engine shows; absent: one that it makes up. */
  readonly name?: string | undefined;
  /** How long process 1 may wait for {@link HardenedContainer.go}, seconds (60). Then the container ends with 125. */
  readonly waitSeconds?: number | undefined;
  /** Of its network, where it gets one in {@link HardenedContainer.start}. */
  readonly nameServer?: string | undefined;
}

const WAIT_SECONDS = 60;
/** A shim that is started connects in milliseconds; a busy engine takes longer. */
const ARRIVAL_MS = 30_000;

export class HardenedContainer {
  readonly id: string;
  readonly plan: CreatePlan;
  readonly #engine: ContainerEngine;
  readonly #gate: Gate;
  readonly #folder: string;
  readonly #imageId: string;
  #proof: Proof | undefined;
  #exit: Promise<ContainerExit> | undefined;

  private constructor(engine: ContainerEngine, id: string, plan: CreatePlan, gate: Gate, request: HardenedRequest) {
    this.#engine = engine;
    this.id = id;
    this.plan = plan;
    this.#gate = gate;
    this.#folder = request.folder;
    this.#imageId = request.container.imageId;
  }

  /**
   * Created, not started. Attach and mount between this and {@link start}. Throws as {@link planContainer} does, and NOT_FOUND
   * for an image that is not there: nothing is ever pulled. After a throw the folder is gone.
   */
  static async create(engine: ContainerEngine, request: HardenedRequest, signal: AbortSignal): Promise<HardenedContainer> {
    const { profile, folder, name, waitSeconds = WAIT_SECONDS, nameServer } = request;
    let gate: Gate | undefined;
    try {
      const image = await engine.images.inspect(request.container.imageId, { signal });
      if (image.Id !== request.container.imageId)
        throw new CofferdamError("SECURITY_VIOLATION", `the engine has another image under this id: ${image.Id}`, { details: { control: "image" } });
      const container = await withUser(engine, request.container, image.Config.User ?? "", profile, signal);
      gate = await Gate.open(`${folder}/gate`, nameServer);
      const plan = planContainer({ container, profile, imageConfig: image.Config, folder, gate: `${folder}/gate`, waitSeconds });
      const { Id } = await engine.containers.create(plan.body, { signal, name });
      return new HardenedContainer(engine, Id, plan, gate, request);
    } catch (error) {
      gate?.close();
      await releaseJobFolder(folder);
      throw error;
    }
  }

  /** The proof of the run, once it was started. */
  get proof(): Proof | undefined {
    return this.#proof;
  }

  /**
   * Starts it, waits for the shim and proves. The workload does not run yet. @param connect gives it its network. Throws SECURITY_VIOLATION with every control that
   * differs; after a throw the container is gone.
   */
  async start(signal: AbortSignal, connect?: (container: ContainerInspect) => Promise<ProvenNetwork | undefined>): Promise<Proof> {
    try {
      const probes = await this.#arrive(signal);
      const container = await this.#engine.containers.inspect(this.id, { signal });
      const network = await connect?.(container);
      this.#proof = prove({ container, imageId: this.#imageId, expected: this.plan.expected, shim: this.#gate.shim, probes, network });
      requireProof(this.#proof);
      return this.#proof;
    } catch (error) {
      await this.remove();
      throw error;
    }
  }

  /** Lets the workload run. @param variables only it gets them. Throws FAILED_PRECONDITION without a proof that holds. */
  go(variables: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Started> {
    if (this.#proof?.controls.every(({ ok }) => ok) !== true)
      throw new CofferdamError("FAILED_PRECONDITION", "the container is not proven: nothing runs in it", { details: { control: "proven-before-start" } });
    return this.#gate.go(variables, signal);
  }

  /** The container's end as the engine tells it, with all of its output written. Throws FAILED_PRECONDITION before {@link start}. */
  exit(): Promise<ContainerExit> {
    if (this.#exit === undefined) throw new CofferdamError("FAILED_PRECONDITION", "the container was not started");
    return this.#exit;
  }

  /** The workload's own end; undefined when its process 1 was killed (out of memory, by us) and could not tell. */
  ended(signal: AbortSignal): Promise<Ended | undefined> {
    return this.#gate.ended(signal);
  }

  /** Ends and removes it, its anonymous volumes and its folder. Idempotent: what is gone is fine. */
  async remove(): Promise<void> {
    this.#gate.close();
    try {
      await this.#engine.containers.remove(this.id, { force: true, volumes: true });
    } catch (error) {
      if (!(error instanceof CofferdamError && error.code === "NOT_FOUND")) throw error;
    } finally {
      await releaseJobFolder(this.#folder);
    }
  }

  /** Process 1 at the gate, or the container's end before that: then it was not the shim, or not process 1. */
  async #arrive(signal: AbortSignal): Promise<Probes> {
    this.#exit = (await this.#engine.containers.startWait(this.id, { condition: "next-exit" })).exit;
    const over = new AbortController();
    this.#exit.then(
      ({ exitCode }) => over.abort(exitCode),
      () => over.abort("unknown"),
    );
    await this.#run(signal);
    try {
      return await this.#gate.arrival(ARRIVAL_MS, AbortSignal.any([signal, over.signal]));
    } catch (error) {
      if (!over.signal.aborted || signal.aborted) throw error;
      throw new CofferdamError("SECURITY_VIOLATION", `the container ended before it was proven (exit ${String(over.signal.reason)})`, {
        details: { control: "proven-before-start" },
        cause: error,
      });
    }
  }

  /** The entry point is always our own shim: when that cannot be executed, it is the place that it lies in. */
  async #run(signal: AbortSignal): Promise<void> {
    try {
      await this.#engine.containers.start(this.id, { signal });
    } catch (error) {
      if (!(error instanceof CofferdamError && error.code === "INVALID_ARGUMENT")) throw error;
      throw new CofferdamError("ENVIRONMENT_UNFIT", `the engine cannot start the shim from ${this.#folder}: ${error.message}`, {
        hint: "the folder for jobs must be on a file system without noexec, and the engine must see it",
        cause: error,
      });
    }
  }
}

/** With the image's own user as numbers, where the job names none: names are the image's, and may lie. */
export async function withUser(
  engine: ContainerEngine,
  container: JobContainer,
  user: string,
  profile: ContainerProfile,
  signal: AbortSignal,
): Promise<JobContainer> {
  if (container.user !== undefined || user === "" || /^\d+:\d+$/.test(user)) return container;
  const { uid, gid, home } = await resolveImageUser(engine, container.imageId, user, signal);
  if (profile.nonRoot && (uid === 0 || gid === 0)) return container;
  const env = home === undefined || profile.readOnlyRoot || Object.hasOwn(container.env, "HOME") ? container.env : { HOME: home, ...container.env };
  return { ...container, user: { uid, gid }, env };
}

/** What is done to one watched container: it stands still, what it did is kept, it goes on or ends. Without asking its engine. */
import { join } from "node:path";
import { CofferdamError, newId } from "../../foundation/index.ts";
import type { ProcessEvent } from "../event.ts";
import { changedFiles, freeze, isFrozen, type KeptEvidence, keepEvidence, orderFreeze, processesOf, snapshotOf, thaw } from "../response/index.ts";
import type { WatchedContainer } from "./watched-container.ts";

/** When a container was stopped, and how long after the act. */
export interface FrozenAt {
  /** Unix time, ms. */
  readonly at: number;
  /** ms between the event in the kernel and the order to stop; undefined where it was not at once. */
  readonly afterMs: number | undefined;
}

export interface ResponseParts {
  readonly watched: WatchedContainer;
  /** Its process 1, by number on this host. */
  readonly pid: number;
  /** Its own layer, where its file system is an overlay. */
  readonly upper: string | undefined;
}

/** Time that its changed files are looked for, ms. */
const WALK_MS = 5000;
/** Times that one container is kept: what stands still is the same for the next threat. */
const MOST_KEPT = 3;

export class ContainerResponse {
  readonly #parts: ResponseParts;
  /** For a threat. */
  #frozen: FrozenAt | undefined;
  /** Since nobody watches it. */
  #held: AbortController | undefined;
  #kept = 0;

  constructor(parts: ResponseParts) {
    this.#parts = parts;
  }

  /** The order alone, before anybody is told: what is told is written to disks, and meanwhile it would go on. Never throws. */
  orderAtOnce(event: ProcessEvent | undefined): void {
    const { cgroup, clock } = this.#parts.watched.parts;
    if (this.#frozen !== undefined) return;
    try {
      orderFreeze(cgroup);
      const now = clock.now();
      this.#frozen = { at: now, afterMs: event === undefined ? undefined : Math.max(0, now - event.time) };
    } catch {
      // Whoever carries the answer out asks for it again, and says what failed.
    }
  }

  /** Returns when every process stands. Throws NOT_FOUND, ENVIRONMENT_UNFIT, DEADLINE_EXCEEDED. */
  async freeze(): Promise<FrozenAt> {
    const { cgroup, clock } = this.#parts.watched.parts;
    await freeze(cgroup);
    this.#frozen ??= { at: clock.now(), afterMs: undefined };
    return this.#frozen;
  }

  /** Throws NOT_FOUND. */
  thaw(): void {
    if (this.#held === undefined) thaw(this.#parts.watched.parts.cgroup);
    this.#frozen = undefined;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** It stands still until {@link release}; for a threat longer. Never throws: that nobody watched is told in any case. */
  hold(): void {
    if (this.#held !== undefined) return;
    const { cgroup } = this.#parts.watched.parts;
    try {
      orderFreeze(cgroup);
    } catch {
      return;
    }
    this.#held = new AbortController();
    freeze(cgroup, this.#held.signal).catch(() => undefined);
  }

  /** Never throws. */
  release(): void {
    if (this.#held === undefined) return;
    this.#held.abort();
    this.#held = undefined;
    if (this.#frozen !== undefined) return;
    try {
      thaw(this.#parts.watched.parts.cgroup);
    } catch {
      // It is gone.
    }
  }

  /** Processes, changed files, last events, in a file of `folder`. Throws RESOURCE_EXHAUSTED after the third time, the system's error. */
  async keep(folder: string, threat: object | undefined, signal: AbortSignal): Promise<KeptEvidence> {
    if (this.#kept >= MOST_KEPT) throw new CofferdamError("RESOURCE_EXHAUSTED", `this container was kept ${MOST_KEPT} times already`);
    this.#kept++;
    const { watched, upper } = this.#parts;
    const { cgroup, containerId, jobId, mask, clock } = watched.parts;
    const processes = snapshotOf(processesOf(cgroup));
    const files = await changedFiles(upper, AbortSignal.any([signal, AbortSignal.timeout(WALK_MS)]));
    return await keepEvidence(
      {
        ...{ schema: "cofferdam/evidence/v1", threat: threat === undefined ? null : JSON.parse(JSON.stringify(threat)), container: containerId, job: jobId },
        ...{ takenAt: new Date(clock.now()).toISOString(), frozen: isFrozen(cgroup), ...processes, changedFiles: files },
        ...{ events: watched.recent.texts(), lost: watched.lost },
      },
      join(folder, `${jobId.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 80)}-${newId("evi").slice(4)}.json`),
      mask,
    );
  }

  /** Throws NOT_FOUND. */
  kill(): void {
    const { pid, watched } = this.#parts;
    const { cgroup, containerId } = watched.parts;
    // It may be gone, and its number another's: only a process that is still in the container's group is ended.
    if (!processesOf(cgroup).includes(pid)) throw new CofferdamError("NOT_FOUND", `process 1 of container ${containerId.slice(0, 12)} is gone`);
    process.kill(pid, "SIGKILL");
    // With control groups of version 1 a stopped process cannot even die.
    if (cgroup.freezer === "v1") thaw(cgroup);
  }
}

/**
 * ResourceQuotaManager: who gets how much of this host, that the kernel holds them to it, and what they used. Admission is
 * one transaction of the store, so that any number of processes share one pool.
 */
import { EventEmitter } from "node:events";
import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { ContainerInspect } from "../engine/index.ts";
import { type Clock, CofferdamError, errnoOf, formatBytes, type Owner, ownIdentity, parseInput, startOf, systemClock } from "../foundation/index.ts";
import { SqliteStore, type Store } from "../store/index.ts";
import type { Allocation, Reservation } from "./allocation.ts";
import { applyLimits, liveContainer, type QuotaEngine } from "./apply.ts";
import { type ContainerLimits, createLimits, type LimitsTarget } from "./container-limits.ts";
import type { WorkspaceOwner } from "./disk/image.ts";
import { type Workspace, Workspaces } from "./disk/workspaces.ts";
import { type AppliedLimits, type QuotaEvents, tell } from "./events.ts";
import { Ledger, type LedgerChange } from "./ledger.ts";
import { type Entry, refusalOf } from "./ledger-session.ts";
import { type Capacity, hostCapacity, poolOf } from "./pool.ts";
import {
  jobIdSchema,
  layersOf,
  type ParsedOptions,
  type ParsedRequest,
  poolSettingsOf,
  quotaOptionsSchema,
  type ResourceQuotaOptions,
  type ResourceRequest,
  resourceRequestSchema,
} from "./settings.ts";
import { type QuotaStatus, statusOf } from "./status.ts";
import { forgetTarget, type KnownTarget, loadTarget, saveTarget } from "./targets.ts";
import { type QuotaLayers, settle } from "./tiers.ts";
import { ALERTS, JobWatch, type ResourceUsage } from "./usage/job-watch.ts";
import { Monitor } from "./usage/monitor.ts";
import { ownCgroup, sourceOf } from "./usage/target.ts";
import { lastViolations, recordViolation } from "./violations.ts";
import { Waiting } from "./waiting.ts";

interface Opened {
  readonly self: Owner;
  readonly capacity: Capacity;
  readonly pool: Capacity;
  readonly layers: QuotaLayers;
  readonly ledger: Ledger;
  readonly waiting: Waiting;
  readonly monitor: Monitor;
  readonly workspaces: Workspaces | undefined;
  readonly heartbeat: NodeJS.Timeout;
}

/** What a job had, and what it used of it in the end where it was watched. */
export interface ReleasedResources {
  readonly allocation: Allocation;
  readonly usage?: ResourceUsage | undefined;
  /** Its workspace was removed; something still has it open when `lingering`. */
  readonly workspace?: { readonly lingering: boolean } | undefined;
}

/** Of a container that is to be limited. */
export interface KnownContainer {
  /** As the engine showed it since it was started. */
  readonly inspect?: ContainerInspect | undefined;
  /** It was created with {@link ResourceQuotaManager.createLimits} of this allocation: there is nothing to set, only to prove. */
  readonly created?: boolean | undefined;
  /** Network namespace with the host's ends of its interfaces, where that is another one than the manager's option says. */
  readonly hostNetwork?: string | undefined;
}

/** Two samples make a rate; for a job that another process watches, both are taken now, this far apart, ms. */
const WINDOW = 250;
const SHOWN_VIOLATIONS = 20;

/**
 * @example
 * ```ts
 * const quota = new ResourceQuotaManager(engine, { store });
 * await quota.initialize();
 * const allocation = await quota.allocateResources("job123", { priority: "high", requestedResources: { cpu: "2.0", memory: "4GB" } });
 * const { Id } = await engine.containers.create({ Image: "app", HostConfig: quota.createLimits(allocation) });
 * await engine.containers.start(Id);
 * await quota.applyResourceLimits(Id, "job123");
 * const { cpu, memory } = await quota.monitorResourceUsage("job123");
 * await quota.releaseResources("job123");
 * ```
 */
export class ResourceQuotaManager {
  readonly events: EventEmitter<QuotaEvents> = new EventEmitter();
  readonly #engine: QuotaEngine | undefined;
  readonly #options: ParsedOptions;
  readonly #store: Store;
  readonly #ownsStore: boolean;
  readonly #clock: Clock;
  readonly #slots: number;
  /** Jobs that this process holds, as far as it knows. */
  readonly #held = new Set<string>();
  #opened: Opened | undefined;

  /**
   * Does nothing to the machine yet. Throws INVALID_ARGUMENT, with what was probably meant.
   * @param dockerAPI the engine whose containers are limited; without one there is admission, workspaces and processes alone.
   */
  constructor(dockerAPI?: QuotaEngine, options: ResourceQuotaOptions = {}) {
    this.#engine = dockerAPI;
    this.#options = parseInput(quotaOptionsSchema, options, "options of ResourceQuotaManager");
    this.#clock = this.#options.clock ?? systemClock;
    this.#ownsStore = this.#options.store === undefined;
    this.#store = this.#options.store ?? new SqliteStore({ clock: this.#clock });
    this.#slots = this.#options.slots ?? availableParallelism();
  }

  /** Opens the book, and takes back what processes had that are gone: reservations, and workspaces. Idempotent. */
  async initialize(): Promise<void> {
    if (this.#opened !== undefined) return;
    const { lease = 120_000, workspaces: folder, monitoringInterval = 1000 } = this.#options;
    const [self, store, clock] = [ownIdentity(), this.#store, this.#clock];
    const ledger = new Ledger({ store, self, clock, lease, changed: (change) => this.#changed(change) });
    await ledger.initialize();
    const workspaces = folder === undefined ? undefined : new Workspaces({ store, ledger, host: self.host, folder });
    await workspaces?.removeForgotten();
    const capacity = hostCapacity(folder ?? "/", await workspaces?.onHost());
    const pool = poolOf(capacity, poolSettingsOf(this.#options));
    await ledger.open(pool);
    const monitor = new Monitor({
      events: this.events,
      clock,
      interval: monitoringInterval,
      thresholds: { ...ALERTS, ...this.#options.alerts },
      record: (violation) => recordViolation(store, violation, clock.now()),
    });
    // One that fails is made up for by the next; all of them failing for the lease shows as allocationsLost.
    const heartbeat = setInterval(() => void ledger.signOfLife().catch(() => undefined), lease / 4).unref();
    const layers = layersOf(this.#options, pool, this.#slots);
    this.#opened ??= { self, capacity, pool, layers, ledger, waiting: new Waiting(ledger), monitor, workspaces, heartbeat };
  }

  /**
   * Reserves what a job needs. Limits come from default < organisation < repository < job, each under the ceilings above it.
   * Throws RESOURCE_EXHAUSTED saying what is free (or, with `wait`, DEADLINE_EXCEEDED when its turn did not come, and what
   * `signal` was aborted with), CONFLICT for a job that has resources already, INVALID_ARGUMENT for nonsense.
   */
  async allocateResources(jobId: string, request: ResourceRequest = {}): Promise<Allocation> {
    const { ledger, waiting } = this.#open();
    const parsed = parseInput(resourceRequestSchema, request, "request of allocateResources");
    parsed.signal?.throwIfAborted();
    const entry = this.#entry(parseInput(jobIdSchema, jobId, "job id"), parsed);
    const decision = await ledger.admit(entry);
    switch (decision.kind) {
      case "held":
        return this.#allocated(decision.allocation);
      case "waiting":
        tell(this.events, "resourcesQueued", { jobId, before: decision.before });
        return this.#allocated(await waiting.until(jobId, { timeout: parsed.wait ?? 0, signal: parsed.signal }));
      default:
        throw refusalOf(decision, entry, wordsOf);
    }
  }

  /** The allocation as limits of a container's create or update. */
  createLimits(allocation: Allocation, target: LimitsTarget = {}): ContainerLimits {
    return createLimits(allocation, target);
  }

  /**
   * A folder of limited size for the job, removed with its resources. Where the kernel cannot hold the limit it says so
   * (`enforcement: "watched"`). Throws FAILED_PRECONDITION without the option `workspaces`, or for a job without a disk limit.
   */
  async createWorkspace(jobId: string, owner: WorkspaceOwner): Promise<Workspace> {
    const { workspaces } = this.#open();
    const { limits } = await this.#allocation(jobId);
    if (workspaces === undefined || limits.disk === undefined)
      throw new CofferdamError("FAILED_PRECONDITION", workspaces === undefined ? "no folder for workspaces is configured" : `job ${jobId} has no disk limit`);
    return await workspaces.create(jobId, limits.disk, owner);
  }

  /**
   * Sets and proves the limits of a running container, network rates too, and watches it from then on.
   * Throws SECURITY_VIOLATION when enforcement is hard and one is not in force (`details.missing`), FAILED_PRECONDITION when
   * the container does not run, NOT_FOUND. @param known what a caller that made the container knows: asking the engine again
   * costs more than the proof.
   */
  async applyResourceLimits(containerId: string, jobId: string, known: KnownContainer = {}): Promise<AppliedLimits> {
    const { workspaces, monitor } = this.#open();
    const engine = this.#engine;
    if (engine === undefined) throw new CofferdamError("FAILED_PRECONDITION", "there is no container engine", { hint: "new ResourceQuotaManager(engine)" });
    const allocation = await this.#allocation(jobId);
    const container = await liveContainer(engine, containerId, known.inspect);
    const hostNetwork = known.hostNetwork ?? this.#options.hostNetwork;
    const applied = await applyLimits({ engine, containerId, allocation, container, workspaces, hostNetwork, created: known.created === true });
    await monitor.watch(allocation, sourceOf(container.target, container.place, allocation, workspaces), () => engine.containers.kill(containerId));
    await this.#save(jobId, { ...container.target, containerId });
    tell(this.events, "limitsApplied", applied);
    if (allocation.enforcement === "hard" && applied.missing.length > 0) {
      const what = applied.missing.map(({ limit, wanted, found }) => `${limit} (wanted ${wanted}, found ${found})`).join(", ");
      throw new CofferdamError("SECURITY_VIOLATION", `limits of job ${jobId} are not in force: ${what}`, { details: { ...applied } });
    }
    return applied;
  }

  /** Watches a job that is no container: a process with a cgroup of its own. Throws NOT_FOUND, FAILED_PRECONDITION. */
  async watchProcess(jobId: string, pid: number): Promise<ResourceUsage> {
    const { workspaces, monitor } = this.#open();
    const allocation = await this.#allocation(jobId);
    const started = startOf(pid);
    if (started === undefined) throw new CofferdamError("NOT_FOUND", `no process ${pid}`, { details: { pid } });
    const place = ownCgroup(pid, started);
    if (place === undefined) throw new CofferdamError("FAILED_PRECONDITION", `process ${pid} has no cgroup of its own to be measured`, { details: { pid } });
    const target = { pid, started, trees: [], sealed: true };
    await monitor.watch(allocation, sourceOf(target, place, allocation, workspaces));
    await this.#save(jobId, target);
    return await monitor.sample(jobId);
  }

  /**
   * What the job uses now: `{cpu: 45.2, memory: 78.5, disk: 12.3, network: 5.6, ...}` in percent of its quota, with the raw
   * numbers. Also of a job that another process of this host watches. Throws NOT_FOUND when nobody does.
   */
  async monitorResourceUsage(jobId: string): Promise<ResourceUsage> {
    const { self, monitor, workspaces } = this.#open();
    const id = parseInput(jobIdSchema, jobId, "job id");
    if (monitor.has(id)) return await monitor.sample(id);
    const allocation = await this.#allocation(id);
    const target = await loadTarget(this.#store, self, id);
    const place = target === undefined ? undefined : ownCgroup(target.pid, target.started);
    if (target === undefined || place === undefined)
      throw new CofferdamError("NOT_FOUND", `job ${id} does not run, or is not watched`, { details: { jobId: id } });
    const source = sourceOf(target, place, allocation, workspaces);
    const watch = new JobWatch({ allocation, source, thresholds: {}, now: () => this.#clock.monotonic(), alert: () => undefined, violation: () => undefined });
    await watch.sample();
    await delay(WINDOW);
    return await watch.sample();
  }

  /**
   * Gives back what a job has, and removes its workspace. Also of one that another process holds, or that waits. Idempotent.
   * @param oomKilled what the engine said of its container; absent: it is asked, while it has one.
   * @returns undefined when there was nothing.
   */
  async releaseResources(jobId: string, oomKilled?: boolean): Promise<ReleasedResources | undefined> {
    const { self, ledger, monitor, workspaces } = this.#open();
    const id = parseInput(jobIdSchema, jobId, "job id");
    const usage = await monitor.end(id, monitor.has(id) && (oomKilled ?? (await this.#oomKilled(self, id))));
    const workspace = await workspaces?.remove(id);
    await forgetTarget(this.#store, id);
    const allocation = await ledger.release(id);
    this.#held.delete(id);
    if (allocation === undefined) return undefined;
    tell(this.events, "resourcesReleased", allocation);
    return { allocation, ...(usage !== undefined && { usage }), ...(workspace !== undefined && { workspace }) };
  }

  async getQuotaStatus(): Promise<QuotaStatus> {
    const { capacity, pool, ledger } = this.#open();
    return statusOf(capacity, pool, await ledger.all(), await lastViolations(this.#store, SHOWN_VIOLATIONS));
  }

  /** Ends waits (CANCELLED) and timers. Reservations stay until they are released, or this process is gone. */
  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened !== undefined) {
      clearInterval(opened.heartbeat);
      await opened.waiting.close(new CofferdamError("CANCELLED", "the quota manager was closed"));
      await opened.monitor.close();
      await opened.ledger.idle();
    }
    if (this.#ownsStore) await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): Opened {
    if (this.#opened === undefined) throw new CofferdamError("NOT_INITIALIZED", "ResourceQuotaManager: call initialize() first");
    return this.#opened;
  }

  /** Throws NOT_FOUND for a job that holds nothing. */
  async #allocation(jobId: string): Promise<Allocation> {
    const id = parseInput(jobIdSchema, jobId, "job id");
    const allocation = await this.#open().ledger.get(id);
    if (allocation?.state === "held") return allocation;
    throw new CofferdamError("NOT_FOUND", `job ${id} has no resources`, { hint: "allocateResources first", details: { jobId: id } });
  }

  #entry(jobId: string, { priority = "normal", tier = priority, repository, requestedResources, wait }: ParsedRequest): Entry {
    const { pool, layers } = this.#open();
    const { limits, capped } = settle(layers, { repository, tier, requested: requestedResources ?? {}, pool: { ...pool } });
    const reserved: Reservation = {
      // By weight: the share of one slot.
      cpu: limits.cpu ?? Math.floor((pool.cpu / this.#slots) * 1000) / 1000,
      memory: limits.memory ?? 0,
      disk: limits.disk ?? 0,
    };
    const enforcement = this.#options.quotaEnforcement ?? "hard";
    return {
      jobId,
      priority,
      reserved,
      wait: wait !== undefined,
      body: { ...(repository !== undefined && { repository }), tier, enforcement, limits, capped },
    };
  }

  async #save(jobId: string, target: KnownTarget): Promise<void> {
    await saveTarget(this.#store, this.#open().self, jobId, target);
  }

  /** The engine remembers it of a container whose cgroup is gone. */
  async #oomKilled(self: Owner, jobId: string): Promise<boolean> {
    const containerId = (await loadTarget(this.#store, self, jobId))?.containerId;
    if (containerId === undefined || this.#engine === undefined) return false;
    try {
      return (await this.#engine.containers.inspect(containerId)).State.OOMKilled;
    } catch (error) {
      // Removed already, or no engine any more: then nobody can tell, and giving back must go on.
      if (error instanceof CofferdamError || errnoOf(error) !== undefined) return false;
      throw error;
    }
  }

  #allocated(allocation: Allocation): Allocation {
    this.#held.add(allocation.jobId);
    tell(this.events, "resourcesAllocated", allocation);
    return allocation;
  }

  #changed({ reclaimed, promoted, lost }: LedgerChange): void {
    for (const allocation of reclaimed) tell(this.events, "allocationReclaimed", allocation);
    if (promoted.length > 0) void this.#opened?.waiting.look();
    if (lost) {
      tell(this.events, "allocationsLost", { jobIds: [...this.#held] });
      this.#held.clear();
    }
  }
}

function wordsOf({ cpu, memory, disk }: Reservation): string {
  return `${cpu} cpu, ${formatBytes(memory)} memory, ${formatBytes(disk)} disk`;
}

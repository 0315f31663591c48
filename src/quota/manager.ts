/**
 * ResourceQuotaManager: who gets how much of this host, that the kernel holds them to it, and what they used. Admission is
 * one transaction of the store, so that any number of processes share one pool.
 */
import { EventEmitter } from "node:events";
import { availableParallelism } from "node:os";
import { type Clock, CofferdamError, formatBytes, parseInput, systemClock } from "../foundation/index.ts";
import { SqliteStore, type Store } from "../store/index.ts";
import type { Allocation, Reservation } from "./allocation.ts";
import { type ContainerLimits, createLimits, type LimitsTarget } from "./container-limits.ts";
import { type QuotaEvents, tell } from "./events.ts";
import { Ledger, type LedgerChange } from "./ledger.ts";
import { type Entry, refusalOf } from "./ledger-session.ts";
import { ownIdentity } from "./owner.ts";
import { type Capacity, hostCapacity, type PoolSettings, poolOf } from "./pool.ts";
import {
  jobIdSchema,
  layersOf,
  type ParsedOptions,
  type ParsedRequest,
  quotaOptionsSchema,
  type ResourceQuotaOptions,
  type ResourceRequest,
  resourceRequestSchema,
} from "./settings.ts";
import { type QuotaLayers, settle } from "./tiers.ts";
import { Waiting } from "./waiting.ts";

interface Opened {
  readonly pool: Capacity;
  readonly layers: QuotaLayers;
  readonly ledger: Ledger;
  readonly waiting: Waiting;
  readonly heartbeat: NodeJS.Timeout;
}

/**
 * @example
 * ```ts
 * const quota = new ResourceQuotaManager(engine, { store });
 * await quota.initialize();
 * const allocation = await quota.allocateResources("job123", { priority: "high", requestedResources: { cpu: "2.0", memory: "4GB", disk: "20GB" } });
 * await engine.containers.create({ Image: "app", HostConfig: quota.createLimits(allocation) });
 * await quota.releaseResources("job123");
 * ```
 */
export class ResourceQuotaManager {
  readonly events: EventEmitter<QuotaEvents> = new EventEmitter();
  readonly #options: ParsedOptions;
  readonly #store: Store;
  readonly #ownsStore: boolean;
  readonly #clock: Clock;
  readonly #slots: number;
  /** Jobs that this process holds, as far as it knows. */
  readonly #held = new Set<string>();
  #opened: Opened | undefined;

  /** Does nothing to the machine yet. Throws INVALID_ARGUMENT, with what was probably meant. */
  constructor(options: ResourceQuotaOptions = {}) {
    this.#options = parseInput(quotaOptionsSchema, options, "options of ResourceQuotaManager");
    this.#clock = this.#options.clock ?? systemClock;
    this.#ownsStore = this.#options.store === undefined;
    this.#store = this.#options.store ?? new SqliteStore({ clock: this.#clock });
    this.#slots = this.#options.slots ?? availableParallelism();
  }

  /** Opens the book, and takes back what processes had that are gone. Idempotent. */
  async initialize(): Promise<void> {
    if (this.#opened !== undefined) return;
    const pool = poolOf(hostCapacity(this.#options.workspaces ?? "/"), settingsOf(this.#options));
    const lease = this.#options.lease ?? 120_000;
    const ledger = new Ledger({
      store: this.#store,
      self: ownIdentity(),
      clock: this.#clock,
      lease,
      pool,
      changed: (change) => this.#changed(change),
    });
    await ledger.initialize();
    const heartbeat = setInterval(() => void ledger.signOfLife().catch(() => undefined), lease / 4).unref();
    this.#opened ??= { pool, layers: layersOf(this.#options, pool, this.#slots), ledger, waiting: new Waiting(ledger), heartbeat };
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
      case "waiting": {
        tell(this.events, "resourcesQueued", { jobId, before: decision.before });
        return this.#allocated(await waiting.until(jobId, { timeout: parsed.wait ?? 0, signal: parsed.signal }));
      }
      default:
        throw refusalOf(decision, entry, wordsOf);
    }
  }

  /** The allocation as limits of a container's create or update. */
  createLimits(allocation: Allocation, target: LimitsTarget = {}): ContainerLimits {
    return createLimits(allocation, target);
  }

  /** Gives back what a job has. Also one that another process holds, or that waits. @returns what it had; undefined when that was nothing. */
  async releaseResources(jobId: string): Promise<Allocation | undefined> {
    const { ledger } = this.#open();
    const allocation = await ledger.release(parseInput(jobIdSchema, jobId, "job id"));
    this.#held.delete(jobId);
    if (allocation !== undefined) tell(this.events, "resourcesReleased", allocation);
    return allocation;
  }

  /** Ends waits (CANCELLED) and timers. Reservations stay until they are released, or this process is gone. */
  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened !== undefined) {
      clearInterval(opened.heartbeat);
      await opened.waiting.close(new CofferdamError("CANCELLED", "the quota manager was closed"));
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

function settingsOf({ hostShare = 80, enableOvercommit = false, overcommitRatio = 1.2, overcommitMemory = false }: ParsedOptions): PoolSettings {
  return { share: hostShare / 100, overcommit: enableOvercommit, overcommitRatio, overcommitMemory };
}

function wordsOf({ cpu, memory, disk }: Reservation): string {
  return `${cpu} cpu, ${formatBytes(memory)} memory, ${formatBytes(disk)} disk`;
}

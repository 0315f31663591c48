/**
 * RuntimeSecurityMonitor: watches containers from the host, says what in them is a threat, and stops one where it is. It runs
 * nothing inside, and decides nothing: what becomes of a threat is whose it was told to.
 */
import { EventEmitter } from "node:events";
import { type Clock, CofferdamError, messageOf, parseInput, systemClock, type Trail } from "../foundation/index.ts";
import { noveltyOf, outOfRange } from "./baseline/baseline.ts";
import { type BaselineKey, BaselineStore } from "./baseline/baseline-store.ts";
import { Observation } from "./baseline/observation.ts";
import type { GapEvent, LossEvent, ProcessEvent, SensorStatus } from "./event.ts";
import { cgroupOf, type KeptEvidence, processesOf } from "./response/index.ts";
import { builtInRules, readRules } from "./rules/read.ts";
import { type NamedRules, RuleSet } from "./rules/rule-set.ts";
import { HashCache } from "./sensors/hash-cache.ts";
import { KernelSensor } from "./sensors/kernel-sensor.ts";
import { ContainerResponse, type FrozenAt } from "./watch/container-response.ts";
import {
  type InspectedContainer,
  type MonitorEngine,
  type MonitoringMetadata,
  type MonitorOptions,
  type MonitorSensor,
  metadataSchema,
  monitorOptionsSchema,
} from "./watch/options.ts";
import { expectedRules, SUSPICIOUS_RULE, suspiciousRules, UNEXPECTED_RULE } from "./watch/process-lists.ts";
import { StandStill } from "./watch/stand-still.ts";
import type { MonitorThreat } from "./watch/threat.ts";
import { type MonitoringSummary, WatchedContainer } from "./watch/watched-container.ts";

export interface MonitorEvents {
  /** The first of its kind within the cooldown. */
  threatDetected: [MonitorThreat];
  /** Off the baseline of its job. It is told as a threat as well. */
  anomalyDetected: [MonitorThreat];
  /** A process that is on the list of suspicious ones, or on none of the expected. It is told as a threat as well. */
  processViolation: [MonitorThreat];
  /** What the kernel shows became less, or more again. */
  statusChanged: [SensorStatus];
}

interface Entry {
  /** As the container was named when its watch began. */
  readonly called: string;
  readonly watched: WatchedContainer;
  readonly observation: Observation | undefined;
  readonly key: BaselineKey | undefined;
  readonly response: ContainerResponse;
  readonly stop: () => Promise<void>;
}

interface Opened {
  readonly rules: RuleSet;
  readonly sensor: MonitorSensor | undefined;
  readonly hashes: HashCache | undefined;
  readonly baselines: BaselineStore | undefined;
  readonly timer: NodeJS.Timeout | undefined;
}

const DEFAULT_INTERVAL = 10_000;
const DEFAULT_COOLDOWN = 300_000;
const ABSENT: SensorStatus = { kind: "status", time: 0, state: "absent", source: "none", why: "not asked for (syscallMonitoring)", lacks: ["everything"] };

/**
 * @example
 * ```ts
 * await using monitor = new RuntimeSecurityMonitor(engine, auditLogger, { suspiciousProcesses: ["xmrig"] });
 * monitor.events.on("threatDetected", (threat) => void orchestrator.handleSecurityThreat(threat));
 * await monitor.initialize();
 * await monitor.startContainerMonitoring("container123", "job123", { repository: "org/repo", expectedProcesses: ["node", "npm"] });
 * const threats = await monitor.performSecurityCheck("container123");
 * await monitor.stopContainerMonitoring("container123");
 * ```
 */
export class RuntimeSecurityMonitor implements AsyncDisposable {
  readonly events: EventEmitter<MonitorEvents> = new EventEmitter();
  readonly #engine: MonitorEngine;
  readonly #audit: Trail;
  readonly #options: MonitorOptions;
  readonly #clock: Clock;
  readonly #watched = new Map<string, Entry>();
  readonly #standStill: StandStill;
  #opened: Opened | undefined;
  #looking = false;

  /** Does nothing yet. Throws INVALID_ARGUMENT, with what was probably meant. */
  constructor(dockerAPI: MonitorEngine, auditLogger: Trail, options: MonitorOptions = {}) {
    this.#engine = dockerAPI;
    this.#audit = auditLogger;
    this.#options = parseInput(monitorOptionsSchema, options, "options of RuntimeSecurityMonitor");
    this.#clock = this.#options.clock ?? systemClock;
    this.#standStill = new StandStill({ watched: () => this.#responses(), tooLong: (id, ms) => this.#stoodTooLong(id, ms) });
  }

  /**
   * Reads the rules and starts the sensor. What the kernel does not show is in {@link status}, and no reason to throw. Throws
   * INVALID_ARGUMENT for rules that make no sense. Idempotent.
   */
  async initialize(): Promise<void> {
    if (this.#opened !== undefined) return;
    const { detectionRules = [], suspiciousProcesses = [], store, syscallMonitoring = true, monitoringInterval = DEFAULT_INTERVAL } = this.#options;
    const own = await Promise.all(
      detectionRules.map(
        async (one, index): Promise<NamedRules> => (typeof one === "string" ? await readRules(one) : { path: `detectionRules[${index}]`, file: one }),
      ),
    );
    const rules = new RuleSet([...(await builtInRules()), suspiciousRules(suspiciousProcesses), ...own]);
    const baselines = store === undefined ? undefined : new BaselineStore(store, this.#clock);
    await baselines?.initialize();
    const sensor = syscallMonitoring ? (this.#options.sensor ?? new KernelSensor({ env: true })) : undefined;
    const timer = monitoringInterval === 0 ? undefined : setInterval(() => void this.#lookAtAll(), monitoringInterval).unref();
    this.#opened = { rules, sensor, hashes: sensor === undefined ? undefined : new HashCache((event) => sensor.hash(event)), baselines, timer };
    if (sensor === undefined) return;
    sensor.on("event", (event) => this.#take(event));
    sensor.on("loss", (loss) => this.#lose(loss));
    sensor.on("gap", (gap) => this.#missed(gap));
    sensor.on("status", (status) => {
      this.#heard(status);
      this.#emit("statusChanged", status);
    });
    this.#heard(await sensor.initialize());
  }

  /** What can be seen now. Throws NOT_INITIALIZED. */
  get status(): SensorStatus {
    return this.#parts().sensor?.status ?? ABSENT;
  }

  /** Rules in force. Throws NOT_INITIALIZED. */
  get rules(): RuleSet {
    return this.#parts().rules;
  }

  /**
   * Watches a container that runs, from now on. Throws CONFLICT when it is watched already, NOT_FOUND, FAILED_PRECONDITION when it
   * does not run or is no container of its own, ENVIRONMENT_UNFIT. @param known as the engine showed it since it was started, of
   * a caller that asked already.
   */
  async startContainerMonitoring(containerId: string, jobId: string, metadata: MonitoringMetadata = {}, known?: InspectedContainer): Promise<void> {
    const { rules, sensor, hashes, baselines } = this.#parts();
    const { repository, workflow, job, expectedProcesses = [], mask = unmasked } = parseInput(metadataSchema, metadata, "metadata of a container");
    const { Id: id, State, GraphDriver } = known ?? (await this.#engine.containers.inspect(containerId));
    if (!State.Running || State.Pid <= 0) throw new CofferdamError("FAILED_PRECONDITION", `container ${id.slice(0, 12)} does not run`);
    const key = baselines === undefined || repository === undefined ? undefined : { repository, workflow, job };
    const baseline = key === undefined ? undefined : await baselines?.get(key);
    // From here on nothing is waited for until it is in the list: two at once are not both first.
    if (this.#watched.has(id)) throw new CofferdamError("CONFLICT", `container ${id.slice(0, 12)} is watched already`);
    const own = expectedProcesses.length === 0 ? [] : [new RuleSet([expectedRules(expectedProcesses)])];
    const observation =
      baseline === undefined
        ? undefined
        : new Observation((aspect, item, event) => {
            const novelty = noveltyOf(baseline, aspect, item);
            const program = event === undefined ? undefined : watched.programs.get(event.actor.key);
            if (novelty !== undefined) this.#tellAll(id, watched.anomaly(`new-${aspect}`, "medium", novelty.message, program), event);
          });
    const watched: WatchedContainer = new WatchedContainer({
      ...{ containerId: id, jobId, cgroup: cgroupOf(State.Pid), rules: [rules, ...own], clock: this.#clock, observation, baselineRuns: baseline?.runs },
      ...{ cooldown: this.#options.cooldown ?? DEFAULT_COOLDOWN, mask },
      hashOf: ({ program }) => (program === undefined ? undefined : hashes?.known(program)),
    });
    const response = new ContainerResponse({ watched, pid: State.Pid, upper: upperOf(GraphDriver) });
    const entry: Entry = { called: containerId, watched, observation, key, response, stop: async () => await watch?.close() };
    this.#watched.set(id, entry);
    let watch: Awaited<ReturnType<MonitorSensor["watch"]>> | undefined;
    try {
      watch = sensor?.status?.state === "absent" ? undefined : await sensor?.watch({ job: jobId, container: id, pid: State.Pid });
    } catch (error) {
      this.#watched.delete(id);
      throw error;
    }
  }

  /**
   * Threats since the last time that this was asked, each with how often it came, after a look at the container as it is now.
   * Throws NOT_FOUND for a container that is not watched.
   */
  async performSecurityCheck(containerId: string): Promise<readonly MonitorThreat[]> {
    const [id, { watched }] = this.#entry(containerId);
    await this.#look(id, watched);
    return watched.sinceLast();
  }

  /**
   * Ends the watch; everything that happened before was judged. @param train adds what it did to the baseline of its job: only
   * of a run that passed, while nobody looks into an incident. Throws NOT_FOUND for one that is not watched.
   */
  async stopContainerMonitoring(containerId: string, { train = false }: { readonly train?: boolean } = {}): Promise<MonitoringSummary> {
    const [id, { watched, observation, key, response, stop }] = this.#entry(containerId);
    const { baselines } = this.#parts();
    try {
      await stop();
    } finally {
      response.release();
      this.#watched.delete(id);
    }
    const run = observation?.run();
    if (run !== undefined && key !== undefined && baselines !== undefined) {
      for (const message of outOfRange(await baselines.get(key), run))
        this.#tellAll(id, watched.anomaly("out-of-range", "medium", message, undefined), undefined);
      if (train && watched.lost === 0) await baselines.train(key, run);
    }
    return watched.summary();
  }

  /** Whether a container is watched. */
  watches(containerId: string): boolean {
    return this.#watched.has(containerId);
  }

  /** What is known until now. Throws NOT_FOUND. */
  summary(containerId: string): MonitoringSummary {
    return this.#entry(containerId)[1].watched.summary();
  }

  /** The processes of a container that run, as the events told them. Throws NOT_FOUND. */
  processes(containerId: string): WatchedContainer["programs"] {
    return this.#entry(containerId)[1].watched.programs;
  }

  /** Names of secrets that its job was given: part of what it usually has. Throws NOT_FOUND. */
  given(containerId: string, secrets: readonly string[]): void {
    this.#entry(containerId)[1].observation?.given(secrets);
  }

  /**
   * Stops every process of a container where it is. @returns when it was ordered, and how long after the act where it was done
   * at once. Throws NOT_FOUND, ENVIRONMENT_UNFIT, DEADLINE_EXCEEDED.
   */
  async freeze(containerId: string): Promise<FrozenAt> {
    return await this.#entry(containerId)[1].response.freeze();
  }

  /** Lets it go on. Throws NOT_FOUND. */
  thaw(containerId: string): void {
    this.#entry(containerId)[1].response.thaw();
  }

  /**
   * Keeps what a container is doing and did: processes, changed files, last events. Its hash goes on record. Throws NOT_FOUND,
   * FAILED_PRECONDITION without a folder for it, RESOURCE_EXHAUSTED after the third time, AUDIT_UNAVAILABLE.
   */
  async takeEvidence(containerId: string, threat: object | undefined, signal: AbortSignal): Promise<KeptEvidence> {
    const [id, { watched, response }] = this.#entry(containerId);
    const { evidence: folder } = this.#options;
    if (folder === undefined) throw new CofferdamError("FAILED_PRECONDITION", "no folder for evidence (option evidence)");
    const kept = await response.keep(folder, threat, signal);
    await this.#audit.log({
      ...{ category: "monitor", action: "EvidenceKept", result: "success", sessionId: watched.parts.jobId, resourceType: "container", resourceId: id },
      details: { ...kept, ...(threat !== undefined && "id" in threat && typeof threat.id === "string" ? { threat: threat.id } : {}) },
    });
    return kept;
  }

  /** Ends process 1 of a container, and so all of it, without asking the engine; a frozen one is let go for it. Throws NOT_FOUND. */
  kill(containerId: string): void {
    this.#entry(containerId)[1].response.kill();
  }

  /** Ends every watch, and the sensor where it was not brought along. Idempotent. */
  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === undefined) return;
    this.#opened = undefined;
    clearInterval(opened.timer);
    this.#standStill.close();
    for (const { stop } of this.#watched.values()) await stop().catch(() => undefined);
    this.#watched.clear();
    if (this.#options.sensor === undefined) await opened.sensor?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #take(event: ProcessEvent): void {
    const entry = event.container === undefined ? undefined : this.#watched.get(event.container);
    if (entry === undefined) return;
    // Read while the program is there; whoever asks for it later finds it known.
    if (event.kind === "exec") void this.#opened?.hashes?.of(event);
    this.#tellAll(event.container ?? "", this.#judged(entry.watched, event), event);
  }

  /** An event that could not be judged is one that nobody saw. */
  #judged(watched: WatchedContainer, event: ProcessEvent): readonly MonitorThreat[] {
    try {
      return watched.take(event);
    } catch {
      return watched.lose({ kind: "loss", time: event.time, job: event.job, where: "reader", count: 1 });
    }
  }

  #lose(loss: LossEvent): void {
    for (const [id, { watched }] of this.#watched)
      if (loss.job === undefined || loss.job === watched.parts.jobId) this.#tellAll(id, watched.lose(loss), undefined);
  }

  #missed({ from, to, why }: GapEvent): void {
    for (const [id, { watched, response }] of this.#watched) {
      const said = response.isHeld ? `${why}; from when that was known until now it stood still` : why;
      this.#tellAll(id, watched.missed(to - from, said), undefined);
    }
  }

  #heard({ state }: SensorStatus): void {
    if (this.#options.unwatched === "stand-still") this.#standStill.heard(state);
  }

  *#responses(): Generator<readonly [string, ContainerResponse], void, undefined> {
    for (const [id, { response }] of this.#watched) yield [id, response];
  }

  #stoodTooLong(id: string, ms: number): void {
    const watched = this.#watched.get(id)?.watched;
    if (watched !== undefined) this.#tellAll(id, watched.unwatchable(ms, this.status.why ?? "nobody watches"), undefined);
  }

  async #look(id: string, watched: WatchedContainer): Promise<void> {
    // First who is there, then that every event of theirs has come: one that began meanwhile is nobody that was not told of.
    const pids = processesOf(watched.parts.cgroup);
    if (this.status.state !== "absent") await this.#parts().sensor?.sync();
    this.#tellAll(id, watched.look(pids, this.status.state === "watching"), undefined);
  }

  /** One that fails is looked at again at the next time. */
  async #lookAtAll(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    for (const [id, { watched }] of this.#watched) {
      await this.#look(id, watched).catch((error: unknown) => {
        if (this.#watched.has(id)) this.#tellAll(id, watched.missed(0, `its processes could not be looked at: ${messageOf(error).slice(0, 200)}`), undefined);
      });
    }
    this.#looking = false;
  }

  #tellAll(id: string, threats: readonly MonitorThreat[], event: ProcessEvent | undefined): void {
    for (const threat of threats) {
      if (this.#options.freezes?.(threat) === true) this.#watched.get(id)?.response.orderAtOnce(event);
      this.#emit("threatDetected", threat);
      if (threat.anomaly) this.#emit("anomalyDetected", threat);
      if (threat.type === SUSPICIOUS_RULE || threat.type === UNEXPECTED_RULE) this.#emit("processViolation", threat);
    }
  }

  #emit<K extends keyof MonitorEvents>(name: K, ...args: MonitorEvents[K]): void {
    for (const listener of this.events.rawListeners(name)) {
      try {
        Promise.resolve(Reflect.apply(listener, this.events, args)).catch(() => undefined);
      } catch {
        // A listener's failure is its own.
      }
    }
  }

  #entry(containerId: string): readonly [string, Entry] {
    this.#parts();
    const found = [...this.#watched].filter(
      ([id, { called }]) => id === containerId || called === containerId || (containerId.length >= 12 && id.startsWith(containerId)),
    );
    const [only] = found;
    if (only === undefined || found.length > 1) throw new CofferdamError("NOT_FOUND", `container ${containerId.slice(0, 64)} is not watched`);
    return only;
  }

  #parts(): Opened {
    if (this.#opened === undefined) throw new CofferdamError("NOT_INITIALIZED", "RuntimeSecurityMonitor: call initialize() first");
    return this.#opened;
  }
}

function unmasked(text: string): string {
  return text;
}

function upperOf(driver: InspectedContainer["GraphDriver"]): string | undefined {
  const data = driver?.Data;
  if (driver?.Name !== "overlay2" || typeof data !== "object" || data === null || !("UpperDir" in data)) return undefined;
  return typeof data.UpperDir === "string" ? data.UpperDir : undefined;
}

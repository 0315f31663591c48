/**
 * NetworkIsolationManager: each job in a network of its own, from which it reaches what it was allowed and nothing else. No
 * packet of a job is ever forwarded: all of them end in sockets of ours (kernel/), and what is allowed goes on by connections
 * that this process makes (relay/). When this process or its helper is gone, nothing gets out. docs/network.md says how.
 */
import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import { type ContainerEngine, EngineClient, type EngineTarget } from "../../engine/index.ts";
import { type Clock, CofferdamError, goneFrom, type JsonObject, messageOf, ownName, startOf, systemClock } from "../../foundation/index.ts";
import { SqliteStore, type Store } from "../../store/index.ts";
import type { ApplyOutcome, NetworkPolicy, NetworkViolation } from "../contract.ts";
import { closeSockets, type ProcessPlace } from "../kernel/lock.ts";
import { type Range, rangeOf } from "../kernel/plan.ts";
import { openJobGateway } from "../relay/index.ts";
import { hasRequestRules, rulesOfPolicies } from "../rules/index.ts";
import { AddressBook } from "./address-book.ts";
import { cutContainer } from "./cut-container.ts";
import { type NetworkEvents, tell } from "./events.ts";
import { JobNetwork, type Member } from "./job-network.ts";
import { Locks } from "./locks.ts";
import {
  DEFAULT_RANGES,
  type JobNetworkConfig,
  jobSettings,
  type NetworkIsolationOptions,
  type ParsedNetworkOptions,
  parseNetworkOptions,
} from "./settings.ts";
import { watchStart } from "./start-watch.ts";
import { Surroundings } from "./surroundings.ts";
import type { NetworkTraffic } from "./traffic.ts";

/** A job's network, as the job sees it. */
export interface IsolatedNetwork {
  readonly jobId: string;
  readonly mode: NetworkPolicy["mode"];
  /** As CIDR. */
  readonly subnet: string;
  readonly subnetV6?: string | undefined;
  /** Its name server, and all that there is outside of its containers. */
  readonly gateway: string;
  readonly gatewayV6?: string | undefined;
  /** PEM, where rules are for requests: what the job's clients have to trust for these to pass. */
  readonly authority?: string | undefined;
  /** What is odd about its rules, and how it was decided. */
  readonly notes: readonly string[];
}

export interface ConnectOptions {
  /** What other containers of the job find it by: `db`. */
  readonly names?: readonly string[] | undefined;
}

export interface ConnectedContainer {
  readonly jobId: string;
  readonly containerId: string;
  /** Networks that it was taken out of. */
  readonly detached: readonly string[];
  /** `at-start`: it does not run yet. Its first instructions then have no network. */
  readonly attached: "now" | "at-start";
  readonly address?: string | undefined;
}

interface Opened {
  readonly book: AddressBook;
  readonly locks: Locks;
  readonly surroundings: Surroundings;
}

const JOB_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** Names on a job's bridge: a label of the DNS (RFC 1123). */
const SERVICE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_NAMES = 16;

/**
 * @example
 * ```ts
 * await using networks = new NetworkIsolationManager("/var/run/docker.sock", { isolationMode: "strict" });
 * await networks.initialize();
 * await networks.createIsolatedNetwork("job123", { allowedDomains: ["registry.example.org"], allowedPorts: [443] });
 * await networks.connectContainerToNetwork(containerId, "job123");
 * const { connections, dns, violations } = await networks.monitorNetworkTraffic("job123");
 * await networks.removeNetwork("job123");
 * ```
 */
export class NetworkIsolationManager {
  readonly events: EventEmitter<NetworkEvents> = new EventEmitter();
  readonly #engine: ContainerEngine;
  readonly #ownsEngine: boolean;
  readonly #options: ParsedNetworkOptions;
  readonly #ranges: readonly Range[];
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #networks = new Map<string, JobNetwork>();
  /** Jobs whose network is being made. */
  readonly #making = new Set<string>();
  readonly #closing = new AbortController();
  #opened: Opened | undefined;

  /** Opens nothing. Throws INVALID_ARGUMENT, FAILED_PRECONDITION for options that cannot be met. */
  constructor(dockerAPI: ContainerEngine | EngineTarget, options: NetworkIsolationOptions = {}) {
    this.#options = parseNetworkOptions(options);
    this.#ranges = (this.#options.ranges ?? DEFAULT_RANGES).map(rangeOf);
    this.#ownsEngine = !isEngine(dockerAPI);
    this.#engine = isEngine(dockerAPI) ? dockerAPI : new EngineClient(dockerAPI);
    this.#clock = this.#options.clock ?? systemClock;
    this.#store = this.#options.store ?? new SqliteStore({ clock: this.#clock });
    // What every job has besides its own.
    jobSettings(this.#options, {});
  }

  /**
   * Opens the book of addresses, and takes back what processes had that are gone; their networks went with them.
   * Idempotent. @returns the jobs whose networks those were.
   */
  async initialize(): Promise<readonly string[]> {
    if (this.#opened !== undefined) return [];
    const owner = ownName();
    const surroundings = new Surroundings(this.#engine, this.#ranges);
    const book = new AddressBook({
      ...{ store: this.#store, clock: this.#clock, ranges: this.#ranges, owner, isGone: goneFrom(owner) },
      taken: () => surroundings.inTheWay(),
    });
    const left = await book.initialize();
    const v6 = this.#options.ipv6 ?? surroundings.hasIpv6;
    const locks = new Locks({ book, v6, ready: this.#options.ready ?? 0, v6Prefix: uniquePrefix(), gone: (error) => this.#lost(error) });
    this.#opened ??= { book, locks, surroundings };
    for (const jobId of left) await this.#record("NetworkReconciled", "success", jobId, {});
    locks.fill();
    return left;
  }

  /** When as many networks are ready as were asked for. Throws NOT_INITIALIZED. */
  async ready(): Promise<void> {
    await this.#parts().locks.filled();
  }

  /**
   * Makes a job's network, empty, with its rules in force. Throws INVALID_ARGUMENT for rules that cannot be read, CONFLICT for
   * a job that has one, RESOURCE_EXHAUSTED when all subnets are taken, ENVIRONMENT_UNFIT where networks cannot be made (root,
   * nft), NOT_INITIALIZED.
   */
  async createIsolatedNetwork(jobId: string, jobConfig: JobNetworkConfig = {}): Promise<IsolatedNetwork> {
    const { locks, surroundings } = this.#parts();
    const id = jobIdOf(jobId);
    const { policy, nameServers } = jobSettings(this.#options, jobConfig);
    if (this.#networks.has(id) || this.#making.has(id)) throw new CofferdamError("CONFLICT", `job ${id} has a network already`);
    this.#making.add(id);
    try {
      await surroundings.look();
      const { lock, place } = await locks.take(id, policy.mode !== "strict" && (this.#options.ipv6 ?? surroundings.hasIpv6));
      try {
        const gateway = openJobGateway({
          ...{ jobId: id, sockets: lock.sockets, addresses: lock.addresses, policy },
          upstream: { nameServers, closed: () => surroundings.closed(), connect: this.#options.connect },
        });
        gateway.events.on("networkViolation", (violation) => this.#violated(id, violation));
        const network = new JobNetwork(id, place, lock, gateway, policy);
        this.#networks.set(id, network);
        const { v4, v6 } = lock.subnet;
        await this.#record("NetworkCreated", "success", id, {
          subnet: v4.cidr,
          mode: policy.mode,
          allow: shortList(policy.allow),
          deny: shortList(policy.deny),
        });
        tell(this.events, "networkCreated", { jobId: id, subnet: v4.cidr, mode: policy.mode });
        const authority = hasRequestRules(policy) ? gateway.authority() : undefined;
        const { notes } = gateway;
        return { jobId: id, mode: policy.mode, subnet: v4.cidr, subnetV6: v6?.cidr, gateway: v4.gateway, gatewayV6: v6?.gateway, authority, notes };
      } catch (error) {
        const made = this.#networks.get(id);
        this.#networks.delete(id);
        await (made?.gateway.close() ?? closeSockets(lock.sockets));
        await locks.giveBack({ lock, place });
        throw error;
      }
    } finally {
      this.#making.delete(id);
    }
  }

  /**
   * Takes a container out of every other network and puts it into its job's. One that runs is moved at once; one that does not
   * is moved when it starts. Throws FAILED_PRECONDITION for one with the host's network or another container's, NOT_FOUND.
   */
  async connectContainerToNetwork(containerId: string, jobId: string, options: ConnectOptions = {}): Promise<ConnectedContainer> {
    const network = this.#network(jobId);
    const names = namesOf(options.names ?? []);
    const { Id, State, HostConfig } = await this.#engine.containers.inspect(containerId);
    const mode = HostConfig["NetworkMode"];
    if (typeof mode === "string" && /^(host$|container:)/.test(mode))
      throw new CofferdamError("FAILED_PRECONDITION", `container ${Id.slice(0, 12)} has no network of its own: NetworkMode ${mode.slice(0, 80)}`);
    if (State.Running) {
      const { detached, member } = await this.#move(Id, network, names);
      return { jobId: network.jobId, containerId: Id, detached, attached: "now", address: member.link.v4 };
    }
    const parts = {
      engine: this.#engine,
      move: async (id: string): Promise<void> => void (await this.#move(id, network, names)),
      failed: (id: string, why: string): void => this.#notMoved(network.jobId, id, why),
    };
    const detached = await this.#detach(Id);
    void watchStart(Id, parts, this.#closing.signal);
    return { jobId: network.jobId, containerId: Id, detached, attached: "at-start" };
  }

  /**
   * Gives a process's network, which must have no interface, its place in the job's: for a container that waits at a gate.
   * @returns its address. Throws FAILED_PRECONDITION, RESOURCE_EXHAUSTED (more containers than a subnet has addresses).
   */
  async attachProcess(
    jobId: string,
    process: ProcessPlace,
    options: ConnectOptions & { readonly containerId?: string | undefined } = {},
  ): Promise<Member["link"]> {
    const network = this.#network(jobId);
    const { link } = await network.attach(process, options.containerId, namesOf(options.names ?? []));
    await this.#record("NetworkConnected", "success", network.jobId, { container: options.containerId?.slice(0, 12) ?? null, address: link.v4 });
    return link;
  }

  /**
   * What a live job may reach, from now on: all of it, or (when it throws) nothing has changed. Egress replaces the job's own
   * rules, those of the manager stay; connections that are not allowed any more end. Throws INVALID_ARGUMENT, NOT_FOUND.
   */
  async applyNetworkPolicies(jobId: string, policies: unknown): Promise<ApplyOutcome> {
    const network = this.#network(jobId);
    const { allow, deny } = rulesOfPolicies(policies, network.serviceNames);
    const { policy: common } = jobSettings(this.#options, {});
    await this.#parts().surroundings.look();
    const outcome = network.apply({ ...network.policy, allow: [...common.allow, ...allow], deny: [...common.deny, ...deny] });
    await this.#record("NetworkPolicyApplied", "success", network.jobId, { allow: shortList(allow), deny: shortList(deny), cut: outcome.cut });
    tell(this.events, "networkPoliciesApplied", { jobId: network.jobId, cut: outcome.cut });
    return outcome;
  }

  /** What the job reached, asked for and was refused. Throws NOT_FOUND. */
  async monitorNetworkTraffic(jobId: string): Promise<NetworkTraffic> {
    return await this.#network(jobId).traffic();
  }

  /** Path of the namespace that holds this end of the containers' links, for whoever limits their rates. Throws NOT_FOUND. */
  linksPath(jobId: string): string {
    return this.#network(jobId).lock.spacePath;
  }

  /**
   * Takes a container's interfaces away, whoever made its network: nothing of it gets anywhere any more, and it stays so.
   * @returns how many there were. Throws NOT_FOUND, FAILED_PRECONDITION when it does not run.
   */
  async disconnectContainer(containerId: string): Promise<number> {
    const { Id, State } = await this.#engine.containers.inspect(containerId);
    const own = [...this.#networks.values()].find(({ members }) => members.some(({ container }) => container === Id));
    if (!State.Running) throw new CofferdamError("FAILED_PRECONDITION", `container ${Id.slice(0, 12)} does not run`);
    const known = (await own?.cut(Id)) ?? 0;
    const isStill = async (): Promise<boolean> => {
      const now = (await this.#engine.containers.inspect(Id)).State;
      return now.Running && now.Pid === State.Pid;
    };
    const cut = known + (await cutContainer(State.Pid, isStill));
    await this.#record("NetworkDisconnected", "success", own?.jobId ?? Id.slice(0, 12), { container: Id.slice(0, 12), interfaces: cut });
    return cut;
  }

  /** Everything of it; what it saw in the end, or undefined when there was none. Idempotent. */
  async removeNetwork(jobId: string): Promise<NetworkTraffic | undefined> {
    const { locks } = this.#parts();
    const network = this.#networks.get(jobIdOf(jobId));
    if (network === undefined) return undefined;
    this.#networks.delete(network.jobId);
    const traffic = await network.traffic();
    try {
      await network.close();
    } finally {
      await locks.giveBack(network);
    }
    const { connections, violations } = traffic;
    const refused = connections.filter(({ verdict }) => verdict === "refused").length;
    await this.#record("NetworkRemoved", "success", network.jobId, { destinations: connections.length, refused, violations: violations.length });
    tell(this.events, "networkRemoved", { jobId: network.jobId });
    return traffic;
  }

  /** Removes every network of this process. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#opened !== undefined) {
      for (const jobId of [...this.#networks.keys()]) await this.removeNetwork(jobId).catch(() => undefined);
      await this.#opened.locks.close();
      this.#opened = undefined;
    }
    if (this.#options.store === undefined) await this.#store.close();
    if (this.#ownsEngine) await this.#engine.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #move(containerId: string, network: JobNetwork, names: readonly string[]): Promise<{ readonly detached: readonly string[]; readonly member: Member }> {
    const detached = await this.#detach(containerId);
    const { State } = await this.#engine.containers.inspect(containerId);
    const started = startOf(State.Pid);
    if (!State.Running || started === undefined) throw new CofferdamError("FAILED_PRECONDITION", `container ${containerId.slice(0, 12)} does not run any more`);
    const member = await network.attach({ pid: State.Pid, started }, containerId, names);
    const { jobId } = network;
    await this.#record("NetworkConnected", "success", jobId, { container: containerId.slice(0, 12), address: member.link.v4, detached: [...detached] });
    return { detached, member };
  }

  async #detach(containerId: string): Promise<readonly string[]> {
    const { NetworkSettings } = await this.#engine.containers.inspect(containerId);
    const names = Object.keys(NetworkSettings.Networks).filter((name) => name !== "none");
    for (const name of names) await this.#engine.networks.disconnect(name, containerId, { force: true });
    return names;
  }

  #notMoved(jobId: string, containerId: string, why: string): void {
    this.#violated(jobId, {
      ...{ at: this.#clock.now(), proto: "other", dst: containerId.slice(0, 12), reason: "not-moved" },
      message: `the container was ended: it could not be put into the network of its job: ${why}`,
    });
  }

  #violated(jobId: string, violation: NetworkViolation): void {
    const { proto, dst, port, domain, reason, message } = violation;
    const details = {
      proto,
      dst,
      reason,
      message: message.slice(0, 500),
      ...(port === undefined ? {} : { port }),
      ...(domain === undefined ? {} : { domain }),
    };
    // What cannot be put on record is in the traffic of the job all the same.
    void this.#record("NetworkViolation", "failure", jobId, details).catch(() => undefined);
    tell(this.events, "networkViolation", { ...violation, jobId });
  }

  #lost(error: CofferdamError): void {
    for (const network of this.#networks.values()) {
      void network.lose(error).catch(() => undefined);
      void this.#record("NetworkLost", "failure", network.jobId, { why: messageOf(error).slice(0, 300) }).catch(() => undefined);
      tell(this.events, "networkLost", { jobId: network.jobId, why: error.message });
    }
  }

  #network(jobId: string): JobNetwork {
    this.#parts();
    const network = this.#networks.get(jobIdOf(jobId));
    if (network === undefined) throw new CofferdamError("NOT_FOUND", `job ${jobId} has no network here`, { hint: "createIsolatedNetwork" });
    return network;
  }

  async #record(action: string, result: "success" | "failure", jobId: string, details: JsonObject): Promise<void> {
    await this.#options.audit?.log({ category: "network", action, result, resourceType: "network", resourceId: jobId, sessionId: jobId, details });
  }

  #parts(): Opened {
    if (this.#opened === undefined) throw new CofferdamError("NOT_INITIALIZED", "NetworkIsolationManager: call initialize() first");
    return this.#opened;
  }
}

function jobIdOf(text: string): string {
  if (!JOB_ID.test(text)) throw new CofferdamError("INVALID_ARGUMENT", `not the id of a job: ${JSON.stringify(text.slice(0, 80))}`);
  return text;
}

function namesOf(names: readonly string[]): readonly string[] {
  const bad = names.find((name) => !SERVICE.test(name));
  if (bad !== undefined || names.length > MAX_NAMES)
    throw new CofferdamError(
      "INVALID_ARGUMENT",
      bad === undefined ? `more than ${MAX_NAMES} names` : `not the name of a service: ${JSON.stringify(bad.slice(0, 80))}`,
    );
  return names;
}

/** First three groups of a unique local range. Source: RFC 4193, 3.2. */
function uniquePrefix(): string {
  const hex = randomBytes(5).toString("hex");
  return `fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6)}`;
}

function shortList(rules: readonly string[]): JsonObject {
  return { rules: rules.slice(0, 100), total: rules.length };
}

function isEngine(dockerAPI: ContainerEngine | EngineTarget): dockerAPI is ContainerEngine {
  return typeof dockerAPI === "object" && "containers" in dockerAPI && "images" in dockerAPI;
}

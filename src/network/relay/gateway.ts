/**
 * The user-space half of one job's network: everything that the job sends ends in sockets that are served here, and only what
 * its policy allows goes on, by connections of our own.
 */
import type { Socket } from "node:net";
import { type Clock, systemClock } from "../../foundation/index.ts";
import type { ApplyOutcome, Endpoint, GatewaySockets, JobGateway, NetworkPolicy, OpenJobGateway, ServiceNames, TrafficSnapshot } from "../contract.ts";
import { DnsServer, hostNameServers, JobResolver, NameServers, parseNameServer } from "../resolver/index.ts";
import { type Address, CompiledPolicy, formatAddress, type Protocol, parseAddress, passes, placeText } from "../rules/index.ts";
import { JobAuthority, ServerTrust } from "../tls/index.ts";
import { TrafficRecord } from "../traffic/index.ts";
import { Dialer } from "./dialer.ts";
import { type ConnectionContext, JobConnection } from "./job-connection.ts";
import type { Wanted } from "./judge.ts";
import { readProxyRequest } from "./proxy-door.ts";
import { UdpFlows } from "./udp-flows.ts";

export type GatewayOptions = Parameters<OpenJobGateway>[0] & {
  readonly clock?: Clock | undefined;
  /** Where a connection was sent to; what the kernel says unless told (localAddress, localPort). */
  readonly originalDestination?: ((socket: Socket) => { readonly address: string; readonly port: number }) | undefined;
  /** Connections of the job at once, waiting ones too. Default 2048. */
  readonly maxConnections?: number | undefined;
  /** Where what was allowed is really sent to; tests put their own servers there. */
  readonly reach?: ((to: Endpoint, protocol: Protocol) => Endpoint) | undefined;
};

/** On the gateway's own address. */
const PROXY_PORT = 3128;
const DNS_PORT = 53;
const MAX_CONNECTIONS = 2048;

/**
 * Serves a job's sockets from this call on. Throws INVALID_ARGUMENT for a policy or a name server that cannot be read; the
 * sockets are the caller's then.
 *
 * @example
 * ```ts
 * const gateway = openJobGateway({ jobId, sockets, addresses, policy, upstream: { nameServers: [], closed: () => hostAddresses } });
 * gateway.events.on("networkViolation", ({ message }) => console.error(message));
 * gateway.apply({ ...policy, allow: [] }); // ends what is open to any server
 * ```
 */
export function openJobGateway(options: GatewayOptions): JobGateway {
  return new Gateway(options);
}

class Gateway implements JobGateway {
  readonly events: JobGateway["events"];
  readonly #options: GatewayOptions;
  readonly #record: TrafficRecord;
  readonly #resolver: JobResolver;
  readonly #dns: DnsServer;
  readonly #udp: UdpFlows;
  readonly #context: ConnectionContext;
  readonly #sockets: GatewaySockets;
  readonly #own: ReadonlySet<string>;
  readonly #sources = new Set<Socket>();
  readonly #connections = new Set<JobConnection>();
  readonly #closing = new AbortController();
  #authority: JobAuthority | undefined;
  #policy: CompiledPolicy;

  constructor(options: GatewayOptions) {
    const { clock = systemClock, sockets, addresses, upstream } = options;
    this.#options = options;
    this.#sockets = sockets;
    this.#policy = this.#compile(options.policy);
    this.#record = new TrafficRecord(() => clock.now());
    this.events = this.#record.events;
    this.#own = new Set([addresses.v4, addresses.v6].flatMap((text) => parseAddress(text ?? "") ?? []).map(formatAddress));
    const policy = (): CompiledPolicy => this.#policy;
    const named = upstream.nameServers.map(parseNameServer);
    this.#resolver = new JobResolver({
      policy,
      servers: new NameServers({ servers: named.length > 0 ? async () => await Promise.resolve(named) : hostNameServers }),
      addresses,
      record: this.#record,
      clock,
      signal: this.#closing.signal,
    });
    this.#dns = new DnsServer({ answer: (query) => this.#resolver.answer(query), clock });
    const namesAt = (address: Address): readonly string[] => this.#resolver.answered.namesAt(address);
    this.#udp = new UdpFlows({
      policy,
      namesAt,
      record: this.#record,
      isGateway: (address) => this.#isGateway(address),
      reach: (to) => options.reach?.(to, "udp") ?? to,
    });
    const dialer = new Dialer({ policy, resolver: this.#resolver, connect: upstream.connect, reach: (to) => options.reach?.(to, "tcp") ?? to });
    this.#context = {
      policy,
      resolver: this.#resolver,
      dialer,
      record: this.#record,
      gateway: addresses.v4,
      authority: () => this.#jobAuthority(),
      trust: new ServerTrust(upstream.authorities ?? []),
    };
    this.#serve();
  }

  get notes(): readonly string[] {
    return this.#policy.notes;
  }

  apply(policy: NetworkPolicy): ApplyOutcome {
    this.#policy = this.#compile(policy);
    const cut = [...this.#connections].filter((connection) => connection.cutIfRefused()).length + this.#udp.cutRefused();
    return { cut, notes: this.notes };
  }

  setServices(names: ServiceNames): void {
    this.#resolver.setServices(names);
  }

  authority(): string {
    return this.#jobAuthority().certificate;
  }

  traffic(): TrafficSnapshot {
    for (const connection of this.#connections) connection.settle();
    return this.#record.snapshot();
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    for (const server of this.#sockets.tcp) server.close();
    for (const socket of this.#sockets.dns) socket.close();
    for (const connection of this.#connections) connection.close();
    for (const socket of this.#sources) socket.destroy();
    this.#dns.close();
    this.#udp.close();
    await Promise.resolve();
  }

  #isGateway(address: Address): boolean {
    return this.#own.has(formatAddress(address));
  }

  #jobAuthority(): JobAuthority {
    this.#authority ??= new JobAuthority(this.#options.jobId, this.#options.clock ?? systemClock);
    return this.#authority;
  }

  #compile(policy: NetworkPolicy): CompiledPolicy {
    const { addresses, upstream } = this.#options;
    return new CompiledPolicy(policy, [...upstream.closed(), ...addresses.subnets]);
  }

  #serve(): void {
    for (const server of this.#sockets.tcp) {
      // Of one connection that could not be accepted, for want of file descriptors: it is lost, the next may not be.
      server.on("error", () => undefined);
      server.on("connection", (socket) => this.#accept(socket));
    }
    for (const socket of this.#sockets.dns) this.#dns.serveUdp(socket);
    this.#sockets.onUdpFlow((flow) => this.#udp.take(flow));
  }

  #accept(socket: Socket): void {
    const { address, port } = this.#options.originalDestination?.(socket) ?? { address: socket.localAddress ?? "", port: socket.localPort ?? 0 };
    const destination = parseAddress(address);
    // Gone before it was looked at.
    if (destination === undefined || this.#closing.signal.aborted) {
      socket.destroy();
      return;
    }
    const isGateway = this.#isGateway(destination);
    if (isGateway && port === DNS_PORT) {
      this.#dns.serveTcp(socket);
      return;
    }
    this.#sources.add(socket);
    socket.once("close", () => this.#sources.delete(socket));
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    if (this.#sources.size > (this.#options.maxConnections ?? MAX_CONNECTIONS)) {
      this.#tooMany(socket, formatAddress(destination), port);
      return;
    }
    const serving =
      isGateway && port === PROXY_PORT ? this.#serveProxy(socket) : this.#serveConnection(socket, { address: isGateway ? undefined : destination, port });
    serving.catch(() => socket.destroy());
  }

  async #serveConnection(socket: Socket, wanted: Wanted): Promise<void> {
    const connection = new JobConnection(socket, wanted, this.#context);
    this.#connections.add(connection);
    socket.once("close", () => this.#connections.delete(connection));
    await connection.run();
  }

  async #serveProxy(socket: Socket): Promise<void> {
    const asked = await readProxyRequest(socket, this.#context.gateway);
    if (asked === undefined) return;
    const { tunnel, ...wanted } = asked;
    const address = wanted.address !== undefined && this.#isGateway(wanted.address) ? undefined : wanted.address;
    const connection = new JobConnection(socket, { ...wanted, address }, this.#context);
    if (tunnel) {
      // What is spoken inside is judged when it comes; a name that is allowed nowhere need not wait for it.
      const decision = this.#policy.decide({ name: wanted.name, address, port: wanted.port, protocol: "tcp" });
      if (!passes(decision)) {
        connection.refuse({ kind: "http", host: wanted.name ?? "", hostIsAddress: false }, { decision, name: wanted.name }, socket);
        return;
      }
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    }
    this.#connections.add(connection);
    socket.once("close", () => this.#connections.delete(connection));
    await connection.run();
  }

  #tooMany(socket: Socket, dst: string, port: number): void {
    const reason = "too-many-connections";
    this.#record.connection({ proto: "tcp", dst, port, domain: undefined, verdict: "refused", rule: reason, source: socket.remotePort });
    this.#record.violation({ proto: "tcp", dst, port, reason, message: `${placeText(dst, port)}: too many connections at once` });
    socket.resetAndDestroy();
  }
}

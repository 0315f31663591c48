/**
 * What the two halves of a job's network ask of each other. The kernel's half (kernel/) has a namespace in which everything
 * that a job sends ends in a socket of ours; the other half (rules/, resolver/, relay/, traffic/) decides, and connects from
 * the host's own namespace. No packet goes from one to the other: what is not accepted here goes nowhere.
 */
import type { Socket as UdpSocket } from "node:dgram";
import type { EventEmitter } from "node:events";
import type { Server, Socket } from "node:net";

/** strict: moderate, with a name asked for and proven (SNI, Host), no IPv6, no addresses. relaxed: all but what is always closed. */
export type IsolationMode = "strict" | "moderate" | "relaxed";

/** What one job may reach, as it was written. rules/ has its strict schema and its compiled form. */
export interface NetworkPolicy {
  readonly mode: IsolationMode;
  /** What would be refused is let go and recorded as `observed`; what is closed to every job stays closed. */
  readonly observe?: boolean | undefined;
  /** `github.com`, `*.githubusercontent.com`, `host:port`, `host:port/udp`, CIDR[:port]. Without a port: {@link allowedPorts}. */
  readonly allow: readonly string[];
  /** Same grammar; beats allow. */
  readonly deny: readonly string[];
  /** Of entries without a port; 80 and 443 unless told. */
  readonly allowedPorts?: readonly number[] | undefined;
  /** Beat everything that allows. */
  readonly blockedPorts?: readonly number[] | undefined;
}

/** `observed`: it went on, and the policy would have refused it. */
export type Verdict = "allowed" | "refused" | "observed";

/** One destination, all attempts at it together. */
export interface TrafficConnection {
  readonly proto: "tcp" | "udp" | "icmp" | "other";
  /** Address, or the name where the job never got to an address. */
  readonly dst: string;
  readonly port?: number | undefined;
  /** The name that was asked for, when it is known. */
  readonly domain?: string | undefined;
  readonly verdict: Verdict;
  /** What decided: the rule as it was written, or the reason. */
  readonly rule: string;
  /** Bytes from and to the job. */
  readonly sent: number;
  readonly received: number;
  readonly tries: number;
  /** The job's own port at the first of them. */
  readonly source?: number | undefined;
  /** Requests that were seen on it, as "GET /path" without the query, each once; at most 20. */
  readonly requests?: readonly string[] | undefined;
  /** ms since the epoch */
  readonly first: number;
  readonly last: number;
}

export interface TrafficLookup {
  readonly name: string;
  readonly type: string;
  readonly answers: readonly string[];
  readonly verdict: Verdict;
  readonly tries: number;
}

export interface NetworkViolation {
  readonly at: number;
  readonly proto: "tcp" | "udp" | "dns" | "icmp" | "other";
  readonly dst: string;
  readonly port?: number | undefined;
  readonly domain?: string | undefined;
  /** Grammar of a rule id: "not-allowed", "metadata", "private-answer", "no-sni", ... */
  readonly reason: string;
  readonly message: string;
}

/** What the user-space half knows of a job; the manager adds the kernel's counters. Lists are bounded, and say what they left out. */
export interface TrafficSnapshot {
  readonly connections: readonly TrafficConnection[];
  readonly dns: readonly TrafficLookup[];
  readonly violations: readonly NetworkViolation[];
  /** Entries that were counted together since their list was full. */
  readonly coalesced: number;
}

export interface TrafficEvents {
  /** The first of a kind, and then counted. */
  networkViolation: [NetworkViolation];
}

/** Where the job is at, in its own view. IPv6 is absent where it is off (always at strict). */
export interface GatewayAddresses {
  /** The job's name server and only neighbour outside of itself, as "10.231.0.1". */
  readonly v4: string;
  readonly v6?: string | undefined;
  /** What the job's own interfaces have, as CIDR: nothing outside is ever there. */
  readonly subnets: readonly string[];
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/**
 * A datagram to somewhere that has no socket yet. It is lost unless {@link accept} is called, before the listener returns,
 * and its bytes are sent on.
 */
export interface UdpFlow {
  /** The container's end. */
  readonly source: Endpoint;
  /** Where it was sent to. Never the gateway's port 53: that is {@link GatewaySockets.dns}. */
  readonly destination: Endpoint;
  readonly first: Buffer;
  /**
   * A socket that is connected to the container's end, and whose own address is the destination: what is sent on it reaches
   * the job as an answer, and later datagrams of the flow arrive on it. Close it to end the flow.
   * Throws RESOURCE_EXHAUSTED (too many flows), CANCELLED (the network is gone).
   */
  accept(): Promise<UdpSocket>;
}

/**
 * Sockets of one job's gateway. They accept from the moment that openJobGateway is called: listeners are attached in that
 * same tick, or what comes first is lost. All belong to the gateway, whose close() closes them.
 */
export interface GatewaySockets {
  /**
   * One a family. Everything that the job connects to, at any address and port, the gateway's own included (53 is DNS over
   * TCP, 3128 may be the proxy): localAddress and localPort of an accepted socket are where the job wanted to go.
   * allowHalfOpen is set.
   */
  readonly tcp: readonly Server[];
  /** One a family, bound to the gateway's address, port 53. */
  readonly dns: readonly UdpSocket[];
  /** Called once a flow. Beyond a rate (see kernel/), datagrams are only counted, as dropped. */
  onUdpFlow(listener: (flow: UdpFlow) => void): void;
}

/** Who answers and where to; the same for every job of a manager. */
export interface UpstreamSettings {
  /** Name servers that we ask, as "address" or "address:port" or "[v6]:port". Empty: those of the host. */
  readonly nameServers: readonly string[];
  /** CIDRs that no rule opens: this host's own addresses, every job's range, the engine's networks. Asked for again for each decision's caches when {@link JobGateway.apply} is called. */
  closed(): readonly string[];
  /** Certificates of authorities (PEM) that speak for servers here, besides those of Node and of this host. */
  readonly authorities?: readonly string[] | undefined;
  /** Sockets that decide nothing by themselves are opened with these; tests put theirs here. */
  readonly connect?: ((to: Endpoint, signal: AbortSignal) => Socket) | undefined;
}

export interface ApplyOutcome {
  /** Connections and flows that the new policy does not allow, ended now. */
  readonly cut: number;
  /** What is odd about the policy and was decided: "deny x beats allow x". */
  readonly notes: readonly string[];
}

/** What is on the job's bridge by a name: service containers. Answered by the resolver; packets between them do not pass us. */
export type ServiceNames = ReadonlyMap<string, readonly string[]>;

/** One a job. Implemented by relay/gateway.ts. */
export interface JobGateway {
  /** networkViolation and what else TrafficEvents has. A listener's exception stays there. */
  readonly events: EventEmitter<TrafficEvents>;
  /** Of the policy that is in force; see {@link ApplyOutcome.notes}. */
  readonly notes: readonly string[];
  /** From the next decision on, all of it or (when it throws) none. Ends what is not allowed any more before it returns. */
  apply(policy: NetworkPolicy): ApplyOutcome;
  setServices(names: ServiceNames): void;
  /** The job's own authority (PEM), made when it is first asked for: what checks requests inside TLS is trusted by it. */
  authority(): string;
  traffic(): TrafficSnapshot;
  /** Ends every connection, flow and socket. Idempotent. */
  close(): Promise<void>;
}

/** The signature of relay/gateway.ts's openJobGateway. Synchronous: see {@link GatewaySockets}. */
export type OpenJobGateway = (options: {
  readonly jobId: string;
  readonly sockets: GatewaySockets;
  readonly addresses: GatewayAddresses;
  readonly policy: NetworkPolicy;
  readonly upstream: UpstreamSettings;
}) => JobGateway;

/**
 * The lock of one job: a namespace between the job and the world, with doors on both sides and no way through but ours. Here
 * are its doors as Node's sockets, the links of its containers, and what its rules counted.
 */
import type { Socket as UdpSocket } from "node:dgram";
import { z } from "zod";
import { CofferdamError, runCommand } from "../../foundation/index.ts";
import type { GatewayAddresses, GatewaySockets, UdpFlow } from "../contract.ts";
import type { Hands, OpenedSockets, ToldFlow } from "./hands.ts";
import type { Subnet } from "./plan.ts";
import { COUNTER_PREFIX, type CountedName, type DroppedName, rulesetOf } from "./ruleset.ts";

export interface Counter {
  readonly packets: number;
  readonly bytes: number;
}

export interface LockCounters {
  /** By all containers of the job, to each other too. */
  readonly sent: Counter;
  /** From the gateway. */
  readonly received: Counter;
  readonly dropped: Readonly<Record<DroppedName, Counter>>;
  /** Datagrams that nobody was told of: there were too many at once. */
  readonly untold: number;
}

export interface ProcessPlace {
  readonly pid: number;
  /** When it started, as startOf of foundation/ tells: pids are used again. */
  readonly started: string;
}

export interface Link {
  readonly port: number;
  /** Of the container, as the kernel numbers its network. */
  readonly inode: number;
  readonly v4: string;
  readonly v6: string | undefined;
}

/** Flows of datagrams at once, each a socket. */
const MAX_FLOWS = 256;

const countersSchema = z.looseObject({
  nftables: z.array(z.looseObject({ counter: z.looseObject({ name: z.string(), packets: z.number(), bytes: z.number() }).optional() })),
});

export class Lock {
  readonly subnet: Subnet;
  readonly sockets: GatewaySockets;
  readonly #hands: Hands;
  readonly #id: number;
  readonly #space: number;
  readonly #flows = new Set<UdpSocket>();
  readonly #links = new Map<number, Link>();
  #untold = 0;
  #closed: Promise<void> | undefined;

  private constructor(hands: Hands, id: number, subnet: Subnet, opened: OpenedSockets) {
    this.#hands = hands;
    this.#id = id;
    this.subnet = subnet;
    this.#space = opened.space;
    this.sockets = {
      tcp: opened.tcp,
      dns: opened.dns,
      onUdpFlow: (listener) => hands.onFlow(id, (told) => this.#told(told, listener)),
    };
  }

  /** @param id of no other one that is open. Throws ENVIRONMENT_UNFIT, FAILED_PRECONDITION with what the kernel said. */
  static async open(hands: Hands, id: number, subnet: Subnet): Promise<Lock> {
    const { v4, v6 } = subnet;
    const opened = await hands.open(id, `${v4.gateway}/${v4.prefix}`, v6 === undefined ? undefined : `${v6.gateway}/${v6.prefix}`, rulesetOf(subnet));
    return new Lock(hands, id, subnet, opened);
  }

  get addresses(): GatewayAddresses {
    const { v4, v6 } = this.subnet;
    return { v4: v4.gateway, v6: v6?.gateway, subnets: [v4.cidr, ...(v6 === undefined ? [] : [v6.cidr])] };
  }

  /** Path of the namespace with this end of the containers' links, for whoever sets rates. */
  get spacePath(): string {
    return this.#hands.spacePath(this.#space);
  }

  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  /**
   * Gives a process's network its one interface. Throws FAILED_PRECONDITION when that network has another interface already, is
   * the host's, or is gone; RESOURCE_EXHAUSTED when all addresses are taken.
   */
  async attach({ pid, started }: ProcessPlace): Promise<Link> {
    const { v4, v6 } = this.subnet;
    const port = v4.hosts.findIndex((_, index) => !this.#links.has(index + 1)) + 1;
    const address = v4.hosts[port - 1];
    if (address === undefined) throw new CofferdamError("RESOURCE_EXHAUSTED", `a job's network has room for ${v4.hosts.length} containers`);
    const link = { port, inode: 0, v4: address, v6: v6?.hosts[port - 1] };
    // Taken while it is being made.
    this.#links.set(port, link);
    try {
      const inode = await this.#hands.attach(this.#id, port, pid, started);
      const made = { ...link, inode };
      this.#links.set(port, made);
      return made;
    } catch (error) {
      this.#links.delete(port);
      throw error;
    }
  }

  /** Takes a container's interface away: nothing of it, and nothing to it, moves any more. */
  async cut(port: number): Promise<void> {
    await this.#hands.cut(this.#id, port);
    this.#links.delete(port);
  }

  async cutAll(): Promise<void> {
    await this.#hands.cut(this.#id, "all");
    this.#links.clear();
  }

  /** Throws ENVIRONMENT_UNFIT, INTERNAL when nft does not answer as it should. */
  async counters(): Promise<LockCounters> {
    const text = await runCommand("nsenter", [`--net=${this.spacePath}`, "nft", "-j", "list", "counters"]);
    const parsed = countersSchema.safeParse(parseJson(text));
    if (!parsed.success) throw new CofferdamError("INTERNAL", "nft -j list counters: an answer that cannot be read");
    const found = parsed.data.nftables.flatMap(({ counter }) => counter ?? []);
    const sum = (name: DroppedName | CountedName): Counter => {
      const same = found.filter((one) => one.name === `${COUNTER_PREFIX}${name}`);
      return { packets: same.reduce((all, { packets }) => all + packets, 0), bytes: same.reduce((all, { bytes }) => all + bytes, 0) };
    };
    const [source, arp, frame] = [sum("source"), sum("arp"), sum("frame")];
    const [icmp, protocol, multicast] = [sum("icmp"), sum("protocol"), sum("multicast")];
    return { sent: sum("sent"), received: sum("received"), dropped: { source, arp, frame, icmp, protocol, multicast }, untold: this.#untold };
  }

  /** Its namespace, and every link in it. The sockets are closed by whoever has them. Idempotent. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    this.#hands.onFlow(this.#id, undefined);
    for (const socket of this.#flows) socket.close();
    if (!this.#hands.lives) return;
    // The kernel takes its time with a namespace that nobody holds; what is linked to it must not.
    if (this.#links.size > 0) await this.cutAll();
    await this.#hands.close(this.#id);
  }

  #told({ flow, from, to, data, untold }: ToldFlow, listener: (flow: UdpFlow) => void): void {
    this.#untold = untold;
    let accepted = false;
    const accept = async (): Promise<UdpSocket> => {
      accepted = true;
      if (this.#flows.size >= MAX_FLOWS) {
        this.#hands.refuse(this.#id, flow);
        throw new CofferdamError("RESOURCE_EXHAUSTED", `a job has at most ${MAX_FLOWS} flows of datagrams at once`);
      }
      const socket = await this.#hands.accept(this.#id, flow);
      this.#flows.add(socket);
      socket.once("close", () => this.#flows.delete(socket));
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.connect(from.port, from.address, () => {
          socket.off("error", reject);
          resolve();
        });
      });
      return socket;
    };
    listener({ source: from, destination: to, first: data, accept });
    if (!accepted) this.#hands.refuse(this.#id, flow);
  }
}

/** Where nobody serves them. A gateway that does closes them itself. */
export function closeSockets({ tcp, dns }: Pick<GatewaySockets, "tcp" | "dns">): void {
  for (const server of tcp) server.close();
  for (const socket of dns) socket.close();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

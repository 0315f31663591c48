/** Datagrams of the job: refused and on record unless a rule opens the name's port, and then carried both ways. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import type { Endpoint, UdpFlow } from "../contract.ts";
import { type Address, type CompiledPolicy, formatAddress, parseAddress, passes, placeText, refusalMessage } from "../rules/index.ts";
import type { ByteCounter, TrafficRecord } from "../traffic/index.ts";
import { byTold, type Judgement } from "./judge.ts";

export interface UdpFlowsParts {
  readonly policy: () => CompiledPolicy;
  readonly namesAt: (address: Address) => readonly string[];
  readonly record: TrafficRecord;
  readonly isGateway: (address: Address) => boolean;
  /** Where a datagram is really sent to. */
  readonly reach: (to: Endpoint) => Endpoint;
}

/** ms without a datagram either way. */
const IDLE = 60_000;
const MAX_FLOWS = 256;

interface OpenFlow {
  readonly judge: () => Judgement;
  readonly note: (judgement: Judgement) => ByteCounter;
  readonly close: () => void;
}

export class UdpFlows {
  readonly #parts: UdpFlowsParts;
  readonly #open = new Set<OpenFlow>();
  #opening = 0;

  constructor(parts: UdpFlowsParts) {
    this.#parts = parts;
  }

  take(flow: UdpFlow): void {
    const { policy, namesAt, isGateway, record } = this.#parts;
    const destination = parseAddress(flow.destination.address);
    if (destination === undefined) return;
    const { port } = flow.destination;
    const wanted = { address: isGateway(destination) ? undefined : destination, port };
    const judge = (): Judgement => byTold(wanted, namesAt(destination), policy(), "udp");
    const note = ({ decision, name }: Judgement): ByteCounter => {
      const dst = formatAddress(destination);
      const target = placeText(name ?? dst, port, "udp");
      if (decision.reason !== undefined)
        record.violation({ proto: "udp", dst, port, domain: name, reason: decision.reason, message: refusalMessage(target, decision) });
      return record.connection({
        proto: "udp",
        dst,
        port,
        domain: name,
        verdict: decision.verdict,
        rule: decision.reason ?? decision.rule,
        source: flow.source.port,
      });
    };
    const judgement = judge();
    const full = this.#open.size + this.#opening >= MAX_FLOWS;
    if (full && passes(judgement.decision)) {
      note({ ...judgement, decision: { verdict: "refused", rule: `${MAX_FLOWS} flows`, reason: "too-many-connections" } });
      return;
    }
    const counter = note(judgement);
    if (!passes(judgement.decision) || wanted.address === undefined) return;
    this.#opening++;
    this.#carry(flow, { judge, note, counter })
      .catch(() => undefined)
      .finally(() => this.#opening--);
  }

  /** Ends flows that are not allowed any more. @returns how many. */
  cutRefused(): number {
    const refused = [...this.#open].filter(({ judge }) => !passes(judge().decision));
    for (const { judge, note, close } of refused) {
      note(judge());
      close();
    }
    return refused.length;
  }

  close(): void {
    for (const { close } of this.#open) close();
  }

  async #carry(flow: UdpFlow, { judge, note, counter }: Pick<OpenFlow, "judge" | "note"> & { readonly counter: ByteCounter }): Promise<void> {
    const job = await flow.accept();
    const { address, port } = this.#parts.reach(flow.destination);
    const server = createSocket(address.includes(":") ? "udp6" : "udp4");
    const timer = setTimeout(() => close(), IDLE);
    const close = (): void => {
      if (!this.#open.delete(open)) return;
      clearTimeout(timer);
      for (const socket of [job, server]) socket.close();
    };
    const open: OpenFlow = { judge, note, close };
    this.#open.add(open);
    const carry = (from: UdpSocket, to: UdpSocket, count: (bytes: number) => void): void => {
      from.on("error", close);
      from.on("message", (bytes: Buffer) => {
        timer.refresh();
        count(bytes.length);
        send(to, bytes);
      });
    };
    server.once("connect", () => {
      counter.sent(flow.first.length);
      send(server, flow.first);
    });
    server.connect(port, address);
    carry(job, server, (bytes) => counter.sent(bytes));
    carry(server, job, (bytes) => counter.received(bytes));
    // Asked again: accepting took a while.
    if (!passes(judge().decision)) close();
  }
}

/** A datagram that cannot be sent is lost, as datagrams are. */
function send(socket: UdpSocket, bytes: Buffer): void {
  try {
    socket.send(bytes, () => undefined);
  } catch {
    // Closed, or not connected yet.
  }
}

/** The network of one job while it lives: its lock in the kernel, the gateway that decides, and who is on it. */
import { CofferdamError, messageOf } from "../../foundation/index.ts";
import type { ApplyOutcome, JobGateway, NetworkPolicy, TrafficSnapshot } from "../contract.ts";
import type { Link, Lock, ProcessPlace } from "../kernel/lock.ts";
import type { Place } from "./address-book.ts";
import { type NetworkTraffic, trafficOf } from "./traffic.ts";

export interface Member {
  readonly link: Link;
  /** Id of its container, where it is known. */
  readonly container: string | undefined;
  /** What the others of the job find it by. */
  readonly names: readonly string[];
}

export class JobNetwork {
  readonly jobId: string;
  readonly place: Place;
  readonly lock: Lock;
  readonly gateway: JobGateway;
  #policy: NetworkPolicy;
  readonly #members: Member[] = [];
  #lost: CofferdamError | undefined;

  constructor(jobId: string, place: Place, lock: Lock, gateway: JobGateway, policy: NetworkPolicy) {
    this.jobId = jobId;
    this.place = place;
    this.lock = lock;
    this.gateway = gateway;
    this.#policy = policy;
  }

  get policy(): NetworkPolicy {
    return this.#policy;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  get serviceNames(): readonly string[] {
    return this.#members.flatMap(({ names }) => names);
  }

  async attach(process: ProcessPlace, container: string | undefined, names: readonly string[]): Promise<Member> {
    this.#requireLive();
    const link = await this.lock.attach(process);
    const member = { link, container, names };
    this.#members.push(member);
    this.#tellNames();
    return member;
  }

  /** Throws INVALID_ARGUMENT, and nothing has changed. */
  apply(policy: NetworkPolicy): ApplyOutcome {
    this.#requireLive();
    const outcome = this.gateway.apply(policy);
    this.#policy = policy;
    return outcome;
  }

  /** Of one container, or of all. @returns how many. */
  async cut(container?: string): Promise<number> {
    this.#requireLive();
    const gone = this.#members.filter((member) => container === undefined || member.container === container);
    if (container === undefined) await this.lock.cutAll();
    else for (const { link } of gone) await this.lock.cut(link.port);
    for (const member of gone) this.#members.splice(this.#members.indexOf(member), 1);
    this.#tellNames();
    return gone.length;
  }

  async traffic(): Promise<NetworkTraffic> {
    const seen: TrafficSnapshot = this.gateway.traffic();
    const counted = await this.lock.counters().catch((error: unknown) => messageOf(error).slice(0, 300));
    return trafficOf(this.jobId, seen, counted);
  }

  /** Its namespace is gone: what still stands open here goes too, so that nothing looks as if it worked. */
  async lose(why: CofferdamError): Promise<void> {
    this.#lost = why;
    this.#members.length = 0;
    await this.gateway.close();
  }

  async close(): Promise<void> {
    await this.gateway.close();
  }

  #tellNames(): void {
    const names = new Map<string, string[]>();
    for (const { link, names: own } of this.#members) for (const name of own) names.set(name, [...(names.get(name) ?? []), link.v4]);
    this.gateway.setServices(names);
  }

  #requireLive(): void {
    if (this.#lost !== undefined) throw new CofferdamError("FAILED_PRECONDITION", `the network of job ${this.jobId} is gone: ${this.#lost.message}`);
  }
}

/**
 * The resolver of one job: it answers names that the job's policy allows, and knows what it answered. Nothing that is not
 * allowed is asked of anybody, so that a question carries nothing out.
 */
import type { Clock } from "../../foundation/index.ts";
import type { GatewayAddresses, ServiceNames, Verdict } from "../contract.ts";
import { type Address, type CompiledPolicy, type Decision, formatAddress, normalName, parseAddress, passes, refusalMessage } from "../rules/index.ts";
import type { TrafficRecord } from "../traffic/index.ts";
import { AnsweredAddresses } from "./answered.ts";
import { type Found, NameLookup, TTL_CAP, TTL_FLOOR } from "./lookup.ts";
import type { NameServers } from "./name-servers.ts";
import type { Answer, Query } from "./question.ts";
import { RCODE, TYPE, typeName } from "./record-type.ts";
import { reverseName } from "./reverse-name.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface JobResolverOptions {
  /** Asked again for every decision: a change counts from the next one on. */
  readonly policy: () => CompiledPolicy;
  readonly servers: Pick<NameServers, "ask">;
  readonly addresses: GatewayAddresses;
  readonly record: TrafficRecord;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Where an allowed name leads, after the policy had its say. */
export interface Resolved {
  readonly addresses: readonly Address[];
  readonly ttl: number;
  readonly state: Found["state"];
  /** Why addresses were left out, or the name itself; the first reason. */
  readonly refused?: Decision | undefined;
}

/** How fast a job may ask for names that were not asked before: all of them, and those below one wildcard. */
const ALL_NAMES = { burst: 1000, perSecond: 20 };
const BELOW_WILDCARD = { burst: 200, perSecond: 2 };
const MAX_WILDCARDS = 1000;
/** Of answers that a change of the policy can turn round. */
const SHORT_TTL = 5;
/** Names below it are the job's own: services, and nothing else. */
const OWN_DOMAIN = "cofferdam.internal";

export class JobResolver {
  readonly answered: AnsweredAddresses;
  readonly #options: JobResolverOptions;
  readonly #lookup: NameLookup;
  readonly #all: TokenBucket;
  readonly #wildcards = new Map<string, TokenBucket>();
  #services: ReadonlyMap<string, readonly Address[]> = new Map<string, readonly Address[]>();

  constructor(options: JobResolverOptions) {
    this.#options = options;
    this.answered = new AnsweredAddresses(options.clock);
    this.#all = new TokenBucket(ALL_NAMES.burst, ALL_NAMES.perSecond, options.clock);
    this.#lookup = new NameLookup({
      servers: options.servers,
      clock: options.clock,
      signal: options.signal,
      mayAsk: (name) => this.#all.take() && this.#mayAskBelow(name),
    });
  }

  setServices(names: ServiceNames): void {
    this.#services = new Map([...names].map(([name, addresses]) => [normalName(name) ?? name, addresses.flatMap((text) => parseAddress(text) ?? [])] as const));
  }

  /** Never rejects. */
  async answer(query: Query): Promise<Answer> {
    const { name } = query;
    if (name === undefined) return this.#refuse(query, { verdict: "refused", rule: "not a name", reason: "not-allowed" }, RCODE.NXDOMAIN);
    const local = this.#local(name, query.type);
    if (local !== undefined) return local;
    const decision = this.#options.policy().resolves(name);
    if (!passes(decision)) return this.#refuse(query, decision, isSearched(name) ? undefined : RCODE.NXDOMAIN);
    const family = query.type === TYPE.A ? 4 : query.type === TYPE.AAAA ? 6 : undefined;
    // No other type has answers: HTTPS and SVCB would bring keys that hide names, TXT and the like carry data. IPv6 may be off.
    if (family === undefined || (family === 6 && this.#withoutIPv6())) {
      this.#recordLookup(query, decision.verdict, []);
      return { rcode: RCODE.NOERROR };
    }
    return await this.#answerAddresses(query, name, family, decision);
  }

  /** What a name that may be looked up leads to now, without what the policy or the guard against rebinding leaves out. Never rejects. */
  async resolve(name: string, family: 4 | 6): Promise<Resolved> {
    const service = this.#services.get(name);
    if (service !== undefined) return { addresses: service.filter((address) => address.family === family), ttl: SHORT_TTL, state: "found" };
    if (family === 6 && this.#withoutIPv6()) return { addresses: [], ttl: SHORT_TTL, state: "no-address" };
    const found = await this.#lookup.find(name, family);
    // Asked after the wait: the policy may have changed meanwhile.
    const policy = this.#options.policy();
    const denied = [name, ...found.aliases].map((one) => policy.resolves(one)).find(({ reason, verdict }) => reason === "denied" && verdict === "refused");
    const ttl = Math.min(TTL_CAP, Math.max(TTL_FLOOR, Math.ceil((found.until - this.#options.clock.monotonic()) / 1000)));
    if (denied !== undefined) return { addresses: [], ttl, state: found.state, refused: denied };
    const judged = found.addresses.map((address) => ({ address, decision: policy.mayLeadTo(name, address) }));
    const refused = judged.find(({ decision }) => !passes(decision))?.decision;
    const rate: Decision | undefined = found.why === "rate" ? { verdict: "refused", rule: "rate", reason: "lookup-rate" } : undefined;
    return { addresses: judged.flatMap(({ address, decision }) => (passes(decision) ? [address] : [])), ttl, state: found.state, refused: refused ?? rate };
  }

  async #answerAddresses(query: Query, name: string, family: 4 | 6, decision: Decision): Promise<Answer> {
    const { addresses, ttl, state, refused } = await this.resolve(name, family);
    if (refused !== undefined) this.#violation(query, refused);
    if (addresses.length > 0) {
      this.answered.answered(name, addresses, ttl);
      this.#recordLookup(query, decision.verdict, addresses.map(formatAddress));
      return { rcode: RCODE.NOERROR, addresses, ttl };
    }
    if (refused?.reason === "lookup-rate") return this.#refuse(query, refused, RCODE.REFUSED);
    if (refused !== undefined) return this.#refuse(query, refused, undefined);
    this.#recordLookup(query, decision.verdict, []);
    return { rcode: state === "no-name" ? RCODE.NXDOMAIN : state === "failed" ? RCODE.SERVFAIL : RCODE.NOERROR };
  }

  /**
   * A refused name leads to the gateway, where what the job wants there is seen and told; at strict, and where there is no
   * address to give, there is no such name.
   */
  #refuse(query: Query, decision: Decision, rcode: typeof RCODE.NXDOMAIN | typeof RCODE.REFUSED | undefined): Answer {
    this.#recordLookup(query, "refused", []);
    this.#violation(query, decision);
    if (rcode !== undefined) return { rcode };
    const { v4, v6 } = this.#options.addresses;
    if (this.#options.policy().mode === "strict" || (query.type !== TYPE.A && query.type !== TYPE.AAAA)) return { rcode: RCODE.NXDOMAIN };
    const gateway = parseAddress((query.type === TYPE.A ? v4 : v6) ?? "");
    // What comes to the gateway afterwards on a port where no name is spoken was meant for it.
    if (gateway !== undefined && query.name !== undefined) this.answered.answered(query.name, [gateway], SHORT_TTL);
    return { rcode: RCODE.NOERROR, addresses: gateway === undefined ? [] : [gateway], ttl: SHORT_TTL };
  }

  /** Names of the job itself: services, this machine, and what addresses of both are called. */
  #local(name: string, type: number): Answer | undefined {
    const family = type === TYPE.A ? 4 : type === TYPE.AAAA ? 6 : undefined;
    const answer = (addresses: readonly Address[]): Answer => ({
      rcode: RCODE.NOERROR,
      addresses: addresses.filter((address) => address.family === family),
      ttl: SHORT_TTL,
    });
    const own = name.endsWith(`.${OWN_DOMAIN}`);
    const service = this.#services.get(own ? name.slice(0, -OWN_DOMAIN.length - 1) : name);
    if (service !== undefined) return answer(service);
    if (own) return { rcode: RCODE.NXDOMAIN };
    if (name === "localhost" || name.endsWith(".localhost")) return answer([LOOPBACK_4, LOOPBACK_6]);
    if (name.endsWith(".in-addr.arpa") || name.endsWith(".ip6.arpa")) return this.#reverse(name, type);
    // A word alone is a service, or a typo that no server needs to hear of; unless a rule names it.
    return isSearched(name) || this.#options.policy().resolves(name).allowed !== undefined ? undefined : { rcode: RCODE.NXDOMAIN };
  }

  #reverse(name: string, type: number): Answer {
    const { v4, v6 } = this.#options.addresses;
    const gateway = [v4, v6].some((text) => text !== undefined && reverseName(text) === name);
    const service = [...this.#services].find(([, addresses]) => addresses.some((address) => reverseName(formatAddress(address)) === name));
    const pointer = gateway ? `gateway.${OWN_DOMAIN}` : service?.[0];
    if (pointer === undefined) return { rcode: RCODE.NXDOMAIN };
    return type === TYPE.PTR ? { rcode: RCODE.NOERROR, pointer, ttl: SHORT_TTL } : { rcode: RCODE.NOERROR };
  }

  #withoutIPv6(): boolean {
    return this.#options.addresses.v6 === undefined || this.#options.policy().mode === "strict";
  }

  #mayAskBelow(name: string): boolean {
    const rule = this.#options.policy().resolves(name).allowed;
    if (rule?.target.kind !== "suffix") return true;
    const key = rule.target.name;
    const bucket = this.#wildcards.get(key) ?? new TokenBucket(BELOW_WILDCARD.burst, BELOW_WILDCARD.perSecond, this.#options.clock);
    if (this.#wildcards.size < MAX_WILDCARDS) this.#wildcards.set(key, bucket);
    return bucket.take();
  }

  #recordLookup({ shown, type }: Query, verdict: Verdict, answers: readonly string[]): void {
    this.#options.record.lookup({ name: shown, type: typeName(type), answers, verdict });
  }

  #violation({ shown }: Query, decision: Decision): void {
    const { reason = "not-allowed" } = decision;
    this.#options.record.violation({ proto: "dns", dst: shown, domain: shown, reason, message: refusalMessage(shown, decision) });
  }
}

const LOOPBACK_4: Address = { family: 4, value: 0x7f00_0001n };
const LOOPBACK_6: Address = { family: 6, value: 1n };

/** More than one label: what a resolver asks the world for. */
function isSearched(name: string): boolean {
  return name.includes(".");
}

/** What the rules say of a connection, from where it was sent and what was said on it first. */
import { type Address, type CompiledPolicy, type Decision, formatAddress, passes, type RefusalReason } from "../rules/index.ts";

export interface Wanted {
  /** The name that a proxy was asked for (CONNECT). */
  readonly name?: string | undefined;
  /** Undefined: the job's own gateway, where refused names lead, or a name that a proxy was asked for. */
  readonly address: Address | undefined;
  readonly port: number;
}

export type Spoken =
  | { readonly kind: "tls"; readonly name: string | undefined; readonly encrypted: boolean }
  | { readonly kind: "http"; readonly host: string; readonly hostIsAddress: boolean }
  /** Another protocol, or nothing. */
  | { readonly kind: "raw" }
  /** TLS or HTTP that can be read in two ways, or that asks for what no rule allows. */
  | { readonly kind: "malformed"; readonly reason: RefusalReason; readonly rule: string; readonly name?: string | undefined };

export interface Judgement {
  readonly decision: Decision;
  /** What the connection is about, as far as it is known. */
  readonly name: string | undefined;
}

/** Ports on which a name has to be proven: nothing but TLS and HTTP is spoken there, unless a rule names the address. */
export const PROVEN_PORTS: ReadonlySet<number> = new Set([80, 443]);

/** @param told the names that led to where it was sent, in what the job was told. */
export function judge(wanted: Wanted, spoken: Spoken, policy: CompiledPolicy, told: readonly string[]): Judgement {
  const decide = (name: string | undefined): Decision => policy.decide({ name, address: wanted.address, port: wanted.port, protocol: "tcp" });
  /** Without a name that was proven only a rule for the address opens it; why it does not, is more than that there is none. */
  const byAddress = (otherwise: Decision): Decision => {
    if (wanted.address === undefined) return otherwise;
    const decision = decide(undefined);
    return passes(decision) || !OPEN_REASONS.has(decision.reason) ? decision : otherwise;
  };
  const lenient = policy.mode === "relaxed";
  switch (spoken.kind) {
    case "tls": {
      const name = spoken.name ?? wanted.name;
      if (spoken.encrypted && !lenient) return { name, decision: policy.refuse("encrypted-hello", "ECH") };
      if (spoken.name === undefined) return { name: name ?? told[0], decision: byAddress(lenient ? decide(name) : policy.refuse("no-sni", "SNI")) };
      if (wanted.name !== undefined && wanted.name !== spoken.name && !lenient) return { name, decision: policy.refuse("name-mismatch", "SNI") };
      return { name, decision: decide(name) };
    }
    case "http": {
      if (!spoken.hostIsAddress) {
        if (wanted.name !== undefined && wanted.name !== spoken.host && !lenient)
          return { name: spoken.host, decision: policy.refuse("name-mismatch", "Host") };
        return { name: spoken.host, decision: decide(spoken.host) };
      }
      if (wanted.address !== undefined && formatAddress(wanted.address) === spoken.host) return { name: undefined, decision: decide(undefined) };
      return { name: wanted.name ?? told[0], decision: lenient ? decide(wanted.name) : policy.refuse("name-mismatch", "Host") };
    }
    case "malformed":
      return { name: spoken.name ?? wanted.name ?? told[0], decision: lenient ? decide(wanted.name) : policy.refuse(spoken.reason, spoken.rule) };
    case "raw": {
      if (PROVEN_PORTS.has(wanted.port) && !lenient)
        return { name: wanted.name ?? told[0], decision: byAddress(policy.refuse(wanted.port === 443 ? "not-tls" : "not-http", `port ${wanted.port}`)) };
      if (wanted.name !== undefined) return { name: wanted.name, decision: unlessRequestsOnly(decide(wanted.name), policy) };
      return byTold(wanted, told, policy);
    }
  }
}

/** Reasons that only say that nothing opens it. */
const OPEN_REASONS: ReadonlySet<Decision["reason"]> = new Set(["not-allowed", "port-not-allowed", "address-literal", "private-address"] as const);

/** Where no name is spoken, an address stands for the names that led to it. */
export function byTold({ address, port }: Wanted, told: readonly string[], policy: CompiledPolicy, protocol: "tcp" | "udp" = "tcp"): Judgement {
  if (address === undefined) return { name: told[0], decision: unlessRequestsOnly(policy.decide({ name: told[0], port, protocol }), policy) };
  for (const name of told) {
    const byName = policy.decide({ name, address, port, protocol });
    const decision = byName.via === "name" ? policy.admits(byName, address, port, protocol) : byName;
    if (decision.verdict === "allowed" && decision.requestsOnly !== true) return { name, decision: { ...decision, via: "address" } };
  }
  const byAddress = policy.decide({ address, port, protocol });
  if (passes(byAddress) || told[0] === undefined || !OPEN_REASONS.has(byAddress.reason)) return { name: told[0], decision: byAddress };
  return { name: told[0], decision: unlessRequestsOnly(policy.decide({ name: told[0], address, port, protocol }), policy) };
}

/** What is no HTTP has no requests that could be judged. */
function unlessRequestsOnly(decision: Decision, policy: CompiledPolicy): Decision {
  return decision.requestsOnly === true ? policy.refuse("not-http", decision.rule) : decision;
}

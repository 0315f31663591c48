/** A job's rules, ready for questions: may this name be resolved, may this be connected to, may a name lead there. */
import type { IsolationMode, NetworkPolicy, Verdict } from "../contract.ts";
import type { Address } from "./address.ts";
import { type AddressKind, addressKinds } from "./closed.ts";
import type { Decision, RefusalReason } from "./decision.ts";
import { isPlainPath, type Protocol, parseRule, type Rule } from "./rule.ts";
import { RuleIndex } from "./rule-index.ts";

export interface Question {
  /** The name that was asked for, in its normal form. */
  readonly name?: string | undefined;
  /** The address that the job chose. */
  readonly address?: Address | undefined;
  readonly port: number;
  readonly protocol: Protocol;
}

/** Whether a policy has rules for requests, so that some TLS ends at the gateway. */
export function hasRequestRules({ allow, mode, observe }: NetworkPolicy): boolean {
  return mode !== "relaxed" && observe !== true && allow.some((text) => text.includes(" "));
}

const WEB_PORTS: readonly number[] = [80, 443];
const MAX_NOTES = 50;

export class CompiledPolicy {
  readonly mode: IsolationMode;
  readonly observe: boolean;
  /** What is odd, and how it was decided. */
  readonly notes: readonly string[];
  readonly #allow: RuleIndex;
  /** Rules for requests. Relaxed needs none. */
  readonly #requests: RuleIndex;
  readonly #deny: RuleIndex;
  readonly #ports: ReadonlySet<number>;
  readonly #blocked: ReadonlySet<number>;
  /** Relaxed without a list of ports. */
  readonly #anyPort: boolean;
  readonly #kindOf: (address: Address) => AddressKind;

  /**
   * Throws INVALID_ARGUMENT for a rule that cannot be read.
   * @param closed CIDRs that no rule opens, besides those that are closed everywhere.
   */
  constructor(policy: NetworkPolicy, closed: readonly string[]) {
    const allow = policy.allow.map((text) => parseRule(text, "allow"));
    const deny = policy.deny.map((text) => parseRule(text, "deny"));
    this.mode = policy.mode;
    this.observe = policy.observe === true;
    this.#allow = new RuleIndex(allow.filter(({ request }) => request === undefined));
    this.#requests = new RuleIndex(policy.mode === "relaxed" ? [] : allow.filter(({ request }) => request !== undefined));
    this.#deny = new RuleIndex(deny);
    this.#ports = new Set(policy.allowedPorts ?? WEB_PORTS);
    this.#anyPort = policy.mode === "relaxed" && policy.allowedPorts === undefined;
    this.#blocked = new Set(policy.blockedPorts);
    this.#kindOf = addressKinds(closed);
    this.notes = this.#oddities(allow);
  }

  /** Whether a connection or a datagram may go on, and by which way. Where a name leads is asked of {@link admits} afterwards. */
  decide(question: Question): Decision {
    const closed = question.address === undefined ? undefined : this.#alwaysClosed(question.address);
    const decision = this.#decideOpen(question, closed);
    // What is let go to where the job chose, observing too, never leads there.
    return closed !== undefined && decision.via === "address" ? refusal(closed, closed) : decision;
  }

  /** What was seen on a connection is no good: refused, or observed. */
  refuse(reason: RefusalReason, rule: string): Decision {
    return this.#unless(refusal(reason, rule));
  }

  #decideOpen({ name, address, port, protocol }: Question, closed: RefusalReason | undefined): Decision {
    if (closed !== undefined && name === undefined) return refusal(closed, closed);
    const denied = this.#denies(name, address, port, protocol);
    if (denied !== undefined) return this.#unless(refusal("denied", denied.text));
    if (this.#blocked.has(port)) return this.#unless(refusal("blocked-port", `port ${port}`));
    const matches = (rule: Rule): boolean => this.#opens(rule, port, protocol);
    const byName = name === undefined ? undefined : this.#allow.forName(name, matches);
    if (byName !== undefined) return { verdict: "allowed", rule: byName.text, via: "name", allowed: byName };
    const byRequest = name === undefined ? undefined : this.#requests.forName(name, matches);
    if (byRequest !== undefined) return { verdict: "allowed", rule: byRequest.text, via: "name", allowed: byRequest, requestsOnly: true };
    // From here on the address that the job chose counts.
    if (closed !== undefined) return refusal(closed, closed);
    const byAddress = address === undefined ? undefined : this.#allow.forAddress(address, matches);
    if (this.mode === "strict" && address !== undefined && name === undefined) return this.#unless(refusal("address-literal", "mode strict"));
    if (byAddress !== undefined && this.mode !== "strict") return { verdict: "allowed", rule: byAddress.text, via: "address", allowed: byAddress };
    if (this.mode === "relaxed" && (this.#anyPort || this.#ports.has(port))) return { verdict: "allowed", rule: "mode relaxed", via: "address" };
    if (address !== undefined && name === undefined && this.#kindOf(address) === "private") return this.#unless(refusal("private-address", "private"));
    return this.#unless(this.#notListed(name, address, protocol));
  }

  /** Whether one request may go on, on a connection that is for requests only. @param target of the request line. */
  permitsRequest(name: string, port: number, method: string, target: string): Decision {
    const path = target.replace(/\?.*$/s, "");
    const shown = `${method} ${path.slice(0, 100)}`;
    if (!isPlainPath(path)) return this.refuse("path-not-allowed", `${shown}: can be read in two ways`);
    for (const rule of this.#requests.allForName(name)) {
      const { request } = rule;
      if (request === undefined || !this.#opens(rule, port, "tcp") || request.methods?.has(method) === false) continue;
      if (request.prefix ? path.startsWith(request.path) : path === request.path) return { verdict: "allowed", rule: rule.text, via: "name", allowed: rule };
    }
    return this.refuse("path-not-allowed", shown);
  }

  /** Whether a name may be looked up at all: some port of it is allowed. Without this there is no question to any server. */
  resolves(name: string): Decision {
    const denied = this.#deny.forName(name, ({ port }) => port === undefined);
    if (denied !== undefined) return this.#unless(refusal("denied", denied.text));
    const rule = this.#ruleFor(name, () => true);
    if (rule !== undefined) return { verdict: "allowed", rule: rule.text, via: "name", allowed: rule };
    if (this.mode === "relaxed") return { verdict: "allowed", rule: "mode relaxed", via: "address" };
    return this.#unless(refusal("not-allowed", "not allowed"));
  }

  /** Whether a name that may be looked up may lead to this address, whatever the port. */
  mayLeadTo(name: string, address: Address): Decision {
    const permits = this.#ruleFor(name, (rule) => rule.private) ?? this.#allow.forAddress(address, () => true);
    return this.#leadsTo(
      address,
      permits,
      this.#deny.forAddress(address, ({ port }) => port === undefined),
    );
  }

  /** Whether an allowed connection to a name may go to one of its addresses. */
  admits(decision: Decision, address: Address, port: number, protocol: Protocol): Decision {
    const permits = decision.allowed?.private === true ? decision.allowed : this.#allow.forAddress(address, (rule) => this.#opens(rule, port, protocol));
    const verdict = this.#leadsTo(
      address,
      permits,
      this.#deny.forAddress(address, (rule) => closes(rule, port, protocol)),
    );
    return verdict.verdict === "allowed" ? decision : verdict;
  }

  #ruleFor(name: string, matches: (rule: Rule) => boolean): Rule | undefined {
    return this.#allow.forName(name, matches) ?? this.#requests.forName(name, matches);
  }

  #leadsTo(address: Address, permits: Rule | undefined, denied: Rule | undefined): Decision {
    const kind = this.#kindOf(address);
    if (kind !== "public" && kind !== "private") return refusal(kind, kind);
    if (denied !== undefined) return this.#unless(refusal("denied", denied.text));
    if (address.family === 6 && this.mode === "strict") return this.#unless(refusal("ipv6", "mode strict"));
    if (kind === "private" && permits === undefined && this.mode !== "relaxed") return this.#unless(refusal("private-answer", "private answer"));
    return { verdict: "allowed", rule: permits?.text ?? "", via: "name" };
  }

  #alwaysClosed(address: Address): RefusalReason | undefined {
    const kind = this.#kindOf(address);
    return kind === "public" || kind === "private" ? undefined : kind;
  }

  #denies(name: string | undefined, address: Address | undefined, port: number, protocol: Protocol): Rule | undefined {
    const matches = (rule: Rule): boolean => closes(rule, port, protocol);
    return (
      (name === undefined ? undefined : this.#deny.forName(name, matches)) ?? (address === undefined ? undefined : this.#deny.forAddress(address, matches))
    );
  }

  #opens(rule: Rule, port: number, protocol: Protocol): boolean {
    if (rule.protocol !== protocol) return false;
    return rule.port === undefined ? this.#anyPort || this.#ports.has(port) : rule.port === port;
  }

  #notListed(name: string | undefined, address: Address | undefined, protocol: Protocol): Decision {
    const sameProtocol = (rule: Rule): boolean => rule.protocol === protocol;
    const other = name === undefined ? (address === undefined ? undefined : this.#allow.forAddress(address, sameProtocol)) : this.#ruleFor(name, sameProtocol);
    return other === undefined ? refusal("not-allowed", "not allowed") : refusal("port-not-allowed", other.text);
  }

  /** Observing lets go what is not closed everywhere, and says so. */
  #unless(decision: Decision): Decision {
    return this.observe ? { ...decision, verdict: "observed", via: "address" } : decision;
  }

  #oddities(allow: readonly Rule[]): readonly string[] {
    const notes: string[] = [];
    for (const rule of allow) {
      if (notes.length >= MAX_NOTES) break;
      const denied = this.#deniesAllOf(rule);
      if (denied !== undefined) notes.push(`deny ${denied.text} beats allow ${rule.text}`);
      else if (rule.port !== undefined && this.#blocked.has(rule.port)) notes.push(`blocked port ${rule.port} beats allow ${rule.text}`);
      else if (rule.request !== undefined && this.#coversAll(rule)) notes.push(`allow ${rule.text} says nothing: another rule allows every request there`);
      else if (rule.target.kind === "block" && this.mode === "strict")
        notes.push(`mode strict takes no addresses: allow ${rule.text} only lets names lead there`);
    }
    return notes;
  }

  #coversAll({ target, port }: Rule): boolean {
    const matches = (rule: Rule): boolean => rule.protocol === "tcp" && (rule.port === undefined || rule.port === port);
    if (this.mode === "relaxed") return true;
    if (target.kind === "block") return false;
    return (target.kind === "name" ? this.#allow.forName(target.name, matches) : this.#allow.above(target.name, matches)) !== undefined;
  }

  #deniesAllOf({ target, port, protocol }: Rule): Rule | undefined {
    const matches = (rule: Rule): boolean => closes(rule, port, protocol);
    if (target.kind !== "block") return target.kind === "name" ? this.#deny.forName(target.name, matches) : this.#deny.above(target.name, matches);
    const { family, base, bits } = target.block;
    return this.#deny.forAddress({ family, value: base }, (rule) => matches(rule) && rule.target.kind === "block" && rule.target.block.bits <= bits);
  }
}

/** A denial without a protocol is for both, one without a port for every port; undefined asks for such a one. */
function closes(rule: Rule, port: number | undefined, protocol: Protocol | undefined): boolean {
  return (rule.protocol === undefined || rule.protocol === protocol) && (rule.port === undefined || rule.port === port);
}

function refusal(reason: RefusalReason, rule: string): Decision {
  const verdict: Verdict = "refused";
  return { verdict, rule, reason };
}

/** What the rules say of one attempt, and how that is put into words. */
import type { Verdict } from "../contract.ts";
import type { ClosedKind } from "./closed.ts";
import type { Rule } from "./rule.ts";

/** Why not. Ids of records and reports: added to, never renamed. */
export type RefusalReason =
  | ClosedKind
  | "not-allowed"
  | "port-not-allowed"
  | "denied"
  | "blocked-port"
  | "private-address"
  | "address-literal"
  | "ipv6"
  // Of what was said on a connection:
  | "no-sni"
  | "encrypted-hello"
  | "not-tls"
  | "not-http"
  | "no-host"
  | "host-switch"
  | "h2c"
  | "bad-request"
  | "name-mismatch"
  | "path-not-allowed"
  | "tls-failed"
  // Of what was asked of the resolver:
  | "private-answer"
  | "lookup-rate"
  // Of amounts:
  | "too-many-connections";

export interface Decision {
  readonly verdict: Verdict;
  /** What decided: the rule as it was written, the mode, or the reason. */
  readonly rule: string;
  /** Undefined when it is allowed. */
  readonly reason?: RefusalReason | undefined;
  /** Where an allowed connection leads: to what the name resolves to, or to the address that the job chose. */
  readonly via?: "name" | "address" | undefined;
  /** The rule that allows. */
  readonly allowed?: Rule | undefined;
  /** Only requests of HTTP that {@link CompiledPolicy.permitsRequest} allows: whatever else is spoken there cannot be judged. */
  readonly requestsOnly?: boolean | undefined;
}

/** True when the bytes may go on: allowed, or only observed. */
export function passes({ verdict }: Decision): boolean {
  return verdict !== "refused";
}

/** A refusal as one sentence. @param target `host:port`, a name or an address. */
export function refusalMessage(target: string, { reason, rule }: Pick<Decision, "reason" | "rule">): string {
  return reason === undefined ? `${target}: allowed by ${rule}` : `${target}: ${SENTENCES[reason].replace("RULE", rule)}`;
}

/** What a row of the record says under `rule`, in words; undefined when that is the text of a rule. */
export function reasonText(rule: string): string | undefined {
  const found = Object.entries(SENTENCES).find(([reason]) => reason === rule);
  return found?.[1].replace(/ by RULE$| \(RULE\)$/, "");
}

const SENTENCES: Readonly<Record<RefusalReason, string>> = {
  metadata: "the cloud's metadata service is closed to every job",
  loopback: "a loopback address is never reached from a job's network",
  "link-local": "link-local addresses are closed to every job",
  reserved: "not an address of the internet",
  host: "this host and the networks of other jobs are closed to every job",
  "not-allowed": "not in the allow-list",
  "port-not-allowed": "allowed, but not on this port (RULE)",
  denied: "denied by RULE",
  "blocked-port": "the port is blocked",
  "private-address": "a private address, and no rule allows one here",
  "address-literal": "mode strict allows names, no addresses",
  ipv6: "mode strict has no IPv6",
  "no-sni": "the client did not name the server it wants (no SNI)",
  "encrypted-hello": "the client encrypted the name of the server it wants (ECH)",
  "not-tls": "what was sent is not the start of TLS",
  "not-http": "what was sent is not an HTTP request",
  "no-host": "the request does not name the host it wants",
  "host-switch": "a connection stays with the host of its first request",
  h2c: "HTTP/2 without TLS is not checked, so it is not offered",
  "bad-request": "the request can be read in two ways (RULE)",
  "name-mismatch": "the tunnel was asked for another name than the one inside it",
  "path-not-allowed": "no rule allows this request (RULE)",
  "tls-failed": "no TLS came about with the client; it may not trust the job's own authority (RULE)",
  "private-answer": "a public name led to a private address",
  "lookup-rate": "too many different names below one wildcard in a short time",
  "too-many-connections": "too many connections at once",
};

/**
 * How a workload comes to trust its job's own authority (docs/network-rules.md, "Requests"): two files beside the shim, and
 * variables that point there. Clients that read neither refuse the connection; nothing goes out unchecked.
 */
import { getCACertificates } from "node:tls";
import { GATE_TARGET } from "./create-body.ts";

/** Reads the authority alone, in addition to its own. */
const ADDING = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];
/** Read a file in place of their own: it holds what everybody trusts, and the authority. */
const REPLACING = ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE"];

/** Files by name. @param authority PEM. */
export function trustFiles(authority: string): readonly (readonly [string, string])[] {
  return [
    ["authority.pem", authority],
    ["authorities.pem", `${[...new Set([...getCACertificates("default"), ...getCACertificates("system")].map((one) => one.trim()))].join("\n")}\n${authority}`],
  ];
}

/** @param own variables of the job: what it sets itself stands. */
export function trustVariables(own: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const all = [
    ...ADDING.map((name) => [name, `${GATE_TARGET}/authority.pem`] as const),
    ...REPLACING.map((name) => [name, `${GATE_TARGET}/authorities.pem`] as const),
  ];
  return Object.fromEntries(all.filter(([name]) => !Object.hasOwn(own, name)));
}

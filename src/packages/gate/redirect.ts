/**
 * Where a registry's redirect may lead. Content with a hash from the lockfile may come from any public place;
 * metadata has no hash, so it must stay on its origin. Nothing public may lead to a private, loopback or metadata address.
 */
import { BlockList, isIP } from "node:net";
import { CofferdamError } from "../../foundation/index.ts";

/** `any-host`: the answer is checked by hash. `same-origin`: it is not. */
export type RedirectRule = "any-host" | "same-origin";

const LINK_LOCAL = addresses([["169.254.0.0", 16]], [["fe80::", 10]]);
const INNER = addresses(
  [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.168.0.0", 16],
  ],
  [
    ["::", 127],
    ["::ffff:0:0", 96],
    ["fc00::", 7],
    ["fe80::", 10],
  ],
);

/** Throws SECURITY_VIOLATION when the redirect from one URL to the next is not acceptable. */
export function assertRedirect(from: URL, to: URL, rule: RedirectRule): void {
  const refuse = (why: string): never => {
    throw new CofferdamError("SECURITY_VIOLATION", `${from.host} redirects to ${to.host}: ${why}`, { details: { from: from.origin, to: to.origin, why } });
  };
  if (to.protocol !== "https:" && to.protocol !== "http:") refuse("neither http nor https");
  if (to.origin === from.origin) return;
  if (rule === "same-origin") refuse("metadata must come from the registry itself");
  if (from.protocol === "https:" && to.protocol === "http:") refuse("it leaves TLS");
  if (to.username !== "" || to.password !== "") refuse("it carries credentials");
  if (isLinkLocal(to.hostname)) refuse("a link-local address (cloud metadata lives there)");
  if (isInner(to.hostname) && !isInner(from.hostname)) refuse("a public registry must not lead to a private address");
}

function isInner(hostname: string): boolean {
  const host = bare(hostname);
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  const family = isIP(host);
  return family !== 0 && INNER.check(host, family === 6 ? "ipv6" : "ipv4");
}

function isLinkLocal(hostname: string): boolean {
  const family = isIP(bare(hostname));
  return family !== 0 && LINK_LOCAL.check(bare(hostname), family === 6 ? "ipv6" : "ipv4");
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "").toLowerCase();
}

function addresses(v4: readonly (readonly [string, number])[], v6: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [net, bits] of v4) list.addSubnet(net, bits, "ipv4");
  for (const [net, bits] of v6) list.addSubnet(net, bits, "ipv6");
  return list;
}

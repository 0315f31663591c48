/**
 * What kind of place an address is: some are closed to every job at every level, and no rule opens them. Blocks are those of
 * the registries of special-purpose addresses (RFC 6890 and IANA's lists), and the addresses at which clouds hand out credentials.
 */
import { type Address, type Block, contains, requireBlock } from "./address.ts";

/** Closed always. `host`: this host, the engine, other jobs. */
export type ClosedKind = "metadata" | "loopback" | "link-local" | "reserved" | "host";
/** `private`: networks of the house, which a rule can open. */
export type AddressKind = ClosedKind | "private" | "public";

/** @param blocks CIDRs that are closed here besides, found out at run time. Throws INVALID_ARGUMENT for what is none. */
export function addressKinds(blocks: readonly string[]): (address: Address) => AddressKind {
  const host = blocks.map((text) => requireBlock(text, `closed ${text}`));
  return (address) => {
    const fixed = FIXED.find(([, block]) => contains(block, address));
    // What is named closed at run time may lie inside a private network, but nothing else changes its kind.
    if (fixed !== undefined && fixed[0] !== "private") return fixed[0];
    if (host.some((block) => contains(block, address))) return "host";
    if (fixed !== undefined) return fixed[0];
    // Of IPv6 only 2000::/3 is given out; the rest, translations of IPv4 among it, stands for something else.
    return address.family === 4 || contains(GLOBAL_IPV6, address) ? "public" : "reserved";
  };
}

const block = (text: string): Block => requireBlock(text, text);
const GLOBAL_IPV6: Block = block("2000::/3");

/** First match counts. */
const FIXED: readonly (readonly [Exclude<AddressKind, "public" | "host">, Block])[] = (
  [
    ["metadata", "169.254.169.254"],
    // Containers of ECS, Alibaba, Azure's wire server, Oracle's first generation.
    ["metadata", "169.254.170.2"],
    ["metadata", "100.100.100.200"],
    ["metadata", "168.63.129.16"],
    ["metadata", "192.0.0.192"],
    ["metadata", "fd00:ec2::254"],
    ["metadata", "fd20:ce::254"],
    ["loopback", "127.0.0.0/8"],
    ["loopback", "::1"],
    ["link-local", "169.254.0.0/16"],
    ["link-local", "fe80::/10"],
    ["reserved", "0.0.0.0/8"],
    ["reserved", "192.0.0.0/24"],
    ["reserved", "192.88.99.0/24"],
    ["reserved", "224.0.0.0/3"],
    // 6to4 and Teredo: an IPv4 address inside an IPv6 one.
    ["reserved", "2002::/16"],
    ["reserved", "2001::/32"],
    ["private", "10.0.0.0/8"],
    ["private", "100.64.0.0/10"],
    ["private", "172.16.0.0/12"],
    ["private", "192.168.0.0/16"],
    ["private", "198.18.0.0/15"],
    ["private", "fc00::/7"],
  ] as const
).map(([kind, text]) => [kind, block(text)]);

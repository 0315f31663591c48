/** Addresses and CIDR blocks. An IPv4 address written as IPv6 (::ffff:10.0.0.1, RFC 4291 2.5.5.2) is the IPv4 address. */
import { BlockList, isIP, SocketAddress } from "node:net";

interface Address {
  readonly address: string;
  readonly family: "ipv4" | "ipv6";
}

export interface Cidr extends Address {
  readonly prefix: number;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. Undefined for what is neither. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const written = slash === -1 ? text : text.slice(0, slash);
  const parsed = parseAddress(written);
  if (parsed === undefined) return undefined;
  const most = written.includes(":") ? 128 : 32;
  const digits = slash === -1 ? String(most) : text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > most) return undefined;
  // The block of an IPv4 address that was written as IPv6 counts the 96 bits before it.
  const prefix = Number(digits) - (most === 128 && parsed.family === "ipv4" ? 96 : 0);
  return prefix < 0 ? undefined : { ...parsed, prefix };
}

/** A test of addresses against a list of blocks that parse. It answers undefined for what is no address. */
export function addressTest(blocks: readonly string[]): (address: string) => boolean | undefined {
  const list = new BlockList();
  for (const { address, prefix, family } of blocks.flatMap((block) => parseCidr(block) ?? [])) list.addSubnet(address, prefix, family);
  return (text) => {
    const parsed = parseAddress(text);
    return parsed === undefined ? undefined : list.check(parsed.address, parsed.family);
  };
}

/** A zone (fe80::1%eth0) means something on one machine alone. */
function parseAddress(text: string): Address | undefined {
  const version = text.includes("%") ? 0 : isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return { address: text, family: "ipv4" };
  // Node writes every spelling of a mapped address in one way.
  const { address } = new SocketAddress({ address: text, family: "ipv6" });
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  return mapped === undefined ? { address, family: "ipv6" } : { address: mapped, family: "ipv4" };
}

/** Addresses of sockets, from the kernel's numbers and from a `struct sockaddr`. */
import type { Endpoint } from "../event.ts";
import { textOf, untilNul } from "./text.ts";

export const FAMILY = { unix: 1, inet: 2, inet6: 10, netlink: 16, packet: 17, vsock: 40 } as const;

/** `10.0.0.1`; of IPv6 as RFC 5952 has it, a mapped IPv4 address as IPv4. @param bytes 4 or 16 of them. */
export function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.readUInt32BE(0) === 0 && bytes.readUInt32BE(4) === 0 && bytes.readUInt32BE(8) === 0xffff) return bytes.subarray(12).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i));
  const { from, size } = longestZeros(groups);
  const words = (list: readonly number[]): string => list.map((word) => word.toString(16)).join(":");
  return size < 2 ? words(groups) : `${words(groups.slice(0, from))}::${words(groups.slice(from + size))}`;
}

function longestZeros(groups: readonly number[]): { readonly from: number; readonly size: number } {
  let best = { from: 0, size: 0 };
  for (let from = 0; from < groups.length; from++) {
    let size = 0;
    while (groups[from + size] === 0) size++;
    if (size > best.size) best = { from, size };
    from += size;
  }
  return best;
}

/** A unix socket's name without its family: `@` first where it is in no file system. undefined: it has none. */
export function unixName(bytes: Buffer): Endpoint | undefined {
  if (bytes.length === 0) return undefined;
  const address = bytes[0] === 0 ? `@${textOf(bytes.subarray(1))}` : textOf(untilNul(bytes));
  return { address, port: 0 };
}

/** What a process passed as an address. undefined: too short, or of a family that has none worth telling. */
export function endpointOf(sockaddr: Buffer): Endpoint | undefined {
  if (sockaddr.length < 2) return undefined;
  switch (sockaddr.readUInt16LE(0)) {
    case FAMILY.inet:
      return sockaddr.length < 8 ? undefined : { address: addressOf(sockaddr.subarray(4, 8)), port: sockaddr.readUInt16BE(2) };
    case FAMILY.inet6:
      return sockaddr.length < 24 ? undefined : { address: addressOf(sockaddr.subarray(8, 24)), port: sockaddr.readUInt16BE(2) };
    case FAMILY.unix:
      return unixName(sockaddr.subarray(2));
    case FAMILY.vsock:
      return sockaddr.length < 12 ? undefined : { address: String(sockaddr.readUInt32LE(8)), port: sockaddr.readUInt32LE(4) };
    default:
      return undefined;
  }
}

/** Addresses of networks: cutting ranges into subnets, and who has which. */
import { isIPv4 } from "node:net";
import { CofferdamError } from "../../foundation/index.ts";
import { normalAddress } from "../rules/index.ts";

/** One family's part of a subnet. */
export interface SubnetPart {
  readonly cidr: string;
  readonly prefix: number;
  readonly gateway: string;
  /** Addresses of containers, the first at port 1. */
  readonly hosts: readonly string[];
}

/** What one network has. */
export interface Subnet {
  readonly v4: SubnetPart;
  readonly v6?: SubnetPart | undefined;
}

export interface Range {
  readonly first: number;
  /** How many addresses. */
  readonly size: number;
}

/** Addresses of a network that nobody may have: its own, the gateway's and the broadcast's. */
const SET_ASIDE = 3;
const SUBNET_PREFIX = 28;
const SUBNET_SIZE = 2 ** (32 - SUBNET_PREFIX);

/** Throws INVALID_ARGUMENT for what is no range of IPv4 addresses, or has bits set after its prefix. */
export function rangeOf(cidr: string): Range {
  const [address = "", length = ""] = cidr.split("/");
  const prefix = Number(length);
  if (!isIPv4(address) || !/^\d{1,2}$/.test(length) || prefix > 32)
    throw new CofferdamError("INVALID_ARGUMENT", `not a range of IPv4 addresses: ${cidr.slice(0, 64)}`);
  const [first, size] = [numberOf(address), 2 ** (32 - prefix)];
  if (first % size !== 0)
    throw new CofferdamError("INVALID_ARGUMENT", `${cidr} has bits set after its prefix`, { hint: `${textOf(first - (first % size))}/${prefix}` });
  return { first, size };
}

export function rangeText({ first, size }: Range): string {
  return `${textOf(first)}/${32 - Math.log2(size)}`;
}

export function subnetsIn(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { size }) => sum + Math.floor(size / SUBNET_SIZE), 0);
}

/** The range of the `index`th subnet of all of them. */
export function subnetRange(ranges: readonly Range[], index: number): Range {
  let left = index;
  for (const { first, size } of ranges) {
    const count = Math.floor(size / SUBNET_SIZE);
    if (left < count) return { first: first + left * SUBNET_SIZE, size: SUBNET_SIZE };
    left -= count;
  }
  throw new CofferdamError("INTERNAL", `no subnet ${index}`);
}

/** @param v6Prefix the first three groups of a unique local range (RFC 4193), as "fd12:3456:789a"; absent without IPv6. */
export function subnetOf({ first, size }: Range, index: number, v6Prefix?: string): Subnet {
  const count = size - SET_ASIDE;
  const v4: SubnetPart = {
    cidr: rangeText({ first, size }),
    prefix: 32 - Math.log2(size),
    gateway: textOf(first + 1),
    hosts: Array.from({ length: count }, (_, at) => textOf(first + 2 + at)),
  };
  if (v6Prefix === undefined) return { v4 };
  const base = `${v6Prefix}:${index.toString(16)}`;
  const v6 = (host: number): string => normalAddress(`${base}::${host.toString(16)}`);
  return { v4, v6: { cidr: `${v6(0)}/64`, prefix: 64, gateway: v6(1), hosts: Array.from({ length: count }, (_, at) => v6(at + 2)) } };
}

export function overlaps(one: Range, other: Range): boolean {
  return one.first < other.first + other.size && other.first < one.first + one.size;
}

export function numberOf(v4: string): number {
  return v4.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** Addresses and blocks of them as numbers. An IPv4 address in the notation of IPv6 (::ffff:1.2.3.4) is that IPv4 address. */
import { isIPv4, isIPv6 } from "node:net";
import { CofferdamError } from "../../foundation/index.ts";

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** The addresses that share the first `bits` with `base`. */
export interface Block {
  readonly family: 4 | 6;
  readonly base: bigint;
  readonly bits: number;
}

/** Undefined for everything else, zones (`fe80::1%eth0`) and short forms (`127.1`) included. */
export function parseAddress(text: string): Address | undefined {
  if (text.length > 45) return undefined;
  if (isIPv4(text)) return { family: 4, value: valueOfIPv4(text) };
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const value = valueOfIPv6(text);
  return value >> 32n === 0xffffn ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value };
}

/** RFC 5952 for IPv6. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  const zeros = longestZeros(groups);
  if (zeros.length < 2) return groups.join(":");
  return `${groups.slice(0, zeros.start).join(":")}::${groups.slice(zeros.start + zeros.length).join(":")}`;
}

/** The same address always as the same text, or the text as it is. */
export function normalAddress(text: string): string {
  const address = parseAddress(text);
  return address === undefined ? text : formatAddress(address);
}

/**
 * `10.0.0.0/8`, or one address. Throws INVALID_ARGUMENT for anything else, bits set behind the prefix (with the block that may
 * have been meant) and a prefix of 0, which is no rule but the absence of one.
 * @param what the rule, for the message.
 */
export function requireBlock(text: string, what: string): Block {
  const [, head = "", prefix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = parseAddress(head);
  const wrong = (problem: string, hint?: string): CofferdamError =>
    new CofferdamError("INVALID_ARGUMENT", `${what}: ${problem}`, hint === undefined ? {} : { hint });
  if (address === undefined) throw wrong("not an address or a block of them", "write it like 203.0.113.0/24 or 2001:db8::/32");
  const width = widthOf(address.family);
  const bits = prefix === undefined ? width : Number(prefix);
  if (bits > width) throw wrong(`a prefix of IPv${address.family} has at most ${width} bits`);
  if (bits === 0) throw wrong("every address is not a rule", "mode relaxed lets a job reach the internet");
  const block = blockAround(address, bits);
  if (block.base !== address.value) throw wrong("bits are set behind the prefix", `write ${formatAddress({ ...block, value: block.base })}/${bits}`);
  return block;
}

export function blockAround({ family, value }: Address, bits: number): Block {
  const rest = BigInt(widthOf(family) - bits);
  return { family, base: (value >> rest) << rest, bits };
}

export function contains(block: Block, { family, value }: Address): boolean {
  const rest = BigInt(widthOf(family) - block.bits);
  return family === block.family && value >> rest === block.base >> rest;
}

function widthOf(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

function valueOfIPv4(text: string): bigint {
  return BigInt(text.split(".").reduce((value, part) => value * 256 + Number(part), 0));
}

function valueOfIPv6(text: string): bigint {
  const lastColon = text.lastIndexOf(":");
  const tail = text.slice(lastColon + 1);
  let whole = text;
  if (tail.includes(".")) {
    const embedded = valueOfIPv4(tail);
    whole = `${text.slice(0, lastColon + 1)}${(embedded >> 16n).toString(16)}:${(embedded & 0xffffn).toString(16)}`;
  }
  const [left = "", right] = whole.split("::");
  const before = left === "" ? [] : left.split(":");
  const after = right === undefined || right === "" ? [] : right.split(":");
  const gap = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...gap, ...after].reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

function longestZeros(groups: readonly string[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === "0") length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** What this host has itself: its addresses are closed to every job, and its routes are nowhere cut into. Source: proc_net(5). */
import { readFileSync } from "node:fs";
import { CofferdamError } from "../../foundation/index.ts";
import type { Range } from "../kernel/plan.ts";
import { normalAddress } from "../rules/index.ts";

/**
 * Everything that the kernel takes for its own, as CIDRs, loopback included. Not what os.networkInterfaces() says: that leaves
 * out interfaces without a carrier (a bridge of an engine that has no container), whose addresses are answered all the same.
 * Throws ENVIRONMENT_UNFIT where it does not say.
 */
export function hostAddresses(): readonly string[] {
  const trie = read("/proc/net/fib_trie");
  if (trie === "") throw new CofferdamError("ENVIRONMENT_UNFIT", "/proc/net/fib_trie cannot be read: what this host answers to is not known");
  const v4 = [...trie.matchAll(/\|-- ([\d.]+)\n\s+\/(\d+) host LOCAL/g)].map(([, address = "", prefix = ""]) => `${address}/${prefix}`);
  return [...new Set([...v4, ...v6Addresses().map((address) => `${address}/128`)])];
}

/** Whether an address of it is one that others reach by IPv6 (2000::/3 is what is given out). */
export function hasIpv6(): boolean {
  return v6Addresses().some((address) => /^[23][0-9a-f]{3}:/.test(address));
}

function v6Addresses(): readonly string[] {
  return [...read("/proc/net/if_inet6").matchAll(/^([0-9a-f]{32}) /gm)].map(([, hex = ""]) => normalAddress((hex.match(/.{4}/g) ?? []).join(":")));
}

/** Where it has routes to, but for the default one. Without /proc: none. */
export function hostRoutes(path: string = "/proc/net/route"): readonly Range[] {
  return read(path)
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, destination = "", , , , , , mask = ""] = line.split("\t");
      if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return [];
      const size = 2 ** 32 - swapped(mask);
      return size >= 2 ** 32 ? [] : [{ first: swapped(destination), size }];
    });
}

/** The kernel writes them as the machine has them in memory: last byte first, on the machines that we run on. */
function swapped(hex: string): number {
  return [6, 4, 2, 0].reduce((sum, at) => sum * 256 + Number.parseInt(hex.slice(at, at + 2), 16), 0);
}

/** Empty where there is none: without IPv6, without /proc. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
